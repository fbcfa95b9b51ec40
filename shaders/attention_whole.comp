/* SPDX-License-Identifier: MIT */
/*
 * y = softmax(scale q k^T) v in f16 where a workgroup has all queries of a sequence and head, so
 * that k and v are read once; by cooperative matrices of EDGE x EDGE x EDGE with float32 sums. q, k
 * and v are float32 or operands, multiplied by F16_SCALE, which is undone in the scores; y, which
 * becomes an operand, has it as v does.
 *
 * A subgroup takes EDGE queries from their scores to their result in matrices that stay in
 * registers. What subgroups share is k and then v, and only for these they wait for each other.
 * Keys past the end repeat the last one and weigh nothing, queries past the end are not stored.
 */
#version 450
#pragma use_vulkan_memory_model
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#include "view.glsl"
#include "operand.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint QUERY_TILES = 6; /* of EDGE queries, one a subgroup */
layout(constant_id = 2) const uint SUBGROUP = 32;   /* threads of one */
layout(constant_id = 3) const uint EDGE = 16;       /* 8 or 16 */
layout(constant_id = 4) const uint KEY_TILES = 6;   /* of EDGE keys */
layout(constant_id = 5) const uint DIM_TILES = 4;   /* of EDGE dimensions, exactly */
layout(constant_id = 6) const bool READY = false;   /* q, k, v are operands */

#define FORM  F16
#define PARTS 1
const uint THREADS = QUERY_TILES * SUBGROUP;
const uint QUERIES = QUERY_TILES * EDGE, KEYS = KEY_TILES * EDGE, DIM = DIM_TILES * EDGE;
const uint EIGHTS = DIM / 8; /* of a row of q, k, v or y */
const uint Q_LOADS = (EDGE * EIGHTS + SUBGROUP - 1) / SUBGROUP;
const uint KV_LOADS = (KEYS * EIGHTS + THREADS - 1) / THREADS;
/* Of a matrix a thread takes an eighth, eight numbers, of a row, or several of them. */
const uint TILE_EIGHTS = EDGE / 8;
const uint TURNS = (EDGE * TILE_EIGHTS + SUBGROUP - 1) / SUBGROUP;
const float NO_KEY = -1e30; /* far below any score, even scaled, and not infinite */

#include "attention_views.glsl"

/* In units of 16 bytes. kv: each subgroup's q, then k, then v, one unit more a row to spread the
 * rows over the banks. stage: a subgroup's own, two matrices in f16 or one in float32, for what
 * threads have to see row by row, or matrix units as another operand. Rows of three units in f16
 * and of six in float32 meet no bank twice. Both together stay below 24 KiB for the models' shapes:
 * an H200 takes two workgroups at a time then, and what one waits for is filled by the other. */
const uint STRIDE = EIGHTS + 1, HALF_ROW = TILE_EIGHTS + 1, FULL_ROW = 2 * HALF_ROW;
const uint SLOTS = 2, SLOT = EDGE * HALF_ROW, STAGE = SLOTS * SLOT;
shared uvec4 kv[(KEYS > QUERIES ? KEYS : QUERIES) * STRIDE];
shared uvec4 stage[QUERY_TILES * STAGE];

#define MatrixA coopmat<float16_t, gl_ScopeSubgroup, EDGE, EDGE, gl_MatrixUseA>
#define MatrixB coopmat<float16_t, gl_ScopeSubgroup, EDGE, EDGE, gl_MatrixUseB>
#define MatrixC coopmat<float, gl_ScopeSubgroup, EDGE, EDGE, gl_MatrixUseAccumulator>
#define MatrixH coopmat<float16_t, gl_ScopeSubgroup, EDGE, EDGE, gl_MatrixUseAccumulator>

uvec4 q_next[2 * Q_LOADS]; /* eight numbers each two: f16, or the bits of float32 */
uvec4 kv_next[2 * KV_LOADS];

void fetch_q(uint sequence)
{
    [[unroll]] for (uint i = 0; i < Q_LOADS; i++) {
        const uvec2 own = place(gl_SubgroupInvocationID + i * SUBGROUP);
        const uint query = min(gl_SubgroupID * EDGE + own.x, queries - 1);
        if (own.x < EDGE)
            LOAD(q_next, 2 * i, q_data4, q_data8, q, sequence * queries + query, own.y * 8)
    }
}

/* All keys of k, or of v. */
#define FETCH_KV(name, data4, data8, view)                                                         \
    void name(uint sequence)                                                                       \
    {                                                                                              \
        [[unroll]] for (uint i = 0; i < KV_LOADS; i++) {                                           \
            const uvec2 own = place(gl_LocalInvocationIndex + i * THREADS);                        \
            const uint index = sequence * keys + min(own.x, keys - 1);                             \
            if (own.x < KEYS)                                                                      \
                LOAD(kv_next, 2 * i, data4, data8, view, index, own.y * 8)                         \
        }                                                                                          \
    }
