/* SPDX-License-Identifier: MIT */
/*
 * What layernorm.comp does of an x that is an operand in F16, a residual stream: a workgroup has 16
 * rows, and 32 neighbouring threads read a tile as it lies, 16 bytes each. 23296 x 768 take 27 us
 * on an H200, and row by row, of which a tile has 32 bytes each, 65.
 */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "view.glsl"
#include "operand.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint TEAMS = 4; /* of 32 threads */
layout(constant_id = 2) const uint EACH = 1;  /* tiles of a team */
layout(constant_id = 3) const bool VECTOR = false;
layout(constant_id = 4) const uint Y_FORM = 0; /* FLOATS or F16 */
const uint X_FORM = F16;

#include "layernorm.glsl"
layout(binding = 0) readonly buffer X8 { uvec4 x_data8[]; };
layout(binding = 3) writeonly buffer Y8 { uvec4 y_data8[]; };

const uint SUMS = TEAMS / 2; /* of a row, by fours */
shared vec4 part[16 * SUMS], part_rest[16 * SUMS], part_squares[16 * SUMS];

/* Eight columns of a row from c on; `at` is where in its row of tiles they stand in an operand. */
void store(uint row, uint c, uint at, vec4 a, vec4 b)
{
    if (Y_FORM != FLOATS) {
        y_data8[y.at / 4 + c / 16 * (y.stride / 4) + at] =
            uvec4(operand4(F16, a).xy, operand4(F16, b).xy);
    } else {
        store_y(row, c, a);
        store_y(row, c + 4, b);
    }
}

void main()
{
    const uint lane = gl_LocalInvocationIndex % 32, first = gl_LocalInvocationIndex / 32;
    const uint slot = lane / 2, side = lane % 2 * 8, sums = slot * SUMS;
    const uint own = sums + (2 * first + lane % 2) / 4, e = (2 * first + lane % 2) % 4;
    for (uint r = gl_WorkGroupID.x; r * 16 < rows; r += gl_NumWorkGroups.x) {
        const uint row = r * 16 + row_of(slot), at = tiles_size(F16, r) + lane;
        uvec4 value[EACH];
        vec4 sum = vec4(0), rest = vec4(0), squares = vec4(0);
        [[unroll]] for (uint i = 0; i < EACH; i++) {
            const uint tile = first + i * TEAMS;
            value[i] = tile * 16 < cols ? x_data8[x.at / 4 + tile * (x.stride / 4) + at] : uvec4(0);
        }
        [[unroll]] for (uint i = 0; i < EACH; i++)
            sum += floats4(value[i].xy) + floats4(value[i].zw);
        part[own][e] = add4(sum);
        barrier();
        sum = vec4(0);
        [[unroll]] for (uint i = 0; i < SUMS; i++)
            sum += part[sums + i];
        const float mean = add4(sum) / float(cols);
        [[unroll]] for (uint i = 0; i < EACH; i++)
            if ((first + i * TEAMS) * 16 < cols) {
                const vec4 a = floats4(value[i].xy) - mean, b = floats4(value[i].zw) - mean;
                rest += a + b;
                squares = fma(a, a, fma(b, b, squares));
            }
        part_rest[own][e] = add4(rest);
        part_squares[own][e] = add4(squares);
        barrier();
        rest = squares = vec4(0);
        [[unroll]] for (uint i = 0; i < SUMS; i++) {
            rest += part_rest[sums + i];
            squares += part_squares[sums + i];
        }
        /* What the first mean is off by. */
        const float shift = add4(rest) / float(cols);
        const float factor = 1.0 / sqrt(add4(squares) / float(cols) - shift * shift + eps);
        const float middle = mean + shift;
        [[unroll]] for (uint i = 0; i < EACH; i++) {
            const uint c = (first + i * TEAMS) * 16 + side;
            const vec4 a = (floats4(value[i].xy) - middle) * factor;
            const vec4 b = (floats4(value[i].zw) - middle) * factor;
            if (c < cols && row < rows)
                store(row, c, at, fma(a, gamma4(c), beta4(c)), fma(b, gamma4(c + 4), beta4(c + 4)));
        }
    }
}
