/* SPDX-License-Identifier: MIT */
/*
 * y = softmax(scale q k^T) v for each sequence and head by cooperative matrices of EDGE x EDGE x
 * EDGE with float32 sums, all keys at once; the body of attention_f16.comp and
 * attention_split.comp, which define FORM (see operand.glsl), Element, its 16-bit number, and how
 * many PARTS of them make a float32. q, k and v are float32 or operands, y becomes one.
 *
 * A workgroup takes QUERIES of a head, DOWN times EDGE. ACROSS subgroups share EDGE of them: their
 * scores by keys, the softmax by pieces of rows, their result by dimensions. Keys past the end
 * repeat the last one and weigh nothing, queries past the end are not stored. A query's bits depend
 * on neither DOWN nor ACROSS.
 */
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#include "view.glsl"
#include "exp.glsl"
#include "operand.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint DOWN = 1; /* subgroups */
layout(constant_id = 2) const uint ACROSS = 4;
layout(constant_id = 3) const uint SUBGROUP = 32; /* threads of one; EDGE | ACROSS * SUBGROUP */
layout(constant_id = 4) const uint EDGE = 16;     /* 8 or 16 */
layout(constant_id = 5) const uint KEY_TILES = 6; /* of EDGE keys */
layout(constant_id = 6) const uint DIM_TILES = 4; /* of EDGE dimensions, exactly */
layout(constant_id = 7) const bool READY = false; /* q, k, v are operands */

const uint THREADS = DOWN * ACROSS * SUBGROUP;
const uint QUERIES = DOWN * EDGE, KEYS = KEY_TILES * EDGE, DIM = DIM_TILES * EDGE;
const uint EIGHTS = DIM / 8;                /* of a row of q, k, v or y */
const uint SHARERS = ACROSS * SUBGROUP / EDGE; /* threads of a row of scores */
const uint TURNS = (KEYS / 8 + SHARERS - 1) / SHARERS;
const uint Q_LOADS = (QUERIES * EIGHTS + THREADS - 1) / THREADS;
const uint K_LOADS = (KEYS * EIGHTS + THREADS - 1) / THREADS;
/* Tiles of keys that a matrix unit sums up by itself: see TOTALS in linear_fragments.glsl. */
const uint CHUNK = 64 / EDGE;
const float LEAST = -3.4e38;
const float UNSCALE = FORM == F16 ? 1.0 / F16_SCALE : 1.0;

#include "attention_views.glsl"
layout(binding = 0) readonly buffer Q8 { uvec4 q_data8[]; };
layout(binding = 1) readonly buffer K8 { uvec4 k_data8[]; };
layout(binding = 2) readonly buffer V8 { uvec4 v_data8[]; };

/* Dimensions [d, d + 8) of a row of this head into to[i] and to[i + 1]. */
#define LOAD(to, i, data4, data8, view, index, d)                                                  \
    {                                                                                              \
        const uint column = gl_WorkGroupID.y * DIM + (d);                                          \
        if (READY) {                                                                               \
            [[unroll]] for (uint p = 0; p < PARTS; p++)                                            \
                to[(i) + p] = data8[eighth_at(FORM, view, index, column) + p * TILE];              \
        } else {                                                                                   \
            const uint begin = view.at + (index) * view.stride + column;                           \
            to[i] = floatBitsToUint(data4[begin / 4]);                                             \
            to[(i) + 1] = floatBitsToUint(data4[begin / 4 + 1]);                                   \
        }                                                                                          \
    }

/* Which row of q, k, v or y a thread takes, and which eighth of it. */
uvec2 place(uint at)
{
    const bool whole = READY && EDGE == 16; /* of tiles in memory */
    return whole ? place_of(DIM / 16, at) : uvec2(at / EIGHTS, at % EIGHTS);
}

/* In units of 16 bytes, one more a row to spread the rows over the banks. kv: first k, then v, part
 * by part. row: a query's q, then its scores in float32, then their weights, then its result in
 * float32; of q and of the weights the second parts stand behind the first ones. */