FETCH_KV(fetch_k, k_data4, k_data8, k)
FETCH_KV(fetch_v, v_data4, v_data8, v)

void stash_kv()
{
    [[unroll]] for (uint i = 0; i < KV_LOADS; i++) {
        const uvec2 own = place(gl_LocalInvocationIndex + i * THREADS);
        if (own.x >= KEYS)
            continue;
        if (!READY)
            operand8(FORM, kv_next[2 * i], kv_next[2 * i + 1]);
        kv[own.x * STRIDE + own.y] = kv_next[2 * i];
    }
}

MatrixA query[DIM_TILES];
MatrixC score[KEY_TILES]; /* then e^(score - maximum) */
MatrixC share;            /* 1 / the sum of these */
MatrixA weight[KEY_TILES];
MatrixC result[DIM_TILES];

/* By rows of kv that nobody else has yet. */
void take_queries()
{
    const uint row0 = gl_SubgroupID * EDGE;
    [[unroll]] for (uint i = 0; i < Q_LOADS; i++) {
        const uvec2 own = place(gl_SubgroupInvocationID + i * SUBGROUP);
        if (own.x >= EDGE)
            continue;
        if (!READY)
            operand8(FORM, q_next[2 * i], q_next[2 * i + 1]);
        kv[(row0 + own.x) * STRIDE + own.y] = q_next[2 * i];
    }
    subgroupBarrier();
    [[unroll]] for (uint c = 0; c < DIM_TILES; c++)
        coopMatLoad(query[c], kv, row0 * STRIDE + c * TILE_EIGHTS, STRIDE,
                    gl_CooperativeMatrixLayoutRowMajor);
}

/* ---- a subgroup's own matrices, row by row ---- */

/* A thread's row of a matrix, and which eighth of it; in float32 these are fourths y and
 * y + TILE_EIGHTS. */
uvec2 share_of(uint turn)
{
    const uint at = gl_SubgroupInvocationID + turn * SUBGROUP;
    return uvec2(at / TILE_EIGHTS, at % TILE_EIGHTS);
}

/* Each row's maximum, or 1 / its sum, in the place of all its numbers. */
MatrixC over_rows(MatrixC m, const bool sums)
{
    const uint stage0 = gl_SubgroupID * STAGE;
    float value[TURNS];
    subgroupBarrier(); /* nobody reads what was there */
    coopMatStore(m, stage, stage0, FULL_ROW, gl_CooperativeMatrixLayoutRowMajor);
    subgroupBarrier();
    [[unroll]] for (uint i = 0; i < TURNS; i++) {
        const uint row = stage0 + min(share_of(i).x, EDGE - 1) * FULL_ROW;
        vec4 all = uintBitsToFloat(stage[row]);
        [[unroll]] for (uint f = 1; f < EDGE / 4; f++) {
            const vec4 more = uintBitsToFloat(stage[row + f]);
            all = sums ? all + more : max(all, more);
        }
        value[i] = sums ? 1.0 / ((all.x + all.y) + (all.z + all.w))
                        : max(max(all.x, all.y), max(all.z, all.w));
    }
    subgroupBarrier();
    [[unroll]] for (uint i = 0; i < TURNS; i++) {
        const uvec2 own = share_of(i);
        const uint at = stage0 + own.x * FULL_ROW + own.y;
        if (own.x < EDGE)
            stage[at] = stage[at + TILE_EIGHTS] = floatBitsToUint(vec4(value[i]));
    }
    subgroupBarrier();
    coopMatLoad(m, stage, stage0, FULL_ROW, gl_CooperativeMatrixLayoutRowMajor);
    return m;
}

/* Scores begin with 0, or with what nothing can make a key. */
void begin_scores()
{
    const uint stage0 = gl_SubgroupID * STAGE, key0 = KEYS - EDGE;
    [[unroll]] for (uint j = 0; j < KEY_TILES; j++)
        score[j] = MatrixC(0.0);
    if (keys == KEYS)
        return;
    [[unroll]] for (uint i = 0; i < TURNS; i++) {
        const uvec2 own = share_of(i);
        [[unroll]] for (uint f = 0; f < EDGE / 4; f += TILE_EIGHTS) {
            const uvec4 key = key0 + (f + own.y) * 4 + uvec4(0, 1, 2, 3);
            const vec4 begin = mix(vec4(0), vec4(NO_KEY), greaterThanEqual(key, uvec4(keys)));
            if (own.x < EDGE)
                stage[stage0 + own.x * FULL_ROW + f + own.y] = floatBitsToUint(begin);
        }
    }
    subgroupBarrier();
    coopMatLoad(score[KEY_TILES - 1], stage, stage0, FULL_ROW, gl_CooperativeMatrixLayoutRowMajor);
}

