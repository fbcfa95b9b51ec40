/* SPDX-License-Identifier: MIT */
/*
 * q, k, v and y as the shaders of attention by cooperative matrices read and write them. Who
 * includes it has defined FORM and PARTS, READY (q, k and v are operands), EDGE, DIM and EIGHTS,
 * DIM / 8. A head is gl_WorkGroupID.y.
 */
layout(push_constant, std430) uniform Push {
    View q, k, v, y; /* 4 | every at and stride */
    uint queries, keys;
    uint tiles; /* of queries, of one sequence */
    uint first; /* tile of this dispatch */
    float scale;
};
layout(binding = 0) readonly buffer Q4 { vec4 q_data4[]; };
layout(binding = 0) readonly buffer Q8 { uvec4 q_data8[]; };
layout(binding = 1) readonly buffer K4 { vec4 k_data4[]; };
layout(binding = 1) readonly buffer K8 { uvec4 k_data8[]; };
layout(binding = 2) readonly buffer V4 { vec4 v_data4[]; };
layout(binding = 2) readonly buffer V8 { uvec4 v_data8[]; };
layout(binding = 3) writeonly buffer Y8 { uvec4 y_data8[]; };
#if PARTS == 2
layout(binding = 4) writeonly buffer Flag { float flag; };
#endif

/* Dimensions [d, d + 8) of a row of this head into to[i] and to[i + 1]. */
#define LOAD(to, i, data4, data8, view, index, d)                                                  \
    {                                                                                              \
        const uint column = gl_WorkGroupID.y * DIM + (d);                                          \
        if (READY) {                                                                               \
            [[unroll]] for (uint p = 0; p < PARTS; p++)                                            \
                to[(i) + p] = data8[eighth_at(FORM, view, index, column) + p * TILE];              \
        } else {                                                                                   \
            const uint begin = view.at + (index) * view.stride + column;                           \
            to[i] = floatBitsToUint(data4[begin / 4]);                                             \
            to[(i) + 1] = floatBitsToUint(data4[begin / 4 + 1]);                                   \
        }                                                                                          \
    }

/* Which row of q, k, v or y a thread takes, and which eighth of it. */
uvec2 place(uint at)
{
    const bool whole = READY && EDGE == 16; /* of tiles in memory */
    return whole ? place_of(DIM / 16, at) : uvec2(at / EIGHTS, at % EIGHTS);
}
