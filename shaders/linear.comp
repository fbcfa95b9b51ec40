/* SPDX-License-Identifier: MIT */
/*
 * y = epilogue(x W^T + bias) in float32; x [m, k], W [n, k], y [m, n]. A workgroup makes a tile of
 * BM x BN of y, a thread TM x TN of it in registers; slabs of BK of k go through shared memory, one
 * is fetched while another is multiplied. With KS > 1 a slab is shared out to KS groups of threads,
 * whose sums are added in order at the end. Rows and columns past the end repeat the last one and
 * are not stored; x counts as 0 past k.
 *
 * W comes in panels of 32 rows, k-major, padded with 0: element (r, c) is at
 * [(r / 32 * k + c) * 32 + r % 32]. Or it was made for linear_split.comp and comes in two parts
 * (operand.glsl), without gaps, multiplied by a power of two that w_scale undoes.
 */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "view.glsl"
#include "exp.glsl"
#include "operand.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint BM = 32;
layout(constant_id = 2) const uint BN = 32;
layout(constant_id = 3) const uint BK = 32;
layout(constant_id = 4) const uint TM = 4;
layout(constant_id = 5) const uint TN = 4;
layout(constant_id = 6) const uint KS = 1;
layout(constant_id = 7) const uint EPILOGUE = 0; /* pv_epilogue */
layout(constant_id = 8) const bool BIAS = false;
layout(constant_id = 9) const bool VECTOR_X = false; /* 4 | at, stride, k */
layout(constant_id = 10) const bool VECTOR_Y = false; /* 4 | at, stride, n, TN */
layout(constant_id = 11) const uint CHUNK = 0; /* slabs that are summed up before they are added to
                                                  the sum of the others; 0: all */
layout(constant_id = 12) const bool PARTS = false; /* W is in two parts */

const uint PLAIN = 0, GELU = 1, ADD = 2;

layout(push_constant, std430) uniform Push {
    View x, y;
    uint bias_at;
    uint m, n, k;
    float w_scale;
};
layout(binding = 0) readonly buffer X { float x_data[]; };
layout(binding = 0) readonly buffer X4 { vec4 x_data4[]; };
layout(binding = 1) readonly buffer W4 { vec4 w_data4[]; };
layout(binding = 1) readonly buffer WParts { uvec2 w_parts4[]; };
layout(binding = 2) buffer Y { float y_data[]; };
layout(binding = 2) buffer Y4 { vec4 y_data4[]; };
layout(binding = 3) readonly buffer Bias { float bias_data[]; };

const uint TX = BN / TN, TY = BM / TM; /* threads across and down a tile */
const uint GROUP = TX * TY, THREADS = GROUP * KS;
const uint KG = BK / KS; /* of a slab, for one group */
const uint X_LOADS = (BM * BK / 4 + THREADS - 1) / THREADS;
const uint W_LOADS = (BN * BK / 4 + THREADS - 1) / THREADS;

/* In fours: slabs [BK, BM] and [BK, BN], twice; a four more in a row spreads the transposed stores
 * over the banks. At the end the sums of the groups from the second on, [TM * TN, GROUP] each, and
 * then a row of each thread of the first. */
const uint SX = BM / 4 + 1, SW = BN / 4 + 1;
const uint SLABS = 2 * BK * (SX + SW), SUMS = (KS - 1) * BM * BN / 4, ROW = GROUP * TN / 4;
const uint MORE = SUMS > ROW ? SUMS : ROW;
shared vec4 slab[SLABS > MORE ? SLABS : MORE];

vec4 x_next[X_LOADS];
vec4 w_next[W_LOADS];
vec4 sum[TM * TN / 4];
vec4 chunk[TM * TN / 4];

/* A thread has TM / 4 times 4 neighbouring rows, and TN / 4 times 4 columns. */
uint row_of(uint i, uint ty)
{
    return i / 4 * (TY * 4) + ty * 4 + i % 4;
}

uint column_of(uint j, uint tx)
{
    return (j / 4 * TX + tx) * 4;
}

