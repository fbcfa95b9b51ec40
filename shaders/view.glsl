/* SPDX-License-Identifier: MIT */
/* Included by every shader. A view of a binding, as ops/tensor.h has it: element (r, c) of float32
 * is at [at + r * stride + c]; operand.glsl says where an operand's is. A binding holds fewer than
 * 2^30 floats, so 32 bits index it. */
#extension GL_EXT_control_flow_attributes : require

struct View {
    uint at;
    uint stride;
};
