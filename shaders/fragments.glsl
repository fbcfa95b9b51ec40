/* SPDX-License-Identifier: MIT */
/*
 * Cooperative matrices of 16 x 16 element by element, on a device that keeps them as the mma
 * instruction of PTX does (PTX ISA, "Matrix Fragments for mma.m16n8k16"; the self-test proves it).
 * Of 32 threads, thread 4 g + t has eight elements of each matrix; of x and of sums
 *
 *     (g, 2t) (g, 2t + 1) (g, 2t + 8) (g, 2t + 9), and the same of row g + 8
 *
 * in this order, row before column; of W^T, (k, n), the same with n for the row and k for the
 * column. In which order k runs is all the same as long as both have the same one: elements 2t,
 * 2t + 1, 2t + 8 and 2t + 9 of x and of W take 4t to 4t + 3 of memory, so that a thread reads them
 * at once.
 */
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require

#define MatrixA coopmat<Element, gl_ScopeSubgroup, 16, 16, gl_MatrixUseA>
#define MatrixB coopmat<Element, gl_ScopeSubgroup, 16, 16, gl_MatrixUseB>
#define MatrixC coopmat<float, gl_ScopeSubgroup, 16, 16, gl_MatrixUseAccumulator>

/* Two numbers of 16 bits as they stand in a uint. */
#ifdef PAIR_OF_BF16
#extension GL_EXT_spirv_intrinsics : require
spirv_instruction(id = 124) bf16vec2 pair_of(uint bits); /* OpBitcast */
#define Pair bf16vec2
#else
#define pair_of unpackFloat2x16
#define Pair f16vec2
#endif

/* A thread's elements of a matrix, its rows' four numbers each: g in xy, g + 8 in zw. */
#define FILL(matrix, bits)                                                                         \
    [[unroll]] for (uint e_ = 0; e_ < 4; e_++) {                                                   \
        const Pair pair_ = pair_of((bits)[e_]);                                                    \
        (matrix)[2 * e_] = pair_.x;                                                                \
        (matrix)[2 * e_ + 1] = pair_.y;                                                            \
    }

/* Four elements of a thread: h is 0 for those of row g, 1 for g + 8. */
#define FOUR_OF(matrix, h)                                                                      \
    vec4((matrix)[4 * (h)], (matrix)[4 * (h) + 1], (matrix)[4 * (h) + 2],                       \
         (matrix)[4 * (h) + 3])
