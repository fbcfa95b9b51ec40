/* SPDX-License-Identifier: MIT */
/* y = rows [first, first + count) of every group of `group` rows. A thread copies four neighbours
 * of a row. */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "view.glsl"
#include "operand.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const bool VECTOR = false;
layout(constant_id = 2) const uint Y_FORM = 0;
layout(constant_id = 3) const uint X_FORM = 0;

layout(push_constant, std430) uniform Push {
    View x, y;
    uint fourths; /* of all rows of y */
    uint cols, group, first, count;
};
#define Y_BINDING 1
#include "rows.glsl"

void main()
{
    const uint step = gl_NumWorkGroups.x * gl_WorkGroupSize.x, across = (cols + 3) / 4;
    for (uint i = gl_GlobalInvocationID.x; i < fourths; i += step) {
        const uint row = i / across, c = i % across * 4;
        store_y(row, c, load_x(row / count * group + first + row % count, c));
    }
}
