/* SPDX-License-Identifier: MIT */
/*
 * What the shaders of linear layers by cooperative matrices share: the layer,
 *
 *     y = epilogue(scale x W^T + bias), x [m, k], W [n, k], y [m, n],
 *
 * how they read an x that is no operand, and what happens to four neighbours of a row of y. Who
 * includes it has defined FORM (see operand.glsl), Element, its 16-bit number, and how many PARTS
 * of them make a float32. x and y are float32 or operands; W lies as operand.glsl says, without
 * gaps, filled up with 0; of two parts their sum is the weight.
 */
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint BM = 64; /* a workgroup's tile of y, */
layout(constant_id = 2) const uint BN = 64;
layout(constant_id = 3) const uint BK = 64; /* and how much of k it goes on at a time */
layout(constant_id = 4) const uint DOWN = 2; /* subgroups */
layout(constant_id = 5) const uint ACROSS = 2;
layout(constant_id = 6) const uint KS = 1; /* groups of so many subgroups, that share out BK */
layout(constant_id = 7) const uint EPILOGUE = 0; /* pv_epilogue */
layout(constant_id = 8) const bool BIAS = false;
layout(constant_id = 9) const bool VECTOR_X = false; /* 4 | at, stride, k */
layout(constant_id = 10) const bool VECTOR_Y = false; /* 4 | at, stride, n */
layout(constant_id = 11) const bool READY_X = false; /* x is an operand */
layout(constant_id = 12) const bool READY_Y = false; /* y is one */
layout(constant_id = 13) const uint EDGE = 16; /* of a matrix: 8 or 16 */
layout(constant_id = 14) const uint SUBGROUP = 32; /* threads of one */
layout(constant_id = 15) const bool TAIL = true; /* k is no multiple of BK */

const uint PLAIN = 0, GELU = 1, ADD = 2;
const uint GROUP = DOWN * ACROSS; /* subgroups of a group */
const uint THREADS = KS * GROUP * SUBGROUP;

layout(push_constant, std430) uniform Push {
    View x, y;
    uint bias_at;
    uint m, n, k;
    float scale;
};
layout(binding = 0) readonly buffer X { float x_data[]; };
layout(binding = 0) readonly buffer X2 { uvec2 x_data4[]; };
layout(binding = 0) readonly buffer X4 { vec4 x_floats4[]; };
layout(binding = 0) readonly buffer X8 { uvec4 x_data8[]; };
layout(binding = 1) readonly buffer W8 { uvec4 w_data8[]; };
layout(binding = 2) buffer Y { float y_data[]; };
layout(binding = 2) buffer Y4 { vec4 y_data4[]; };
layout(binding = 2) buffer YReady { uvec2 y_ready4[]; };
layout(binding = 3) readonly buffer Bias { float bias_data[]; };
#if PARTS == 2
layout(binding = 4) writeonly buffer Flag { float flag; };
#endif

uint w_pitch()
{
    return tiles_size(FORM, (n + 15) / 16);
}

/* Four neighbours of a row of an x in float32 that begin at `base`, in column c. */
vec4 load_x(uint base, uint c)
{
    if (VECTOR_X)
        return !TAIL || c < k ? x_floats4[base / 4] : vec4(0);
    vec4 v = vec4(0);
    [[unroll]] for (uint i = 0; i < 4; i++)
        if (c + i < k)
            v[i] = x_data[base + i];
    return v;
}

/* ---- four neighbours of a row of y ---- */

vec4 bias4(uint column)
{
    vec4 v = vec4(0);
    if (BIAS)
        [[unroll]] for (uint c = 0; c < 4; c++)
            v[c] = bias_data[bias_at + min(column + c, n - 1)];
    return v;
}

/* What y holds of them; `to` is where they stand in an operand, which is one in F16. */
vec4 old4(uint row, uint column, uint to)
{
    const uint base = y.at + row * y.stride + column;
    vec4 v = vec4(0);
    if (EPILOGUE != ADD || row >= m || column >= n)
        return v;
    if (READY_Y)
        return floats4(y_ready4[to]);
    if (VECTOR_Y)
        return y_data4[base / 4];
    [[unroll]] for (uint c = 0; c < 4; c++)
        if (column + c < n)
            v[c] = y_data[base + c];
    return v;
}

/* What the epilogue leaves to each element. */
float finish(float value, float bias, float old)
{
    value *= scale;
    if (BIAS)
        value += bias;
    if (EPILOGUE == GELU)
        return PARTS == 1 ? gelu_16(value) : gelu(value);
    return EPILOGUE == ADD ? old + value : value;
}

void finish4(uint row, uint column, uint to, vec4 v, vec4 bias, vec4 old)
{
    const uint first = y.at + row * y.stride + column;
    if (row >= m || column >= n)
        return;
    [[unroll]] for (uint e = 0; e < 4; e++)
        v[e] = finish(v[e], bias[e], old[e]);
    if (READY_Y) {
        const uvec4 parts = operand4(FORM, v);
        y_ready4[to] = parts.xy;
        if (PARTS == 2)
            y_ready4[to + 2 * TILE] = parts.zw;
    } else if (VECTOR_Y) {
        y_data4[first / 4] = v;
    } else {
        [[unroll]] for (uint c = 0; c < 4; c++)
            if (column + c < n)
                y_data[first + c] = v[c];
    }
}
