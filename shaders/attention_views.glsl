/* SPDX-License-Identifier: MIT */
/*
 * q, k, v and y as the shaders of attention by cooperative matrices have them; q, k and v are
 * declared here as float32, and as operands where they are read. A head is gl_WorkGroupID.y.
 */
layout(push_constant, std430) uniform Push {
    View q, k, v, y; /* 4 | every at and stride */
    uint queries, keys;
    uint tiles; /* of queries, of one sequence */
    uint first; /* tile of this dispatch */
    float scale;
};
layout(binding = 0) readonly buffer Q4 { vec4 q_data4[]; };
layout(binding = 1) readonly buffer K4 { vec4 k_data4[]; };
layout(binding = 2) readonly buffer V4 { vec4 v_data4[]; };
layout(binding = 3) writeonly buffer Y8 { uvec4 y_data8[]; };
#if PARTS == 2
layout(binding = 4) writeonly buffer Flag { float flag; };
#endif
