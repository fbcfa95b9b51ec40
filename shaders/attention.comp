/* SPDX-License-Identifier: MIT */
/*
 * y = softmax(scale q k^T) v for each sequence and head, in one pass: a workgroup takes 8 * ROWS
 * queries of a head and goes over the keys in tiles of 32 with a running maximum and sum, so that
 * no score leaves it. Thread (tx, ty) of 16 x 8 has queries ty * ROWS + i; of the scores keys
 * 2 tx and 2 tx + 1, of the result dimensions 64 c + 4 tx + j. Heads are cut into CHUNKS pieces of
 * 64 dimensions, the last one filled up with 0.
 */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "view.glsl"
#include "exp.glsl"

layout(local_size_x_id = 0) in; /* 128 */
layout(constant_id = 1) const uint ROWS = 1;
layout(constant_id = 2) const uint CHUNKS = 1;
layout(constant_id = 3) const bool VECTOR = false; /* 4 | every at, every stride, dim */

layout(push_constant, std430) uniform Push {
    View q, k, v, y;
    uint queries, keys, dim;
    uint tiles; /* of queries, of one sequence */
    uint first; /* tile of this dispatch */
    float scale;
};
layout(binding = 0) readonly buffer Q { float q_data[]; };
layout(binding = 0) readonly buffer Q4 { vec4 q_data4[]; };
layout(binding = 1) readonly buffer K { float k_data[]; };
layout(binding = 1) readonly buffer K4 { vec4 k_data4[]; };
layout(binding = 2) readonly buffer V { float v_data[]; };
layout(binding = 2) readonly buffer V4 { vec4 v_data4[]; };
layout(binding = 3) writeonly buffer Y { float y_data[]; };
layout(binding = 3) writeonly buffer Y4 { vec4 y_data4[]; };

const uint THREADS = 128, DEPTH = 64, KEYS = 32, QUERIES = 8 * ROWS;
const uint SK = KEYS + 2; /* spreads the transposed stores over the banks, and keeps pairs whole */
const float LEAST = -3.4e38;

shared float q_tile[QUERIES * DEPTH];                   /* [query, d], scaled */
shared float kv_tile[DEPTH * SK > KEYS * DEPTH ? DEPTH * SK : KEYS * DEPTH]; /* [d, key]; [key, d] */
shared float s_tile[QUERIES * KEYS], p_tile[QUERIES * KEYS]; /* [query, key] */

float score[ROWS * 2];
float result[ROWS * CHUNKS * 4];
float top[ROWS], total[ROWS];

/* Dimensions [d, d + 4) of a row; 0 stands where they end. */
#define LOAD(data, data4, base, d)                                                                 \
    (VECTOR ? (d < dim ? data4[(base) / 4] : vec4(0))                                              \
            : vec4(d < dim ? data[base] : 0.0, d + 1 < dim ? data[base + 1] : 0.0,                 \
                   d + 2 < dim ? data[base + 2] : 0.0, d + 3 < dim ? data[base + 3] : 0.0))

/* Where a head's rows begin. */
uint q_base, k_base, v_base, y_base;

void load_q(uint query0, uint depth)
{
    for (uint at = gl_LocalInvocationIndex; at < QUERIES * DEPTH / 4; at += THREADS) {
        const uint query = min(query0 + at / (DEPTH / 4), queries - 1);
        const uint d = depth + at % (DEPTH / 4) * 4, base = q_base + query * q.stride + d;
        const vec4 value = LOAD(q_data, q_data4, base, d) * scale;
        [[unroll]] for (uint j = 0; j < 4; j++)
            q_tile[at * 4 + j] = value[j];
    }
}

void load_k(uint key0, uint depth)
{
    for (uint at = gl_LocalInvocationIndex; at < KEYS * DEPTH / 4; at += THREADS) {
        const uint key = at / (DEPTH / 4), row = min(key0 + key, keys - 1);
        const uint c = at % (DEPTH / 4) * 4, d = depth + c, base = k_base + row * k.stride + d;
        const vec4 value = LOAD(k_data, k_data4, base, d);
        [[unroll]] for (uint j = 0; j < 4; j++)
            kv_tile[(c + j) * SK + key] = value[j];
    }
}

void load_v(uint key0, uint depth)
{
    for (uint at = gl_LocalInvocationIndex; at < KEYS * DEPTH / 4; at += THREADS) {
        const uint row = min(key0 + at / (DEPTH / 4), keys - 1);
        const uint d = depth + at % (DEPTH / 4) * 4, base = v_base + row * v.stride + d;
        const vec4 value = LOAD(v_data, v_data4, base, d);
        [[unroll]] for (uint j = 0; j < 4; j++)
            kv_tile[at * 4 + j] = value[j];
    }
}

/* score += q k^T over a piece of the dimensions. */
void add_scores(uint tx, uint ty)
{
    [[unroll]] for (uint d = 0; d < DEPTH; d++) {
        const float k0 = kv_tile[d * SK + 2 * tx], k1 = kv_tile[d * SK + 2 * tx + 1];
        [[unroll]] for (uint i = 0; i < ROWS; i++) {
            const float a = q_tile[(ty * ROWS + i) * DEPTH + d];
            score[2 * i] = fma(a, k0, score[2 * i]);
            score[2 * i + 1] = fma(a, k1, score[2 * i + 1]);
        }
    }
}