const uint STRIDE = EIGHTS + 1, KV_PART = KEYS * STRIDE;
const uint ROW = (KEYS > DIM ? KEYS : DIM) / 4 + 1;
const uint FACTOR = ROW - 1; /* what the result is multiplied by has a place there, too */
const uint SHARES = KEYS / 8 > SHARERS ? KEYS / 8 : SHARERS; /* of a query */
shared uvec4 kv[PARTS * KV_PART];
shared uvec4 row[QUERIES * ROW];
shared float share[QUERIES * SHARES]; /* each thread's maximum, then the sums of eight weights */

#define MatrixA coopmat<Element, gl_ScopeSubgroup, EDGE, EDGE, gl_MatrixUseA>
#define MatrixB coopmat<Element, gl_ScopeSubgroup, EDGE, EDGE, gl_MatrixUseB>
#define MatrixC coopmat<float, gl_ScopeSubgroup, EDGE, EDGE, gl_MatrixUseAccumulator>

uvec4 q_next[2 * Q_LOADS]; /* eight numbers each two: parts, or the bits of float32 */
uvec4 kv_next[2 * K_LOADS];
bool found = false; /* a number that is too large */

void fetch_q(uint sequence, uint query0)
{
    [[unroll]] for (uint i = 0; i < Q_LOADS; i++) {
        const uvec2 own = place(gl_LocalInvocationIndex + i * THREADS);
        const uint index = sequence * queries + min(query0 + own.x, queries - 1);
        if (own.x < QUERIES)
            LOAD(q_next, 2 * i, q_data4, q_data8, q, index, own.y * 8)
    }
}

/* All keys of k, or of v. */
#define FETCH_KV(name, data4, data8, view)                                                         \
    void name(uint sequence)                                                                       \
    {                                                                                              \
        [[unroll]] for (uint i = 0; i < K_LOADS; i++) {                                            \
            const uvec2 own = place(gl_LocalInvocationIndex + i * THREADS);                        \
            const uint index = sequence * keys + min(own.x, keys - 1);                             \
            if (own.x < KEYS)                                                                      \
                LOAD(kv_next, 2 * i, data4, data8, view, index, own.y * 8)                         \
        }                                                                                          \
    }
FETCH_KV(fetch_k, k_data4, k_data8, k)
FETCH_KV(fetch_v, v_data4, v_data8, v)

/* Eight numbers as they were fetched become parts. */
void make_ready(inout uvec4 a, inout uvec4 b)
{
    if (!READY)
        operand8(FORM, a, b);
    if (PARTS == 2)
        found = found || too_large(a);
}

void stash_q()
{
    [[unroll]] for (uint i = 0; i < Q_LOADS; i++) {
        const uvec2 own = place(gl_LocalInvocationIndex + i * THREADS);
        if (own.x >= QUERIES)
            continue;
        make_ready(q_next[2 * i], q_next[2 * i + 1]);
        [[unroll]] for (uint p = 0; p < PARTS; p++)
            row[own.x * ROW + p * EIGHTS + own.y] = q_next[2 * i + p];
    }
}

void stash_kv()
{
    [[unroll]] for (uint i = 0; i < K_LOADS; i++) {
        const uvec2 own = place(gl_LocalInvocationIndex + i * THREADS);
        if (own.x >= KEYS)
            continue;
        make_ready(kv_next[2 * i], kv_next[2 * i + 1]);
        [[unroll]] for (uint p = 0; p < PARTS; p++)
            kv[p * KV_PART + own.x * STRIDE + own.y] = kv_next[2 * i + p];
    }
}

MatrixA query[PARTS * DIM_TILES];
MatrixA weight[PARTS * KEY_TILES];

void load_queries(uint row0)
{
    [[unroll]] for (uint c = 0; c < DIM_TILES; c++)
        [[unroll]] for (uint p = 0; p < PARTS; p++)
            coopMatLoad(query[PARTS * c + p], row, row0 * ROW + p * EIGHTS + c * EDGE / 8, ROW,
                        gl_CooperativeMatrixLayoutRowMajor);
}

