/* SPDX-License-Identifier: MIT */
/* What this machine's CPU is and can do. */
#ifndef PV_CPU_CPUID_H
#define PV_CPU_CPUID_H

#include <psgvit/psgvit.h>

/* The highest level that the CPU has and the operating system saves the registers of (cpuid and
 * xgetbv). Changes nothing: AMX is reported by what the kernel offers, not asked for. */
psgvit_isa pv_cpu_isa(void);

/* Asks the operating system for AMX's registers, which Linux gives to a process only if it asks;
 * asking twice does no harm. 0 if it refuses. */
int pv_cpu_ask_for_tiles(void);

/* AVX-512's instruction for bf16: Zen 4, Sapphire Rapids. Where pv_cpu_isa has AVX-512 at least. */
int pv_cpu_has_avx512_bf16(void);

/* The CPU's own name, trimmed, "unknown CPU" where it has none; at most size - 1 bytes. */
void pv_cpu_name(char *name, size_t size);

#endif
