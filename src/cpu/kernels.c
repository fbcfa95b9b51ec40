/* SPDX-License-Identifier: MIT */
/* Which table of kernels serves which instruction set. */
#include "cpu/kernels.h"

const pv_kernels *pv_kernels_for(psgvit_isa ceiling)
{
#if defined(__x86_64__)
    if (ceiling >= PSGVIT_ISA_AVX512)
        return &pv_kernels_avx512;
    if (ceiling >= PSGVIT_ISA_AVX2)
        return &pv_kernels_avx2;
#endif
    (void)ceiling;
    return &pv_kernels_c;
}
