/* SPDX-License-Identifier: MIT */
/* The kernels in portable C. */
#include "cpu/kernels.h"

#include "cpu/vec_c.h"

#define PV_KERNELS pv_kernels_c
#define PV_KERNELS_ISA PSGVIT_ISA_C
#include "cpu/kernels_body.h"
