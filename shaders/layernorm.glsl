/* SPDX-License-Identifier: MIT */
/*
 * What the two shaders of LayerNorm share. Who includes it has defined VECTOR, X_FORM and Y_FORM as
 * rows.glsl says; VECTOR speaks of gamma and beta, too.
 */
layout(push_constant, std430) uniform Push {
    View x, y;
    uint gamma_at, beta_at;
    uint rows, cols;
    float eps;
};
layout(binding = 1) readonly buffer Gamma { float gamma_data[]; };
layout(binding = 1) readonly buffer Gamma4 { vec4 gamma_data4[]; };
layout(binding = 2) readonly buffer Beta { float beta_data[]; };
layout(binding = 2) readonly buffer Beta4 { vec4 beta_data4[]; };
#define Y_BINDING 3
#include "rows.glsl"

float add4(vec4 v)
{
    return (v.x + v.y) + (v.z + v.w);
}

/* Of columns [c, c + 4), c < cols; past the last one 0. */
#define LOAD_PARAMETERS(name, at, data, data4)                                                     \
    vec4 name(uint c)                                                                              \
    {                                                                                              \
        if (VECTOR)                                                                                \
            return data4[(at + c) / 4];                                                            \
        vec4 v = vec4(0);                                                                          \
        [[unroll]] for (uint j = 0; j < 4; j++)                                                    \
            if (c + j < cols)                                                                      \
                v[j] = data[at + c + j];                                                           \
        return v;                                                                                  \
    }
LOAD_PARAMETERS(gamma4, gamma_at, gamma_data, gamma_data4)
LOAD_PARAMETERS(beta4, beta_at, beta_data, beta_data4)
