/* SPDX-License-Identifier: MIT */
/*
 * y = softmax(scale q k^T) v for each sequence and head, in one pass: a workgroup takes 16 * ROWS
 * queries of a head and goes over the keys in tiles of 32 with a running maximum and sum, so that
 * no score leaves it. Thread (tx, ty) of 8 x 16 has queries ty * ROWS + i; of the scores keys
 * 4 tx to 4 tx + 3, of the result dimensions 64 c + 32 h + 4 tx to 4 tx + 3. Heads are cut into
 * CHUNKS pieces of 64 dimensions, the last one filled up with 0. While one piece of k or v is
 * multiplied the next is fetched.
 */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "view.glsl"
#include "exp.glsl"
#include "operand.glsl"

layout(local_size_x_id = 0) in; /* 128 */
layout(constant_id = 1) const uint ROWS = 1;
layout(constant_id = 2) const uint CHUNKS = 1;
layout(constant_id = 3) const bool VECTOR = false; /* 4 | every at, every stride, dim */
layout(constant_id = 4) const uint FORM = 0;       /* of y, see operand.glsl; 4 | dim */

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
layout(binding = 3) writeonly buffer YReady { uvec2 y_ready4[]; };

const uint THREADS = 128, TX = 8, DEPTH = 64, KEYS = 32, QUERIES = 16 * ROWS;
const uint LOADS = KEYS * DEPTH / 4 / THREADS;
const float LEAST = -3.4e38;

/* In fours. One more a row of q and p keeps the rows that threads read at once in other banks. */
const uint SQ = DEPTH / 4 + 1, SP = KEYS / 4 + 1;
shared vec4 q_tile[QUERIES * SQ];      /* [query, d], scaled */
shared vec4 kv_tile[KEYS * DEPTH / 4]; /* k: [d, key], see stash_k; v: [key, d] */
shared vec4 p_tile[QUERIES * SP];      /* [query, key] */
shared vec4 part[QUERIES * TX / 4];    /* [query, tx]: each thread's share of a maximum or sum */

vec4 next[LOADS];
vec4 score[ROWS];
vec4 result[ROWS * CHUNKS * 2];
float top[ROWS], total[ROWS]; /* the running maximum; this thread's share of the sum */

/* Dimensions [d, d + 4) of a row; 0 stands where they end. */
#define LOAD(data, data4, base, d)                                                                 \
    (VECTOR ? (d < dim ? data4[(base) / 4] : vec4(0))                                              \
            : vec4(d < dim ? data[base] : 0.0, d + 1 < dim ? data[base + 1] : 0.0,                 \
                   d + 2 < dim ? data[base + 2] : 0.0, d + 3 < dim ? data[base + 3] : 0.0))

/* Where a head's rows begin. */
uint q_base, k_base, v_base, y_base;
uint y_row; /* the sequence's first */

void load_q(uint query0, uint depth)
{
    for (uint at = gl_LocalInvocationIndex; at < QUERIES * DEPTH / 4; at += THREADS) {
        const uint query = at / (DEPTH / 4), row = min(query0 + query, queries - 1);
        const uint d = depth + at % (DEPTH / 4) * 4, base = q_base + row * q.stride + d;
        q_tile[query * SQ + at % (DEPTH / 4)] = LOAD(q_data, q_data4, base, d) * scale;
    }
}

void fetch_k(uint key0, uint depth)
{
    [[unroll]] for (uint i = 0; i < LOADS; i++) {
        const uint at = gl_LocalInvocationIndex + i * THREADS;
        const uint row = min(key0 + at / (DEPTH / 4), keys - 1);
        const uint d = depth + at % (DEPTH / 4) * 4, base = k_base + row * k.stride + d;
        next[i] = LOAD(k_data, k_data4, base, d);
    }
}

