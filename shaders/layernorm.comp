/* SPDX-License-Identifier: MIT */
/*
 * y = (x - mean) / sqrt(variance + eps) * gamma + beta by row; y may be x. LANES threads have a
 * row, each VALUES groups of 4 in registers: the row is read once, the variance is the mean of
 * squared differences, as on the CPU.
 */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "view.glsl"
#include "operand.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint LANES = 32;
layout(constant_id = 2) const uint ROWS = 4; /* of a workgroup */
layout(constant_id = 3) const uint VALUES = 1;
layout(constant_id = 4) const bool VECTOR = false;
layout(constant_id = 5) const uint Y_FORM = 0;
const uint X_FORM = FLOATS; /* an operand goes by layernorm_tiles.comp */

#include "layernorm.glsl"

/* Each lane's sums, a vec4 for four lanes: of the values; of differences and of their squares. */
shared vec4 part[ROWS * LANES / 4], part_rest[ROWS * LANES / 4], part_squares[ROWS * LANES / 4];

/* Groups of 4 go to the lanes in turn. */
uint column_of(uint i, uint lane)
{
    return (i * LANES + lane) * 4;
}

vec4 gamma[VALUES], beta[VALUES];

/* Before the first row, so that no row waits for them. */
void load_parameters(uint lane)
{
    [[unroll]] for (uint i = 0; i < VALUES; i++) {
        const uint c = column_of(i, lane);
        if (c < cols) {
            gamma[i] = gamma4(c);
            beta[i] = beta4(c);
        }
    }
}

void main()
{
    const uint lane = gl_LocalInvocationIndex % LANES, slot = gl_LocalInvocationIndex / LANES;
    const uint parts = slot * LANES / 4, own = parts + lane / 4;
    load_parameters(lane);
    for (uint row0 = gl_WorkGroupID.x * ROWS; row0 < rows; row0 += gl_NumWorkGroups.x * ROWS) {
        const uint row = min(row0 + slot, rows - 1);
        vec4 value[VALUES], sum = vec4(0), rest = vec4(0), squares = vec4(0);
        [[unroll]] for (uint i = 0; i < VALUES; i++) {
            value[i] = load_x(row, column_of(i, lane));
            sum += value[i];
        }
        part[own][lane % 4] = add4(sum);
        barrier();
        sum = vec4(0);
        [[unroll]] for (uint i = 0; i < LANES / 4; i++)
            sum += part[parts + i];
        const float mean = add4(sum) / float(cols);
        [[unroll]] for (uint i = 0; i < VALUES; i++) {
            const uvec4 c = column_of(i, lane) + uvec4(0, 1, 2, 3);
            value[i] = mix(vec4(0), value[i] - mean, lessThan(c, uvec4(cols)));
            rest += value[i];
            squares = fma(value[i], value[i], squares);
        }
        part_rest[own][lane % 4] = add4(rest);
        part_squares[own][lane % 4] = add4(squares);
        barrier();
        rest = squares = vec4(0);
        [[unroll]] for (uint i = 0; i < LANES / 4; i++) {
            rest += part_rest[parts + i];
            squares += part_squares[parts + i];
        }
        /* What the first mean is off by. */
        const float shift = add4(rest) / float(cols);
        const float factor = 1.0 / sqrt(add4(squares) / float(cols) - shift * shift + eps);
        if (row0 + slot < rows)
            [[unroll]] for (uint i = 0; i < VALUES; i++)
                store_y(row, column_of(i, lane),
                        fma((value[i] - shift) * factor, gamma[i], beta[i]));
    }
}
