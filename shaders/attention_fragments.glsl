/* SPDX-License-Identifier: MIT */
/*
 * y = softmax(scale q k^T) v for each sequence and head on a device that is known to spread its
 * matrices as fragments.glsl says; the body of attention_fragments_f16.comp and
 * attention_fragments_split.comp, which define FORM (see operand.glsl), Element, its 16-bit number,
 * and how many PARTS of them make a float32. q, k and v are float32 or operands, y becomes one.
 *
 * A subgroup takes 16 queries from memory to their result in registers, all keys at once. A row of
 * scores lies in four neighbouring threads, which find its maximum and sum by shuffles, and each
 * thread's scores stand where its weights have to. So subgroups share no memory and never wait for
 * each other; what they read of the same k and v is the cache's to share. Each of a head's begins
 * with another tile of keys, so that together they ask for all of k at once: 256 epochs of OSF-base
 * take 62 us in f16 and 142 in two parts, 95 and 276 where all begin with the first one (H200,
 * 2026-11-23). With 32 queries a subgroup k and v are read half as often, but it takes 90 and 304.
 *
 * Keys past the end repeat the last one and weigh nothing, queries past the end are not stored. A
 * query's bits depend on its number in its sequence, not on the team.
 */
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_shuffle : require
#extension GL_KHR_shader_subgroup_vote : require
#include "view.glsl"
#include "exp.glsl"
#include "operand.glsl"
#include "fragments.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint SUBGROUPS = 6; /* of 32 threads */
layout(constant_id = 2) const uint KEY_TILES = 6; /* of 16 keys */
layout(constant_id = 3) const uint DIM_TILES = 4; /* of 16 dimensions, exactly; two at a time */
layout(constant_id = 4) const bool READY = false; /* q, k, v are operands */

const uint DIM = DIM_TILES * 16;
const uint VALUE_STEPS = DIM_TILES / 2 * KEY_TILES; /* of 16 keys and 32 dimensions */
/* What is on its way while matrices are multiplied: tiles of keys, and steps of values, of which
 * the first ones come while weights are made. Twice as many or half change no more than 2 %. */
const uint KEYS_AHEAD = 2 / PARTS, KEY_SLOTS = KEYS_AHEAD + 1;
const uint VALUES_AHEAD = 4 / PARTS, VALUE_SLOTS = VALUES_AHEAD + 1;
/* Tiles of keys that a matrix unit sums up by itself: see TOTALS in linear_fragments.glsl. */
const uint CHUNK = 4;
const float LEAST = -3.4e38;
const float NO_KEY = -1e30; /* far below any score, even scaled, and not infinite */
/* What weights are multiplied by, so that none that counts is subnormal in two parts of f16. */
const float UP = PARTS == 2 ? 32768.0 : 1.0;

#include "attention_views.glsl"
layout(binding = 0) readonly buffer Q2 { uvec2 q_data2[]; };
layout(binding = 1) readonly buffer K2 { uvec2 k_data2[]; };
layout(binding = 2) readonly buffer V2 { uvec2 v_data2[]; };

/* A thread's row and columns of a matrix: g and t of fragments.glsl. */
const uint THREADS = 32;
uint own_g() { return gl_SubgroupInvocationID / 4; }
uint own_t() { return gl_SubgroupInvocationID % 4; }

/* ---- where four numbers stand, in units of 8 bytes, of float32 of 16 ---- */

/* Which row of 16 in memory is row n of a matrix, n < 8; row n + 8 is the next one. Threads read
 * rows n to n + 3 of k at once, and rows 0, 2, 4, 6 or 1, 3, 5, 7 of v: by this order those are
 * four different sectors of a line of a cache, wherever a sequence begins. In their own order 256
 * epochs of OSF-base take 65 us in f16, 144.5 in two parts. */
uint row_in_tile(uint n)
{
    return (n & 6) ^ (n & 1) * 12;
}

/* Columns [c, c + 4) of this head in row r. */
uint four_at(View view, uint r, uint c)
{
    const uint column = gl_WorkGroupID.y * DIM + c;
    return READY ? fourth_at(FORM, view, r, column) : (view.at + r * view.stride + column) / 4;
}

/* From there to the same 16 rows below, and 16 columns to the right. */
uint below(View view)
{
    return READY ? 2 * tiles_size(FORM, 1) : 4 * view.stride;
}

uint beside(View view)
{
    return READY ? view.stride / 2 : 4;
}