void load_weights(uint row0)
{
    [[unroll]] for (uint j = 0; j < KEY_TILES; j++)
        [[unroll]] for (uint p = 0; p < PARTS; p++)
            coopMatLoad(weight[PARTS * j + p], row, row0 * ROW + (p * KEYS + j * EDGE) / 8, ROW,
                        gl_CooperativeMatrixLayoutRowMajor);
}

/* Of two parts, second times second is left out, and the products that count 2^-11 have a sum of
 * their own: `less`. */
void multiply_scores(uint row0, uint across)
{
    for (uint j = across; j < KEY_TILES; j += ACROSS) {
        MatrixC sum = MatrixC(0.0), less = MatrixC(0.0);
        [[unroll]] for (uint c = 0; c < DIM_TILES; c++) {
            MatrixB b[PARTS];
            [[unroll]] for (uint p = 0; p < PARTS; p++)
                coopMatLoad(b[p], kv, p * KV_PART + j * EDGE * STRIDE + c * EDGE / 8, STRIDE,
                            gl_CooperativeMatrixLayoutColumnMajor);
#if PARTS == 2
            less = coopMatMulAdd(query[2 * c + 1], b[0], less);
            less = coopMatMulAdd(query[2 * c], b[1], less);
#endif
            sum = coopMatMulAdd(query[PARTS * c], b[0], sum);
        }
#if PARTS == 2
        sum += less * (1.0 / 2048.0);
#endif
        coopMatStore(sum, row, row0 * ROW + j * EDGE / 4, ROW, gl_CooperativeMatrixLayoutRowMajor);
    }
}

/* The same for what the weights make of v. */
void multiply_values(uint row0, uint across)
{
    for (uint c = across; c < DIM_TILES; c += ACROSS) {
        MatrixC sum = MatrixC(0.0), less = MatrixC(0.0), total = MatrixC(0.0);
        [[unroll]] for (uint j = 0; j < KEY_TILES; j++) {
            MatrixB b[PARTS];
            [[unroll]] for (uint p = 0; p < PARTS; p++)
                coopMatLoad(b[p], kv, p * KV_PART + j * EDGE * STRIDE + c * EDGE / 8, STRIDE,
                            gl_CooperativeMatrixLayoutRowMajor);
#if PARTS == 2
            less = coopMatMulAdd(weight[2 * j + 1], b[0], less);
            less = coopMatMulAdd(weight[2 * j], b[1], less);
            if (j > 0 && j % CHUNK == 0) {
                total += sum;
                sum = MatrixC(0.0);
            }
#endif
            sum = coopMatMulAdd(weight[PARTS * j], b[0], sum);
        }
#if PARTS == 2
        sum += total + less * (1.0 / 2048.0);
#endif
        coopMatStore(sum, row, row0 * ROW + c * EDGE / 4, ROW, gl_CooperativeMatrixLayoutRowMajor);
    }
}

vec4 exponential(vec4 x)
{
    if (PARTS == 1)
        return exp(x);
    return vec4(exp_negative(x.x), exp_negative(x.y), exp_negative(x.z), exp_negative(x.w));
}

/* At most 1 each, so that f16 needs no scale. */
uvec2 weigh2(vec2 p)
{
    return FORM == F16 ? uvec2(packHalf2x16(p), 0) : operand(FORM, p);
}

/* Four scores, scaled, from key `key` on. */
vec4 score4(uint r, uint key)
{
    const vec4 s = uintBitsToFloat(row[r * ROW + key / 4]) * (scale * UNSCALE * UNSCALE);
    return mix(vec4(LEAST), s, lessThan(key + uvec4(0, 1, 2, 3), uvec4(keys)));
}

/* A row's scores become e^(score - maximum) in 16 bits, in its place. Its thread t has keys 8 t to
 * 8 t + 7, and every SHARERS times 8 further. */