/* Puts a matrix into a slot in f16. */
void put(MatrixC m, uint slot)
{
    coopMatStore(MatrixH(m), stage, gl_SubgroupID * STAGE + slot * SLOT, HALF_ROW,
                 gl_CooperativeMatrixLayoutRowMajor);
}

/* ---- products ---- */

void multiply_scores()
{
    [[unroll]] for (uint c = 0; c < DIM_TILES; c++)
        [[unroll]] for (uint j = 0; j < KEY_TILES; j++) {
            MatrixB b;
            coopMatLoad(b, kv, j * EDGE * STRIDE + c * TILE_EIGHTS, STRIDE,
                        gl_CooperativeMatrixLayoutColumnMajor);
            score[j] = coopMatMulAdd(query[c], b, score[j]);
        }
}

void multiply_values()
{
    [[unroll]] for (uint c = 0; c < DIM_TILES; c++) {
        result[c] = MatrixC(0.0);
        [[unroll]] for (uint j = 0; j < KEY_TILES; j++) {
            MatrixB b;
            coopMatLoad(b, kv, j * EDGE * STRIDE + c * TILE_EIGHTS, STRIDE,
                        gl_CooperativeMatrixLayoutRowMajor);
            result[c] = coopMatMulAdd(weight[j], b, result[c]);
        }
    }
}

/* Weights are at most 1, so that f16 needs no scale for them. e^x is 2^(x / ln 2), whose factor
 * goes with the scale. */
void softmax()
{
    const float factor = scale * (1.44269504 / (F16_SCALE * F16_SCALE));
    MatrixC most = score[0], sum = MatrixC(0.0);
    [[unroll]] for (uint j = 1; j < KEY_TILES; j++)
        for (int i = 0; i < most.length(); i++)
            most[i] = max(most[i], score[j][i]);
    most = over_rows(most, false);
    [[unroll]] for (uint j = 0; j < KEY_TILES; j++)
        for (int i = 0; i < most.length(); i++) {
            score[j][i] = exp2(fma(score[j][i], factor, -most[i] * factor));
            sum[i] += score[j][i];
        }
    share = over_rows(sum, true);
    [[unroll]] for (uint j = 0; j < KEY_TILES; j += SLOTS) {
        subgroupBarrier();
        [[unroll]] for (uint s = 0; s < SLOTS && j + s < KEY_TILES; s++)
            put(score[j + s], s);
        subgroupBarrier();
        [[unroll]] for (uint s = 0; s < SLOTS && j + s < KEY_TILES; s++)
            coopMatLoad(weight[j + s], stage, gl_SubgroupID * STAGE + s * SLOT, HALF_ROW,
                        gl_CooperativeMatrixLayoutRowMajor);
    }
}

void store(uint sequence)
{
    [[unroll]] for (uint c = 0; c < DIM_TILES; c += SLOTS) {
        subgroupBarrier();
        [[unroll]] for (uint s = 0; s < SLOTS && c + s < DIM_TILES; s++) {
            for (int i = 0; i < share.length(); i++)
                result[c + s][i] *= share[i];
            put(result[c + s], s);
        }
        subgroupBarrier();
        [[unroll]] for (uint i = 0; i < TURNS; i++) {
            const uvec2 own = share_of(i);
            const uint row = row_of(min(own.x, EDGE - 1)), query = gl_SubgroupID * EDGE + row;
            if (own.x >= EDGE || query >= queries)
                continue;
            [[unroll]] for (uint s = 0; s < SLOTS && c + s < DIM_TILES; s++) {
                const uint column = gl_WorkGroupID.y * DIM + (c + s) * EDGE + own.y * 8;
                y_data8[eighth_at(FORM, y, sequence * queries + query, column)] =
                    stage[gl_SubgroupID * STAGE + s * SLOT + row * HALF_ROW + own.y];
            }
        }
    }
}

void main()
{
    const uint sequence = first + gl_WorkGroupID.x; /* one tile each */

    fetch_q(sequence);
    fetch_k(sequence);
    begin_scores();
    take_queries();
    barrier(); /* k comes where q was */
    stash_kv();
    barrier();
    fetch_v(sequence);
    multiply_scores();
    softmax();
    barrier(); /* v comes where k was */
    stash_kv();
    barrier();
    multiply_values();
    store(sequence);
}