/* Their first parts in xy, of SPLIT the second ones in zw. */
#define LOAD_FOUR(name, data4, data2)                                                              \
    uvec4 name(uint at)                                                                            \
    {                                                                                              \
        if (!READY)                                                                                \
            return operand4(FORM, data4[at]);                                                      \
        return uvec4(data2[at], PARTS == 2 ? data2[at + 2 * TILE] : uvec2(0));                     \
    }
LOAD_FOUR(load_q, q_data4, q_data2)
LOAD_FOUR(load_k, k_data4, k_data2)
LOAD_FOUR(load_v, v_data4, v_data2)

/* Four numbers of a thread's rows g and g + 8 as a part of both. */
uvec4 part_of(uvec4 low, uvec4 high, uint p)
{
    return p == 0 ? uvec4(low.xy, high.xy) : uvec4(low.zw, high.zw);
}

/* ---- a subgroup's matrices ---- */

MatrixA query[PARTS * DIM_TILES];
MatrixC score[KEY_TILES];
MatrixA weight[PARTS * KEY_TILES];
vec2 share;     /* of rows g and g + 8: 1 / the sum of weights */
MatrixC result[2];
float doubt;    /* infinite or NaN if a number may be too large */
uint first_key; /* tile */

/* Where a row of keys stands in the first tile, and in the last one, where rows past the end are
 * the last key again. */
struct Place {
    uint at, last;
};
Place k_place[2], v_place[4];
uvec4 key_four[KEY_SLOTS * DIM_TILES * 2];
uvec4 value_four[VALUE_SLOTS * 4];

Place place_of_key(View view, uint sequence, uint row, uint c)
{
    const uint key0 = sequence * keys, last = min((KEY_TILES - 1) * 16 + row, keys - 1);
    return Place(four_at(view, key0 + row, c), four_at(view, key0 + last, c));
}

uint key_tile(uint j)
{
    const uint tile = j + first_key;
    return tile < KEY_TILES ? tile : tile - KEY_TILES;
}

uint key_at(Place place, View view, uint j)
{
    const uint tile = key_tile(j);
    return tile == KEY_TILES - 1 ? place.last : place.at + tile * below(view);
}

void find_keys(uint sequence)
{
    [[unroll]] for (uint h = 0; h < 2; h++)
        k_place[h] = place_of_key(k, sequence, row_in_tile(own_g()) + h, own_t() * 4);
    [[unroll]] for (uint e = 0; e < 4; e++)
        v_place[e] = place_of_key(v, sequence, row_in_tile(2 * own_t() + e % 2) + e / 2,
                                  own_g() * 4);
}

void fetch_keys(uint j)
{
    [[unroll]] for (uint h = 0; h < 2; h++) {
        const uint at = key_at(k_place[h], k, j);
        [[unroll]] for (uint c = 0; c < DIM_TILES; c++)
            key_four[(j % KEY_SLOTS * DIM_TILES + c) * 2 + h] = load_k(at + c * beside(k));
    }
}

/* A thread's four keys of a matrix of v^T, and four of 32 dimensions. */
void fetch_values(uint step)
{
    [[unroll]] for (uint e = 0; e < 4; e++)
        value_four[step % VALUE_SLOTS * 4 + e] =
            load_v(key_at(v_place[e], v, step % KEY_TILES) + step / KEY_TILES * 2 * beside(v));
}

void fetch_queries(uint sequence, uint query0)
{
    uint at[2];
    [[unroll]] for (uint h = 0; h < 2; h++) {
        const uint own = min(query0 + row_in_tile(own_g()) + h, queries - 1);
        at[h] = four_at(q, sequence * queries + own, own_t() * 4);
    }
    [[unroll]] for (uint c = 0; c < DIM_TILES; c++) {
        const uvec4 low = load_q(at[0] + c * beside(q)), high = load_q(at[1] + c * beside(q));
        [[unroll]] for (uint p = 0; p < PARTS; p++) {
            const uvec4 bits = part_of(low, high, p);
            FILL(query[PARTS * c + p], bits)
        }
    }
}

/* ---- products ---- */

/* Scores begin with 0, or with what nothing can make a key. */
MatrixC begin_scores(uint j)
{
    MatrixC m = MatrixC(0.0);
    if (key_tile(j) == KEY_TILES - 1)
        [[unroll]] for (uint e = 0; e < 4; e++) {
            const uint row = row_in_tile(2 * own_t() + e % 2) + e / 2;
            m[e] = m[e + 4] = (KEY_TILES - 1) * 16 + row < keys ? 0.0 : NO_KEY;
        }
    return m;
}

