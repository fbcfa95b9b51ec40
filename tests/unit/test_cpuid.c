/* SPDX-License-Identifier: MIT */
/* The CPU's level and name against what the kernel tells in /proc/cpuinfo. */
#include "cpu/cpuid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* The value of the first line of /proc/cpuinfo that begins with key; "" if there is none. */
static const char *cpuinfo(const char *key)
{
    static char line[8192];
    FILE *file = fopen("/proc/cpuinfo", "r");
    assert_non_null(file);
    const char *value = "";
    while (fgets(line, sizeof line, file)) {
        char *colon = strchr(line, ':');
        if (colon && strncmp(line, key, strlen(key)) == 0) {
            line[strcspn(line, "\n")] = '\0';
            value = colon[1] == ' ' ? colon + 2 : colon + 1;
            break;
        }
    }
    fclose(file);
    return value;
}

/* Whether all of these words are among the CPU's flags. */
static int has_flags(const char *const *words)
{
    char flags[8192];
    snprintf(flags, sizeof flags, " %s ", cpuinfo("flags"));
    for (; *words; words++) {
        char word[32];
        snprintf(word, sizeof word, " %s ", *words);
        if (!strstr(flags, word))
            return 0;
    }
    return 1;
}

/* The kernel shows a flag only if it saves the registers too. */
static void test_isa(void **state)
{
    (void)state;
    static const char *const avx2[] = {"avx2", "fma", NULL};
    static const char *const avx512[] = {"avx512f", "avx512bw", "avx512dq", "avx512vl", NULL};
    static const char *const amx[] = {"amx_tile", "amx_bf16", NULL};
    psgvit_isa want = PSGVIT_ISA_C;
    if (has_flags(avx2))
        want = PSGVIT_ISA_AVX2;
    if (want == PSGVIT_ISA_AVX2 && has_flags(avx512))
        want = PSGVIT_ISA_AVX512;
    if (want == PSGVIT_ISA_AVX512 && has_flags(amx))
        want = PSGVIT_ISA_AMX;
    assert_int_equal(pv_cpu_isa(), want);
    assert_int_equal(pv_cpu_isa(), want); /* asking changes nothing */
}

static void test_name(void **state)
{
    (void)state;
    char name[128], want[128];
    snprintf(want, sizeof want, "%s", cpuinfo("model name"));
    for (size_t n = strlen(want); n > 0 && want[n - 1] == ' '; n--)
        want[n - 1] = '\0';
    pv_cpu_name(name, sizeof name);
    assert_string_equal(name, want[0] ? want : "unknown CPU");
}

static void test_name_is_cut(void **state)
{
    (void)state;
    char whole[128], name[128];
    pv_cpu_name(whole, sizeof whole);
    for (size_t size = 0; size < 70; size++) {
        memset(name, '#', sizeof name);
        pv_cpu_name(name, size);
        const size_t length = size == 0 ? 0 : strlen(name);
        assert_true(size == 0 || length <= size - 1);
        assert_memory_equal(name, whole, length);
        assert_true(name[size] == '#');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_isa),
        cmocka_unit_test(test_name),
        cmocka_unit_test(test_name_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
