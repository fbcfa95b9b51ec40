/* SPDX-License-Identifier: MIT */
/* The kernels for AVX-512: the only file that is compiled for it. */
#include "cpu/kernels.h"

#if defined(__x86_64__)
#include "cpu/vec_avx512.h"

#define PV_KERNELS pv_kernels_avx512
#define PV_KERNELS_ISA PSGVIT_ISA_AVX512
#include "cpu/kernels_body.h"

#endif