/* Of two parts, second times second is left out, and the products that count 2^-11 have a sum of
 * their own: `less`. */
void multiply_scores(uint j)
{
    MatrixC sum = begin_scores(j), less = MatrixC(0.0);
    [[unroll]] for (uint c = 0; c < DIM_TILES; c++) {
        const uint four = (j % KEY_SLOTS * DIM_TILES + c) * 2;
        MatrixB b[PARTS];
        [[unroll]] for (uint p = 0; p < PARTS; p++) {
            const uvec4 bits = part_of(key_four[four], key_four[four + 1], p);
            FILL(b[p], bits)
        }
#if PARTS == 2
        less = coopMatMulAdd(query[2 * c + 1], b[0], less);
        less = coopMatMulAdd(query[2 * c], b[1], less);
#endif
        sum = coopMatMulAdd(query[PARTS * c], b[0], sum);
    }
#if PARTS == 2
    sum += less * (1.0 / 2048.0);
#endif
    score[j] = sum;
}

/* Column n of matrix s has dimension 4 n + 2 s of 32, n < 8, and n + 8 the next one, so that what a
 * thread has of one key is in one place. */
void fill_values(out MatrixB b, uint step, uint s, uint p)
{
    [[unroll]] for (uint e = 0; e < 4; e++) {
        const Pair pair = pair_of(value_four[step % VALUE_SLOTS * 4 + e][2 * p + s]);
        b[e] = pair.x;
        b[e + 4] = pair.y;
    }
}

/* 32 dimensions of the result; `less` as above. */
void multiply_values(uint step0)
{
    MatrixC less[2], total[2];
    [[unroll]] for (uint s = 0; s < 2; s++)
        result[s] = less[s] = total[s] = MatrixC(0.0);
    [[unroll]] for (uint j = 0; j < KEY_TILES; j++) {
        const uint step = step0 + j;
        if (step + VALUES_AHEAD < VALUE_STEPS)
            fetch_values(step + VALUES_AHEAD);
        [[unroll]] for (uint s = 0; s < 2; s++) {
            MatrixB b[PARTS];
            [[unroll]] for (uint p = 0; p < PARTS; p++)
                fill_values(b[p], step, s, p);
#if PARTS == 2
            less[s] = coopMatMulAdd(weight[2 * j + 1], b[0], less[s]);
            less[s] = coopMatMulAdd(weight[2 * j], b[1], less[s]);
            if (j > 0 && j % CHUNK == 0) {
                total[s] += result[s];
                result[s] = MatrixC(0.0);
            }
#endif
            result[s] = coopMatMulAdd(weight[PARTS * j], b[0], result[s]);
        }
    }
#if PARTS == 2
    [[unroll]] for (uint s = 0; s < 2; s++)
        result[s] += total[s] + less[s] * (1.0 / 2048.0);
#endif
}

/* ---- weights ---- */

/* e^(scale (score - most)). In f16 it is 2^(x / ln 2), whose factor goes with the scale. */
float weigh(float score, float most)
{
#if PARTS == 2
    return exp_negative((score - most) * scale) * UP;
#else
    const float factor = scale * (1.44269504 / (F16_SCALE * F16_SCALE));
    return exp2(fma(score, factor, -most * factor));
#endif
}

/* Two weights: x has their first parts, y the second ones. None is too large for f16, or so small
 * that it would matter how it is rounded. */
uvec2 weights_of(vec2 w)
{
#if PARTS == 2
    const vec2 head = uintBitsToFloat((floatBitsToUint(w) + 0x1000u) & 0xffffe000u);
    return uvec2(packHalf2x16(head), packHalf2x16((w - head) * 2048.0));
#else
    return uvec2(packHalf2x16(w), 0);
#endif
}

/* The greatest of each row of scores. */
vec2 find_most()
{
    vec2 most = vec2(LEAST);
    [[unroll]] for (uint j = 0; j < KEY_TILES; j++)
        [[unroll]] for (uint e = 0; e < 4; e++)
            most = max(most, vec2(score[j][e], score[j][e + 4]));
    most = max(most, subgroupShuffleXor(most, 1));
    return max(most, subgroupShuffleXor(most, 2));
}