vec4 load_x(uint row, uint c)
{
    const uint base = x.at + min(row, m - 1) * x.stride + c;
    if (VECTOR_X)
        return c < k ? x_data4[base / 4] : vec4(0);
    vec4 v = vec4(0);
    [[unroll]] for (uint i = 0; i < 4; i++)
        if (c + i < k)
            v[i] = x_data[base + i];
    return v;
}

/* Columns [c, c + 4) of a row of W in two parts. */
vec4 load_parts(uint row, uint c)
{
    const uint tiles = (k + 15) / 16, column = min(c, tiles * 16 - 4);
    const uint pitch = tiles_size(SPLIT, (n + 15) / 16);
    const uint at = weight_fourth_at(SPLIT, pitch, min(row, n - 1), column);
    const uvec2 high = w_parts4[at], low = w_parts4[at + 2 * TILE];
    const vec4 first = vec4(unpackHalf2x16(high.x), unpackHalf2x16(high.y));
    const vec4 second = vec4(unpackHalf2x16(low.x), unpackHalf2x16(low.y));
    return (first + second) * w_scale;
}

/* Fetches the slab of k from `first` on into registers. */
void fetch(uint row0, uint column0, uint first)
{
    const uint t = gl_LocalInvocationIndex, last = (n + 31) / 32 * 32 - 4;
    [[unroll]] for (uint i = 0; i < X_LOADS; i++) {
        const uint at = t + i * THREADS;
        if (at < BM * BK / 4)
            x_next[i] = load_x(row0 + at / (BK / 4), first + at % (BK / 4) * 4);
    }
    [[unroll]] for (uint i = 0; i < W_LOADS; i++) {
        const uint at = t + i * THREADS;
        const uint column = min(column0 + at % (BN / 4) * 4, last);
        const uint c = min(first + at / (BN / 4), k - 1);
        if (at < BN * BK / 4)
            w_next[i] = PARTS ? load_parts(column0 + at / (BK / 4), first + at % (BK / 4) * 4)
                              : w_data4[(column / 32 * k + c) * 8 + column % 32 / 4];
    }
}

/* Puts what was fetched into one of the two slabs. */
void stash(uint which)
{
    const uint t = gl_LocalInvocationIndex;
    const uint xs = which * BK * SX, ws = 2 * BK * SX + which * BK * SW;
    [[unroll]] for (uint i = 0; i < X_LOADS; i++) {
        const uint at = t + i * THREADS, row = at / (BK / 4), c = at % (BK / 4) * 4;
        if (at < BM * BK / 4)
            [[unroll]] for (uint j = 0; j < 4; j++)
                slab[xs + (c + j) * SX + row / 4][row % 4] = x_next[i][j];
    }
    [[unroll]] for (uint i = 0; i < W_LOADS; i++) {
        const uint at = t + i * THREADS;
        if (PARTS && at < BN * BK / 4) {
            const uint column = at / (BK / 4), c = at % (BK / 4) * 4;
            [[unroll]] for (uint j = 0; j < 4; j++)
                slab[ws + (c + j) * SW + column / 4][column % 4] = w_next[i][j];
        }
        if (!PARTS && at < BN * BK / 4)
            slab[ws + at / (BN / 4) * SW + at % (BN / 4)] = w_next[i];
    }
}

void multiply(uint which, uint group, uint tx, uint ty)
{
    const uint xs = (which * BK + group * KG) * SX + ty;
    const uint ws = 2 * BK * SX + (which * BK + group * KG) * SW + tx;
    [[dont_unroll]] for (uint c0 = 0; c0 < KG; c0 += 4)
        [[unroll]] for (uint c = c0; c < c0 + 4; c++) {
            vec4 a[TM / 4], b[TN / 4];
            [[unroll]] for (uint i = 0; i < TM / 4; i++)
                a[i] = slab[xs + c * SX + i * TY];
            [[unroll]] for (uint j = 0; j < TN / 4; j++)
                b[j] = slab[ws + c * SW + j * TX];
            [[unroll]] for (uint i = 0; i < TM; i++)
                [[unroll]] for (uint j = 0; j < TN / 4; j++)
                    sum[i * TN / 4 + j] = fma(vec4(a[i / 4][i % 4]), b[j], sum[i * TN / 4 + j]);
        }
}

