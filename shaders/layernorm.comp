/* SPDX-License-Identifier: MIT */
/*
 * y = (x - mean) / sqrt(variance + eps) * gamma + beta by row; y may be x. LANES threads have a
 * row, each VALUES groups of 4 in registers: the row is read once, the variance is the mean of
 * squared differences, as on the CPU.
 */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "view.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint LANES = 32;
layout(constant_id = 2) const uint ROWS = 4; /* of a workgroup */
layout(constant_id = 3) const uint VALUES = 1;
layout(constant_id = 4) const bool VECTOR = false; /* 4 | every at, every stride, cols */

layout(push_constant, std430) uniform Push {
    View x, y;
    uint gamma_at, beta_at;
    uint rows, cols;
    float eps;
};
layout(binding = 0) readonly buffer X { float x_data[]; };
layout(binding = 0) readonly buffer X4 { vec4 x_data4[]; };
layout(binding = 1) readonly buffer Gamma { float gamma_data[]; };
layout(binding = 1) readonly buffer Gamma4 { vec4 gamma_data4[]; };
layout(binding = 2) readonly buffer Beta { float beta_data[]; };
layout(binding = 2) readonly buffer Beta4 { vec4 beta_data4[]; };
layout(binding = 3) writeonly buffer Y { float y_data[]; };
layout(binding = 3) writeonly buffer Y4 { vec4 y_data4[]; };

shared float part[LANES * ROWS];

/* Groups of 4 go to the lanes in turn. */
uint column_of(uint i, uint lane)
{
    return (i * LANES + lane) * 4;
}

/* The sum of the lanes' values of a row, the same in each of them. */
float sum_lanes(float value, uint lane, uint slot)
{
    barrier();
    part[slot * LANES + lane] = value;
    barrier();
    float sum[4] = float[4](0.0, 0.0, 0.0, 0.0);
    for (uint i = 0; i < LANES; i += 4)
        [[unroll]] for (uint j = 0; j < 4; j++)
            sum[j] += part[slot * LANES + i + j];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

void main()
{
    const uint lane = gl_LocalInvocationIndex % LANES, slot = gl_LocalInvocationIndex / LANES;
    for (uint row0 = gl_WorkGroupID.x * ROWS; row0 < rows; row0 += gl_NumWorkGroups.x * ROWS) {
        const uint row = min(row0 + slot, rows - 1);
        vec4 value[VALUES];
        float sum = 0.0;
        [[unroll]] for (uint i = 0; i < VALUES; i++) {
            const uint c = column_of(i, lane), base = x.at + row * x.stride + c;
            value[i] = vec4(0);
            if (VECTOR && c < cols)
                value[i] = x_data4[base / 4];
            if (!VECTOR)
                [[unroll]] for (uint j = 0; j < 4; j++)
                    if (c + j < cols)
                        value[i][j] = x_data[base + j];
            sum += (value[i].x + value[i].y) + (value[i].z + value[i].w);
        }
        const float mean = sum_lanes(sum, lane, slot) / float(cols);
        float rest = 0.0, squares = 0.0;
        [[unroll]] for (uint i = 0; i < VALUES; i++)
            [[unroll]] for (uint j = 0; j < 4; j++) {
                const float d = column_of(i, lane) + j < cols ? value[i][j] - mean : 0.0;
                value[i][j] = d;
                rest += d;
                squares = fma(d, d, squares);
            }
        /* What the first mean is off by. */
        const float shift = sum_lanes(rest, lane, slot) / float(cols);
        const float variance = sum_lanes(squares, lane, slot) / float(cols) - shift * shift;
        const float factor = 1.0 / sqrt(variance + eps);
        if (row0 + slot >= rows)
            continue;
        [[unroll]] for (uint i = 0; i < VALUES; i++) {
            const uint c = column_of(i, lane), base = y.at + row * y.stride + c;
            if (VECTOR && c < cols)
                y_data4[base / 4] = fma((value[i] - shift) * factor, gamma_data4[(gamma_at + c) / 4],
                                        beta_data4[(beta_at + c) / 4]);
            if (!VECTOR)
                [[unroll]] for (uint j = 0; j < 4; j++)
                    if (c + j < cols)
                        y_data[base + j] =
                            fma((value[i][j] - shift) * factor, gamma_data[gamma_at + c + j],
                                beta_data[beta_at + c + j]);
        }
    }
}
