/* SPDX-License-Identifier: MIT */
/*
 * Four neighbours of a row of x, which is binding 0, and of y, which is binding Y_BINDING: each
 * float32 or an operand. Who includes it has declared the views x and y and the rows' `cols`, and
 * the constants VECTOR, whether float32 is read and written by fours (4 | every at, every stride,
 * cols), and X_FORM and Y_FORM (operand.glsl), of which X_FORM is FLOATS or F16.
 */
layout(binding = 0) readonly buffer X { float x_data[]; };
layout(binding = 0) readonly buffer X4 { vec4 x_data4[]; };
layout(binding = 0) readonly buffer XReady { uvec2 x_ready4[]; };
layout(binding = Y_BINDING) writeonly buffer Y { float y_data[]; };
layout(binding = Y_BINDING) writeonly buffer Y4 { vec4 y_data4[]; };
layout(binding = Y_BINDING) writeonly buffer YReady { uvec2 y_ready4[]; };

/* Past the last column 0. */
vec4 load_x(uint row, uint c)
{
    const uint base = x.at + row * x.stride + c;
    vec4 v = vec4(0);
    if (X_FORM != FLOATS)
        return c < cols ? floats4(x_ready4[fourth_at(X_FORM, x, row, c)]) : v;
    if (VECTOR)
        return c < cols ? x_data4[base / 4] : v;
    [[unroll]] for (uint j = 0; j < 4; j++)
        if (c + j < cols)
            v[j] = x_data[base + j];
    return v;
}

void store_y(uint row, uint c, vec4 v)
{
    const uint first = y.at + row * y.stride + c;
    if (c >= cols)
        return;
    if (Y_FORM != FLOATS) {
        const uint at = fourth_at(Y_FORM, y, row, c);
        const uvec4 parts = operand4(Y_FORM, v);
        y_ready4[at] = parts.xy;
        if (Y_FORM == SPLIT)
            y_ready4[at + 2 * TILE] = parts.zw;
    } else if (VECTOR) {
        y_data4[first / 4] = v;
    } else {
        [[unroll]] for (uint j = 0; j < 4; j++)
            if (c + j < cols)
                y_data[first + j] = v[j];
    }
}
