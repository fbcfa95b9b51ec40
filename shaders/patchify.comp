/* SPDX-License-Identifier: MIT */
/* Cuts a signal [B*C, T] into patches [B*groups*P, group*length], as pv_patch_shape says; samples
 * past T are 0. A thread copies one sample. */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "view.glsl"

layout(local_size_x_id = 0) in;

layout(push_constant, std430) uniform Push {
    View x, y;
    uint total; /* elements of y */
    uint channels, samples, group, groups, length, hop, count;
    bool time_major;
};
layout(binding = 0) readonly buffer X { float x_data[]; };
layout(binding = 1) writeonly buffer Y { float y_data[]; };

void main()
{
    const uint step = gl_NumWorkGroups.x * gl_WorkGroupSize.x, cols = group * length;
    for (uint i = gl_GlobalInvocationID.x; i < total; i += step) {
        const uint row = i / cols, c = i % cols;
        const uint epoch = row / (groups * count), token = row % (groups * count);
        const uint g = time_major ? token % groups : token / count;
        const uint p = time_major ? token / groups : token % count;
        const uint lead = epoch * channels + g * group + c / length, t = p * hop + c % length;
        y_data[y.at + row * y.stride + c] = t < samples ? x_data[x.at + lead * x.stride + t] : 0.0;
    }
}