/* The maximum moves on, what was summed before shrinks with it, and p_tile becomes e^(score -
 * maximum); keys past the end count nothing. All threads of a query do the same sums. */
void weigh(uint key0, uint tx, uint ty)
{
    [[unroll]] for (uint i = 0; i < ROWS; i++)
        [[unroll]] for (uint j = 0; j < 2; j++)
            s_tile[(ty * ROWS + i) * KEYS + 2 * tx + j] =
                key0 + 2 * tx + j < keys ? score[2 * i + j] : LEAST;
    barrier();
    [[unroll]] for (uint i = 0; i < ROWS; i++) {
        const uint row = (ty * ROWS + i) * KEYS;
        float next = top[i];
        [[unroll]] for (uint j = 0; j < KEYS; j++)
            next = max(next, s_tile[row + j]);
        const float shrink = exp_negative(top[i] - next);
        top[i] = next;
        total[i] *= shrink;
        [[unroll]] for (uint j = 0; j < CHUNKS * 4; j++)
            result[i * CHUNKS * 4 + j] *= shrink;
        [[unroll]] for (uint j = 0; j < 2; j++)
            p_tile[row + 2 * tx + j] =
                key0 + 2 * tx + j < keys ? exp_negative(score[2 * i + j] - next) : 0.0;
    }
}

void add_total(uint ty)
{
    [[unroll]] for (uint i = 0; i < ROWS; i++) {
        float sum = 0.0;
        [[unroll]] for (uint j = 0; j < KEYS; j++)
            sum += p_tile[(ty * ROWS + i) * KEYS + j];
        total[i] += sum;
    }
}

/* result += p v for a piece of the dimensions. */
void add_values(uint chunk, uint tx, uint ty)
{
    [[unroll]] for (uint key = 0; key < KEYS; key++) {
        float value[4];
        [[unroll]] for (uint j = 0; j < 4; j++)
            value[j] = kv_tile[key * DEPTH + 4 * tx + j];
        [[unroll]] for (uint i = 0; i < ROWS; i++) {
            const float p = p_tile[(ty * ROWS + i) * KEYS + key];
            [[unroll]] for (uint j = 0; j < 4; j++) {
                const uint at = (i * CHUNKS + chunk) * 4 + j;
                result[at] = fma(p, value[j], result[at]);
            }
        }
    }
}

void store(uint query0, uint tx, uint ty)
{
    [[unroll]] for (uint i = 0; i < ROWS; i++) {
        const uint query = query0 + ty * ROWS + i;
        if (query >= queries)
            continue;
        const float factor = 1.0 / total[i];
        [[unroll]] for (uint c = 0; c < CHUNKS; c++) {
            const uint d = c * DEPTH + 4 * tx, base = y_base + query * y.stride + d;
            vec4 value;
            [[unroll]] for (uint j = 0; j < 4; j++)
                value[j] = result[(i * CHUNKS + c) * 4 + j] * factor;
            if (VECTOR) {
                if (d < dim)
                    y_data4[base / 4] = value;
            } else {
                [[unroll]] for (uint j = 0; j < 4; j++)
                    if (d + j < dim)
                        y_data[base + j] = value[j];
            }
        }
    }
}

void main()
{
    const uint tx = gl_LocalInvocationIndex % 16, ty = gl_LocalInvocationIndex / 16;
    const uint tile = first + gl_WorkGroupID.x, sequence = tile / tiles;
    const uint query0 = tile % tiles * QUERIES, head = gl_WorkGroupID.y * dim;
    q_base = q.at + sequence * queries * q.stride + head;
    k_base = k.at + sequence * keys * k.stride + head;
    v_base = v.at + sequence * keys * v.stride + head;
    y_base = y.at + sequence * queries * y.stride + head;

    [[unroll]] for (uint i = 0; i < ROWS; i++) {
        top[i] = LEAST;
        total[i] = 0.0;
    }
    [[unroll]] for (uint i = 0; i < ROWS * CHUNKS * 4; i++)
        result[i] = 0.0;
    if (CHUNKS == 1)
        load_q(query0, 0);
    for (uint key0 = 0; key0 < keys; key0 += KEYS) {
        [[unroll]] for (uint i = 0; i < ROWS * 2; i++)
            score[i] = 0.0;
        for (uint c = 0; c < CHUNKS; c++) {
            if (CHUNKS > 1)
                load_q(query0, c * DEPTH);
            load_k(key0, c * DEPTH);
            barrier();
            add_scores(tx, ty);
            barrier();
        }
        weigh(key0, tx, ty);
        [[unroll]] for (uint c = 0; c < CHUNKS; c++) {
            load_v(key0, c * DEPTH);
            barrier();
            if (c == 0)
                add_total(ty);
            add_values(c, tx, ty);
            barrier();
        }
    }
    store(query0, tx, ty);
}