void softmax()
{
    const vec2 most = find_most();
    vec2 sum = vec2(0);
    [[unroll]] for (uint j = 0; j < KEY_TILES; j++) {
        uvec4 bits[2];
        [[unroll]] for (uint e = 0; e < 8; e += 2) {
            const vec2 s = vec2(score[j][e], score[j][e + 1]);
            const vec2 w = vec2(weigh(s.x, most[e / 4]), weigh(s.y, most[e / 4]));
            const uvec2 parts = weights_of(w);
            sum[e / 4] += w.x + w.y;
            doubt += s.x + s.y;
            bits[0][e / 2] = parts.x;
            bits[1][e / 2] = parts.y;
        }
        [[unroll]] for (uint p = 0; p < PARTS; p++)
            FILL(weight[PARTS * j + p], bits[p])
    }
    sum += subgroupShuffleXor(sum, 1);
    share = 1.0 / (sum + subgroupShuffleXor(sum, 2));
}

/* ---- the result ---- */

/* Four numbers of the result as they are stored; what was made of v in f16 has its scale. */
uvec4 stored(vec4 y4)
{
    return FORM == F16 ? uvec4(packHalf2x16(y4.xy), packHalf2x16(y4.zw), 0, 0) : operand4(FORM, y4);
}

/* Dimensions [c, c + 32) of this head: eight of each row and thread. */
void store(uint sequence, uint query0, uint c)
{
    [[unroll]] for (uint h = 0; h < 2; h++) {
        const uint own = query0 + row_in_tile(own_g()) + h;
        const vec4 m = FOUR_OF(result[0], h) * share[h], n = FOUR_OF(result[1], h) * share[h];
        doubt += (m.x + m.y) + (m.z + m.w) + (n.x + n.y) + (n.z + n.w);
        if (own >= queries)
            continue;
        const uvec4 a = stored(vec4(m.x, m.z, n.x, n.z)), b = stored(vec4(m.y, m.w, n.y, n.w));
        const uint column = gl_WorkGroupID.y * DIM + c + own_t() * 8;
        const uint to = eighth_at(FORM, y, sequence * queries + own, column);
        y_data8[to] = uvec4(a.xy, b.xy);
        if (PARTS == 2)
            y_data8[to + TILE] = uvec4(a.zw, b.zw);
    }
}

#if PARTS == 2
/* Is a number of these queries, or of all keys, marked as too large? It is infinite in f16, makes
 * scores or results infinite or NaN, and only then this is asked. */
bool find_large(uint sequence, uint query0)
{
    bool found = false;
    const uint count = min(queries - query0, 16);
    for (uint i = gl_SubgroupInvocationID; i < count * (DIM / 4); i += THREADS) {
        const uint own = sequence * queries + query0 + i / (DIM / 4);
        const uvec4 four = load_q(four_at(q, own, i % (DIM / 4) * 4));
        found = found || too_large(uvec4(four.xy, 0, 0));
    }
    for (uint i = gl_SubgroupInvocationID; i < keys * (DIM / 4); i += THREADS) {
        const uint own = sequence * keys + i / (DIM / 4), c = i % (DIM / 4) * 4;
        found = found || too_large(uvec4(load_k(four_at(k, own, c)).xy,
                                         load_v(four_at(v, own, c)).xy));
    }
    return found;
}
#endif

void attend(uint sequence, uint query0)
{
    first_key = query0 / 16 % KEY_TILES;
    doubt = 0.0;
    find_keys(sequence);
    [[unroll]] for (uint j = 0; j < KEYS_AHEAD && j < KEY_TILES; j++)
        fetch_keys(j);
    fetch_queries(sequence, query0);
    [[unroll]] for (uint j = 0; j < KEY_TILES; j++) {
        if (j + KEYS_AHEAD < KEY_TILES)
            fetch_keys(j + KEYS_AHEAD);
        multiply_scores(j);
    }
    [[unroll]] for (uint step = 0; step < VALUES_AHEAD && step < VALUE_STEPS; step++)
        fetch_values(step);
    softmax();
    [[unroll]] for (uint c = 0; c < DIM_TILES; c += 2) {
        multiply_values(c / 2 * KEY_TILES);
        store(sequence, query0, c * 16);
    }
#if PARTS == 2
    const uint exponent = 0x7f800000u;
    if (subgroupAny((floatBitsToUint(doubt) & exponent) == exponent) &&
        find_large(sequence, query0))
        flag = 1.0;
#endif
}

void main()
{
    const uint tile = first + gl_WorkGroupID.x;
    const uint query0 = (tile % tiles * SUBGROUPS + gl_SubgroupID) * 16;
    if (query0 < queries)
        attend(tile / tiles, query0);
}