void promote()
{
    [[unroll]] for (uint i = 0; i < TM * TN / 4; i++) {
        chunk[i] += sum[i];
        sum[i] = vec4(0.0);
    }
}

/* The first group's sums become those of all groups. */
void add_groups(uint group, uint thread)
{
    barrier();
    if (group > 0)
        [[unroll]] for (uint i = 0; i < TM * TN / 4; i++)
            slab[((group - 1) * TM * TN / 4 + i) * GROUP + thread] = sum[i];
    barrier();
    if (group == 0)
        [[unroll]] for (uint i = 0; i < TM * TN / 4; i++)
            [[unroll]] for (uint g = 0; g < KS - 1; g++)
                sum[i] += slab[(g * TM * TN / 4 + i) * GROUP + thread];
}

vec4 add_bias(vec4 value, uint column)
{
    if (BIAS)
        [[unroll]] for (uint c = 0; c < 4; c++)
            value[c] += bias_data[bias_at + min(column + c, n - 1)];
    return value;
}

/* GELU is long: where a thread has many sums, it goes over a row of them in a loop, and what a loop
 * indexes has to lie in memory. */
void apply_gelu(uint i, uint thread, uint column0, uint tx)
{
    [[unroll]] for (uint j = 0; j < TN / 4; j++)
        slab[j * GROUP + thread] = sum[i * TN / 4 + j];
    [[dont_unroll]] for (uint j = 0; j < TN / 4; j++) {
        const vec4 v = add_bias(slab[j * GROUP + thread], column0 + column_of(4 * j, tx));
        slab[j * GROUP + thread] = vec4(gelu(v.x), gelu(v.y), gelu(v.z), gelu(v.w));
    }
    [[unroll]] for (uint j = 0; j < TN / 4; j++)
        sum[i * TN / 4 + j] = slab[j * GROUP + thread];
}

void store(vec4 value, uint base, uint column)
{
    if (VECTOR_Y) {
        if (column < n)
            y_data4[(base + column) / 4] =
                EPILOGUE == ADD ? y_data4[(base + column) / 4] + value : value;
    } else {
        [[unroll]] for (uint c = 0; c < 4; c++)
            if (column + c < n)
                y_data[base + column + c] =
                    EPILOGUE == ADD ? y_data[base + column + c] + value[c] : value[c];
    }
}

void store_row(uint i, uint row, uint thread, uint column0, uint tx)
{
    const uint base = y.at + row * y.stride;
    if (EPILOGUE == GELU)
        apply_gelu(i, thread, column0, tx);
    [[unroll]] for (uint j = 0; j < TN / 4; j++) {
        const uint column = column0 + column_of(4 * j, tx);
        const vec4 value = sum[i * TN / 4 + j];
        store(EPILOGUE == GELU ? value : add_bias(value, column), base, column);
    }
}

void main()
{
    const uint row0 = gl_WorkGroupID.y * BM, column0 = gl_WorkGroupID.x * BN;
    const uint thread = gl_LocalInvocationIndex % GROUP, group = gl_LocalInvocationIndex / GROUP;
    const uint tx = thread % TX, ty = thread / TX;

    [[unroll]] for (uint i = 0; i < TM * TN / 4; i++) {
        sum[i] = vec4(0.0);
        chunk[i] = vec4(0.0);
    }
    fetch(row0, column0, 0);
    stash(0);
    const uint slabs = (k + BK - 1) / BK;
    for (uint s = 0; s < slabs; s++) {
        barrier();
        if (s + 1 < slabs)
            fetch(row0, column0, (s + 1) * BK);
        multiply(s % 2, group, tx, ty);
        if (CHUNK > 0 && (s + 1) % CHUNK == 0)
            promote();
        if (s + 1 < slabs)
            stash((s + 1) % 2);
    }
    if (CHUNK > 0)
        [[unroll]] for (uint i = 0; i < TM * TN / 4; i++)
            sum[i] += chunk[i];
    if (KS > 1)
        add_groups(group, thread);
    barrier();
    if (group > 0)
        return;
    [[unroll]] for (uint i = 0; i < TM; i++) {
        const uint row = row0 + row_of(i, ty);
        if (row < m)
            store_row(i, row, thread, column0, tx);
    }
}
