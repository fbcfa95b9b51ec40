/* SPDX-License-Identifier: MIT */
/* y = the mean of rows [first, first + count) of every group of `group` rows. A thread makes one
 * element, from four partial sums. */
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
        const uint base = x.at + (row * group + first) * x.stride + c;
        float sum[4] = float[4](0.0, 0.0, 0.0, 0.0);
        for (uint r = 0; r < count; r += 4)
            [[unroll]] for (uint j = 0; j < 4; j++)
                if (r + j < count)
                    sum[j] += x_data[base + (r + j) * x.stride];
        const float total_sum = (sum[0] + sum[1]) + (sum[2] + sum[3]);
        y_data[y.at + row * y.stride + c] = total_sum / float(count);
    }
}
