/* SPDX-License-Identifier: MIT */
/* Tokens of a sequence: y[s, i] = table[i], plus x[s, i - first] where i - first is one of x's
 * `given` tokens. A thread makes one element. */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "view.glsl"

layout(local_size_x_id = 0) in;

layout(push_constant, std430) uniform Push {
    View x, table, y;
    uint total; /* elements of y */
    uint cols, tokens, given, first;
};
layout(binding = 0) readonly buffer X { float x_data[]; };
layout(binding = 1) readonly buffer Table { float table_data[]; };
layout(binding = 2) writeonly buffer Y { float y_data[]; };

void main()
{
    const uint step = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
    for (uint i = gl_GlobalInvocationID.x; i < total; i += step) {
        const uint row = i / cols, c = i % cols;
        const uint sequence = row / tokens, token = row % tokens;
        float value = table_data[table.at + token * table.stride + c];
        if (token >= first && token - first < given)
            value += x_data[x.at + (sequence * given + token - first) * x.stride + c];
        y_data[y.at + row * y.stride + c] = value;
    }
}