void fetch_v(uint key0, uint depth)
{
    [[unroll]] for (uint i = 0; i < LOADS; i++) {
        const uint at = gl_LocalInvocationIndex + i * THREADS;
        const uint row = min(key0 + at / (DEPTH / 4), keys - 1);
        const uint d = depth + at % (DEPTH / 4) * 4, base = v_base + row * v.stride + d;
        next[i] = LOAD(v_data, v_data4, base, d);
    }
}

/* Key j of row d stands in column (j + d / 4 * 4) % KEYS: the transposed stores go to other banks,
 * and four keys stay together. */
void stash_k()
{
    [[unroll]] for (uint i = 0; i < LOADS; i++) {
        const uint at = gl_LocalInvocationIndex + i * THREADS;
        const uint d = at % (DEPTH / 4) * 4, column = (at / (DEPTH / 4) + d) % KEYS;
        [[unroll]] for (uint j = 0; j < 4; j++)
            kv_tile[((d + j) * KEYS + column) / 4][column % 4] = next[i][j];
    }
}

void stash_v()
{
    [[unroll]] for (uint i = 0; i < LOADS; i++)
        kv_tile[gl_LocalInvocationIndex + i * THREADS] = next[i];
}

/* score += q k^T over a piece of the dimensions. */
void add_scores(uint tx, uint ty)
{
    [[unroll]] for (uint d = 0; d < DEPTH / 4; d++) {
        vec4 key[4];
        [[unroll]] for (uint j = 0; j < 4; j++)
            key[j] = kv_tile[(d * 4 + j) * (KEYS / 4) + (tx + d) % (KEYS / 4)];
        [[unroll]] for (uint i = 0; i < ROWS; i++) {
            const vec4 a = q_tile[(ty * ROWS + i) * SQ + d];
            [[unroll]] for (uint j = 0; j < 4; j++)
                score[i] = fma(vec4(a[j]), key[j], score[i]);
        }
    }
}

/* Shares the threads' values of each query out among all threads of it. */
void share(float value[ROWS], uint tx, uint ty)
{
    [[unroll]] for (uint i = 0; i < ROWS; i++)
        part[((ty * ROWS + i) * TX + tx) / 4][tx % 4] = value[i];
    barrier();
}

/* The maximum moves on, what was summed before shrinks with it, and p_tile becomes e^(score -
 * maximum); keys past the end count nothing. */
void weigh(uint key0, uint tx, uint ty)
{
    const uvec4 key = key0 + 4 * tx + uvec4(0, 1, 2, 3);
    float best[ROWS];
    [[unroll]] for (uint i = 0; i < ROWS; i++) {
        score[i] = mix(vec4(LEAST), score[i], lessThan(key, uvec4(keys)));
        best[i] = max(max(score[i].x, score[i].y), max(score[i].z, score[i].w));
    }
    share(best, tx, ty);
    [[unroll]] for (uint i = 0; i < ROWS; i++) {
        const uint row = ty * ROWS + i;
        const vec4 most = max(part[row * 2], part[row * 2 + 1]);
        const float higher = max(top[i], max(max(most.x, most.y), max(most.z, most.w)));
        const float shrink = exp_negative(top[i] - higher);
        vec4 p;
        [[unroll]] for (uint j = 0; j < 4; j++)
            p[j] = key[j] < keys ? exp_negative(score[i][j] - higher) : 0.0;
        p_tile[row * SP + tx] = p;
        top[i] = higher;
        total[i] = fma(total[i], shrink, (p.x + p.y) + (p.z + p.w));
        [[unroll]] for (uint j = 0; j < CHUNKS * 2; j++)
            result[i * CHUNKS * 2 + j] *= shrink;
    }
}

/* result += p v for a piece of the dimensions. */
void add_values(uint chunk, uint tx, uint ty)
{
    [[unroll]] for (uint key = 0; key < KEYS / 4; key++) {
        vec4 value[8];
        [[unroll]] for (uint j = 0; j < 8; j++)
            value[j] = kv_tile[(key * 4 + j / 2) * (DEPTH / 4) + j % 2 * 8 + tx];
        [[unroll]] for (uint i = 0; i < ROWS; i++) {
            const vec4 p = p_tile[(ty * ROWS + i) * SP + key];
            const uint at = (i * CHUNKS + chunk) * 2;
            [[unroll]] for (uint j = 0; j < 8; j++)
                result[at + j % 2] = fma(vec4(p[j / 2]), value[j], result[at + j % 2]);
        }
    }
}

