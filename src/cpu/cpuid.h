/* SPDX-License-Identifier: MIT */
/* What this machine's CPU is and can do. */
#ifndef PV_CPU_CPUID_H
#define PV_CPU_CPUID_H

#include <psgvit/psgvit.h>

/* The highest level that the CPU has and the operating system saves the registers of (cpuid and
 * xgetbv). Changes nothing: AMX is reported by what the kernel offers, not asked for. */
psgvit_isa pv_cpu_isa(void);

/* The CPU's own name, trimmed, "unknown CPU" where it has none; at most size - 1 bytes. */
void pv_cpu_name(char *name, size_t size);

#endif