void softmax(uint r, uint t)
{
    vec4 score[2 * TURNS];
    float best = LEAST;
    [[unroll]] for (uint i = 0; i < TURNS; i++) {
        const uint key = (t + i * SHARERS) * 8;
        if (key >= KEYS)
            continue;
        const vec4 a = score4(r, key), b = score4(r, key + 4), most = max(a, b);
        best = max(best, max(max(most.x, most.y), max(most.z, most.w)));
        score[2 * i] = a;
        score[2 * i + 1] = b;
    }
    share[r * SHARES + t] = best;
    barrier();
    [[unroll]] for (uint i = 0; i < SHARERS; i++)
        best = max(best, share[r * SHARES + i]);
    barrier();
    [[unroll]] for (uint i = 0; i < TURNS; i++) {
        const uint key = (t + i * SHARERS) * 8;
        if (key >= KEYS)
            continue;
        const bvec4 a_counts = lessThan(key + uvec4(0, 1, 2, 3), uvec4(keys));
        const bvec4 b_counts = lessThan(key + uvec4(4, 5, 6, 7), uvec4(keys));
        const vec4 a = mix(vec4(0), exponential(score[2 * i] - best), a_counts);
        const vec4 b = mix(vec4(0), exponential(score[2 * i + 1] - best), b_counts);
        const vec4 both = a + b;
        share[r * SHARES + key / 8] = (both.x + both.y) + (both.z + both.w);
        const uvec2 c = weigh2(a.xy), d = weigh2(a.zw), e = weigh2(b.xy), f = weigh2(b.zw);
        row[r * ROW + key / 8] = uvec4(c.x, d.x, e.x, f.x);
        if (PARTS == 2)
            row[r * ROW + (KEYS + key) / 8] = uvec4(c.y, d.y, e.y, f.y);
    }
    barrier();
    if (t > 0)
        return;
    float sum = 0.0;
    for (uint i = 0; i < KEYS / 8; i++)
        sum += share[r * SHARES + i];
    row[r * ROW + FACTOR].x = floatBitsToUint(UNSCALE / sum);
}

/* Eight dimensions at a time. */
void store(uint sequence, uint query0)
{
    for (uint at = gl_LocalInvocationIndex; at < QUERIES * EIGHTS; at += THREADS) {
        const uvec2 own = place(at);
        const uint r = own.x, d = own.y * 8;
        if (query0 + r >= queries)
            continue;
        const float factor = uintBitsToFloat(row[r * ROW + FACTOR].x);
        const uvec4 a = operand4(FORM, uintBitsToFloat(row[r * ROW + d / 4]) * factor);
        const uvec4 b = operand4(FORM, uintBitsToFloat(row[r * ROW + d / 4 + 1]) * factor);
        const uint index = sequence * queries + query0 + r;
        const uint to = eighth_at(FORM, y, index, gl_WorkGroupID.y * DIM + d);
        y_data8[to] = uvec4(a.xy, b.xy);
        if (PARTS == 2)
            y_data8[to + TILE] = uvec4(a.zw, b.zw);
    }
}

void main()
{
    const uint tile = first + gl_WorkGroupID.x, sequence = tile / tiles;
    const uint query0 = tile % tiles * QUERIES;
    const uint down = gl_SubgroupID / ACROSS, across = gl_SubgroupID % ACROSS;
    const uint sharer = across * SUBGROUP + gl_SubgroupInvocationID;

    fetch_q(sequence, query0);
    fetch_k(sequence);
    stash_q();
    stash_kv();
    fetch_v(sequence);
    barrier();
    load_queries(down * EDGE);
    barrier(); /* scores come where q was */
    multiply_scores(down * EDGE, across);
    barrier();
    stash_kv();
    softmax(down * EDGE + sharer % EDGE, sharer / EDGE); /* has a barrier at the weights' end */
    load_weights(down * EDGE);
    barrier(); /* the result comes where the weights were */
    multiply_values(down * EDGE, across);
    barrier();
    store(sequence, query0);
#if PARTS == 2
    if (found)
        flag = 1.0;
#endif
}