/* Dimensions [d, d + 4) of a row of y. */
void store4(uint query, uint d, vec4 v)
{
    const uint base = y_base + query * y.stride + d;
    if (d >= dim)
        return;
    if (FORM != FLOATS) {
        const uint at = fourth_at(FORM, y, y_row + query, gl_WorkGroupID.y * dim + d);
        const uvec4 parts = operand4(FORM, v);
        y_ready4[at] = parts.xy;
        if (FORM == SPLIT)
            y_ready4[at + 2 * TILE] = parts.zw;
    } else if (VECTOR) {
        y_data4[base / 4] = v;
    } else {
        [[unroll]] for (uint j = 0; j < 4; j++)
            if (d + j < dim)
                y_data[base + j] = v[j];
    }
}

/* result / total, four dimensions at a time. */
void store(uint query0, uint tx, uint ty)
{
    share(total, tx, ty);
    [[unroll]] for (uint i = 0; i < ROWS; i++) {
        const uint query = query0 + ty * ROWS + i;
        const vec4 sums = part[(ty * ROWS + i) * 2] + part[(ty * ROWS + i) * 2 + 1];
        const float factor = 1.0 / ((sums.x + sums.y) + (sums.z + sums.w));
        if (query >= queries)
            continue;
        [[unroll]] for (uint c = 0; c < CHUNKS * 2; c++)
            store4(query, c * 32 + 4 * tx, result[i * CHUNKS * 2 + c] * factor);
    }
}

void main()
{
    const uint tx = gl_LocalInvocationIndex % TX, ty = gl_LocalInvocationIndex / TX;
    const uint tile = first + gl_WorkGroupID.x, sequence = tile / tiles;
    const uint query0 = tile % tiles * QUERIES, head = gl_WorkGroupID.y * dim;
    q_base = q.at + sequence * queries * q.stride + head;
    k_base = k.at + sequence * keys * k.stride + head;
    v_base = v.at + sequence * keys * v.stride + head;
    y_row = sequence * queries;
    y_base = y.at + y_row * y.stride + head;

    [[unroll]] for (uint i = 0; i < ROWS; i++) {
        top[i] = LEAST;
        total[i] = 0.0;
    }
    [[unroll]] for (uint i = 0; i < ROWS * CHUNKS * 2; i++)
        result[i] = vec4(0);
    fetch_k(0, 0);
    if (CHUNKS == 1)
        load_q(query0, 0);
    for (uint key0 = 0; key0 < keys; key0 += KEYS) {
        [[unroll]] for (uint i = 0; i < ROWS; i++)
            score[i] = vec4(0);
        for (uint c = 0; c < CHUNKS; c++) {
            barrier();
            if (CHUNKS > 1)
                load_q(query0, c * DEPTH);
            stash_k();
            barrier();
            if (c + 1 < CHUNKS)
                fetch_k(key0, (c + 1) * DEPTH);
            else
                fetch_v(key0, 0);
            add_scores(tx, ty);
        }
        weigh(key0, tx, ty); /* has a barrier: after it k is no longer needed */
        [[unroll]] for (uint c = 0; c < CHUNKS; c++) {
            if (c > 0)
                barrier();
            stash_v();
            barrier();
            if (c + 1 < CHUNKS)
                fetch_v(key0, (c + 1) * DEPTH);
            else
                fetch_k(key0 + KEYS, 0); /* past the last tile it repeats a row, in vain */
            add_values(c, tx, ty);
        }
    }
    barrier(); /* the last tile's shares of the maximum have been read */
    store(query0, tx, ty);
}
