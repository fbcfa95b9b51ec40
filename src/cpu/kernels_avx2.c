/* SPDX-License-Identifier: MIT */
/* The kernels for AVX2 and FMA: the only file that is compiled for them. */
#include "cpu/kernels.h"

#if defined(__x86_64__)
#include "cpu/vec_avx2.h"

#define PV_KERNELS pv_kernels_avx2
#define PV_KERNELS_ISA PSGVIT_ISA_AVX2
#include "cpu/kernels_body.h"

#endif
