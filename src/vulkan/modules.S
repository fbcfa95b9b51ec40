/* SPDX-License-Identifier: MIT */
/* The shaders as SPIR-V, each between two labels; the build puts the .spv files in reach. */
    .macro module name
    .balign 4
    .globl pv_spirv_\name
    .hidden pv_spirv_\name
pv_spirv_\name:
    .incbin "\name\().spv"
    .globl pv_spirv_\name\()_end
    .hidden pv_spirv_\name\()_end
pv_spirv_\name\()_end:
    .endm

    .section .rodata
    module mix_channels
    module patchify
    module linear
    module linear_f16
    module linear_bf16
    module linear_split
    module linear_fragments_f16
    module linear_fragments_bf16
    module linear_fragments_split
    module assemble
    module layernorm
    module layernorm_tiles
    module attention
    module attention_f16
    module attention_split
    module attention_fragments_f16
    module attention_fragments_split
    module select_rows
    module mean_rows

    .section .note.GNU-stack, "", %progbits
