/* SPDX-License-Identifier: MIT */
/* y[b, o, :] = bias[o] + sum over c of weight[o, c] * x[b, c, :]. A thread makes one element. */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "view.glsl"

layout(local_size_x_id = 0) in;

layout(push_constant, std430) uniform Push {
    View x, weight, y;
    uint bias_at;
    uint total; /* elements of y */
    uint cols, channels_in, channels_out;
};
layout(binding = 0) readonly buffer X { float x_data[]; };
layout(binding = 1) readonly buffer Weight { float weight_data[]; };
layout(binding = 2) readonly buffer Bias { float bias_data[]; };
layout(binding = 3) writeonly buffer Y { float y_data[]; };

void main()
{
    const uint step = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
    for (uint i = gl_GlobalInvocationID.x; i < total; i += step) {
        const uint row = i / cols, c = i % cols;
        const uint epoch = row / channels_out, channel = row % channels_out;
        const uint from = x.at + epoch * channels_in * x.stride + c;
        const uint w = weight.at + channel * weight.stride;
        float sum = 0.0;
        for (uint j = 0; j < channels_in; j++)
            sum = fma(weight_data[w + j], x_data[from + j * x.stride], sum);
        y_data[y.at + row * y.stride + c] = sum + bias_data[bias_at + channel];
    }
}
