/* SPDX-License-Identifier: MIT */
/* y = rows [first, first + count) of every group of `group` rows. A thread copies one element. */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "view.glsl"

layout(local_size_x_id = 0) in;

layout(push_constant, std430) uniform Push {
    View x, y;
    uint total; /* elements of y */
    uint cols, group, first, count;
};
layout(binding = 0) readonly buffer X { float x_data[]; };
layout(binding = 1) writeonly buffer Y { float y_data[]; };

void main()
{
    const uint step = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
    for (uint i = gl_GlobalInvocationID.x; i < total; i += step) {
        const uint row = i / cols, c = i % cols;
        const uint from = row / count * group + first + row % count;
        y_data[y.at + row * y.stride + c] = x_data[x.at + from * x.stride + c];
    }
}
