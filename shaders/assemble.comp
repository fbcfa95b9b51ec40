/* SPDX-License-Identifier: MIT */
/* Tokens of a sequence: y[s, i] = table[i], plus x[s, i - first] where i - first is one of x's
 * `given` tokens. A thread makes four neighbours of a row. */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "view.glsl"
#include "operand.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const bool VECTOR = false;
layout(constant_id = 2) const uint Y_FORM = 0;
const uint X_FORM = FLOATS;

layout(push_constant, std430) uniform Push {
    View x, table, y;
    uint fourths; /* of all rows of y */
    uint cols, tokens, given, first;
};
layout(binding = 1) readonly buffer Table { float table_data[]; };
layout(binding = 1) readonly buffer Table4 { vec4 table_data4[]; };
#define Y_BINDING 2
#include "rows.glsl"

vec4 load_table(uint token, uint c)
{
    const uint base = table.at + token * table.stride + c;
    if (VECTOR)
        return table_data4[base / 4];
    vec4 v = vec4(0);
    [[unroll]] for (uint j = 0; j < 4; j++)
        if (c + j < cols)
            v[j] = table_data[base + j];
    return v;
}

void main()
{
    const uint step = gl_NumWorkGroups.x * gl_WorkGroupSize.x, across = (cols + 3) / 4;
    for (uint i = gl_GlobalInvocationID.x; i < fourths; i += step) {
        const uint row = i / across, c = i % across * 4;
        const uint sequence = row / tokens, token = row % tokens;
        vec4 value = load_table(token, c);
        if (token >= first && token - first < given)
            value += load_x(sequence * given + token - first, c);
        store_y(row, c, value);
    }
}
