/* SPDX-License-Identifier: MIT */
/* Which table of kernels serves which instruction set. */
#include "cpu/kernels.h"

#include "cpu/cpuid.h"

const pv_kernels *pv_kernels_for(psgvit_isa ceiling)
{
    const psgvit_isa isa = ceiling == PSGVIT_ISA_AUTO ? pv_cpu_isa() : ceiling;
#if defined(__x86_64__)
    if (isa >= PSGVIT_ISA_AVX512)
        return &pv_kernels_avx512;
    if (isa >= PSGVIT_ISA_AVX2)
        return &pv_kernels_avx2;
#endif
    (void)isa;
    return &pv_kernels_c;
}
