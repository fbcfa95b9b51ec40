/* SPDX-License-Identifier: MIT */
/* What this machine's CPU is and can do: cpuid and xgetbv on x86-64, /proc/cpuinfo elsewhere. */
#define _DEFAULT_SOURCE /* syscall */
#include "cpu/cpuid.h"

#include <stdio.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <stdint.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#endif

/* Copies text into name without blanks at its ends; "unknown CPU" if nothing is left. */
static void set_name(const char *text, char *name, size_t size)
{
    if (size == 0)
        return;
    while (*text == ' ' || *text == '\t')
        text++;
    size_t length = strlen(text);
    while (length > 0 && strchr(" \t\r\n", text[length - 1]))
        length--;
    if (length == 0) {
        text = "unknown CPU";
        length = strlen(text);
    }
    if (length > size - 1)
        length = size - 1;
    memcpy(name, text, length);
    name[length] = '\0';
}

/* The value of the first "model name" in /proc/cpuinfo. */
static void name_from_proc(char *name, size_t size)
{
    char line[256];
    const char *value = "";
    FILE *file = fopen("/proc/cpuinfo", "re");
    while (file && fgets(line, sizeof line, file)) {
        const char *colon = strchr(line, ':');
        if (colon && strncmp(line, "model name", 10) == 0) {
            value = colon + 1;
            break;
        }
    }
    set_name(value, name, size);
    if (file)
        fclose(file);
}

#if defined(__x86_64__)

typedef struct leaf {
    unsigned eax, ebx, ecx, edx;
} leaf;

/* A leaf of cpuid; all zeros where the CPU has none of that number. */
static leaf cpuid_leaf(unsigned number, unsigned sub)
{
    leaf l = {0, 0, 0, 0};
    if (!__get_cpuid_count(number, sub, &l.eax, &l.ebx, &l.ecx, &l.edx))
        return (leaf){0, 0, 0, 0};
    return l;
}

static int has(uint64_t word, uint64_t bits)
{
    return (word & bits) == bits;
}

/* XCR0: the register states that the operating system saves. Only where OSXSAVE is set. */
static uint64_t saved_states(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

/* Whether the kernel would let a process use the tiles' data (state 18) if it asked. */
static int tiles_offered(void)
{
#if defined(__linux__) && defined(SYS_arch_prctl)
    enum { GET_XCOMP_SUPP = 0x1021, TILE_DATA = 18 };
    uint64_t states = 0;
    if (syscall(SYS_arch_prctl, GET_XCOMP_SUPP, &states) != 0)
        return 0;
    return has(states, 1u << TILE_DATA);
#else
    return 0;
#endif
}

int pv_cpu_ask_for_tiles(void)
{
#if defined(__linux__) && defined(SYS_arch_prctl)
    enum { REQ_XCOMP_PERM = 0x1023, TILE_DATA = 18 };
    return syscall(SYS_arch_prctl, REQ_XCOMP_PERM, TILE_DATA) == 0;
#else
    return 0;
#endif
}

psgvit_isa pv_cpu_isa(void)
{
    enum { FMA = 1 << 12, OSXSAVE = 1 << 27 };                       /* leaf 1, ecx */
    enum { AVX2 = 1 << 5, F = 1 << 16, DQ = 1 << 17, BW = 1 << 30 }; /* leaf 7, ebx */
    const uint64_t vl = 1u << 31;
    enum { AMX_BF16 = 1 << 22, AMX_TILE = 1 << 24 }; /* leaf 7, edx */
    enum { YMM = 0x6, ZMM = 0xe6, TILES = 0x60000 }; /* XCR0 */

    const leaf one = cpuid_leaf(1, 0), seven = cpuid_leaf(7, 0);
    if (!has(one.ecx, FMA | OSXSAVE) || !has(seven.ebx, AVX2))
        return PSGVIT_ISA_C;
    const uint64_t saved = saved_states();
    if (!has(saved, YMM))
        return PSGVIT_ISA_C;
    if (!has(saved, ZMM) || !has(seven.ebx, F | DQ | BW | vl))
        return PSGVIT_ISA_AVX2;
    if (!has(saved, TILES) || !has(seven.edx, AMX_BF16 | AMX_TILE) || !tiles_offered())
        return PSGVIT_ISA_AVX512;
    return PSGVIT_ISA_AMX;
}

int pv_cpu_has_avx512_bf16(void)
{
    enum { AVX512_BF16 = 1 << 5 }; /* leaf 7, subleaf 1, eax */
    return pv_cpu_isa() >= PSGVIT_ISA_AVX512 && has(cpuid_leaf(7, 1).eax, AVX512_BF16);
}

void pv_cpu_name(char *name, size_t size)
{
    char brand[49] = "";
    if (cpuid_leaf(0x80000000u, 0).eax < 0x80000004u) {
        name_from_proc(name, size);
        return;
    }
    for (unsigned i = 0; i < 3; i++) {
        const leaf l = cpuid_leaf(0x80000002u + i, 0);
        memcpy(brand + 16 * i, &l, sizeof l);
    }
    set_name(brand, name, size);
}

#else

psgvit_isa pv_cpu_isa(void)
{
    return PSGVIT_ISA_C;
}

int pv_cpu_ask_for_tiles(void)
{
    return 0;
}

int pv_cpu_has_avx512_bf16(void)
{
    return 0;
}

void pv_cpu_name(char *name, size_t size)
{
    name_from_proc(name, size);
}

#endif
