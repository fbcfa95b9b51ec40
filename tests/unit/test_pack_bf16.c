/* SPDX-License-Identifier: MIT */
/* Weights packed in bf16: where each lands, how it is rounded, zeros behind the last. Any machine
 * packs them, whether or not it can multiply by them. */
#include "cpu/gemm_bf16.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Where W [n, k] stands in the panels of a weight with `padded` of k. */
static size_t place(size_t n, size_t k, size_t padded)
{
    return n / 32 * 32 * padded + (k / 2 * 32 + n % 32) * 2 + k % 2;
}

static uint16_t *pack(const float *rows, size_t n, size_t k)
{
    const pv_kernels *kernels = pv_kernels_for(PSGVIT_ISA_C);
    size_t bytes = pv_bf16_packed_bytes(kernels, n, k), block = pv_bf16_pack_rows(kernels);
    uint16_t *packed = malloc(bytes);
    assert_non_null(packed);
    memset(packed, 0xee, bytes);
    for (size_t first = 0; first < n; first += block)
        pv_bf16_pack(kernels, rows + first * k, first, n - first < block ? n - first : block, k,
                     packed);
    return packed;
}

static void layout_case(size_t n, size_t k)
{
    float *rows = malloc(n * k * sizeof *rows);
    assert_non_null(rows);
    for (size_t i = 0; i < n * k; i++)
        rows[i] = (float)(1 + i % 251); /* 8 bits: no rounding */
    uint16_t *packed = pack(rows, n, k);
    size_t padded = (k + 31) / 32 * 32, all = (n + 31) / 32 * 32;
    assert_int_equal(pv_bf16_packed_bytes(NULL, n, k), 2 * all * padded);
    for (size_t i = 0; i < all; i++)
        for (size_t j = 0; j < padded; j++) {
            float found;
            uint32_t bits = (uint32_t)packed[place(i, j, padded)] << 16;
            memcpy(&found, &bits, sizeof found);
            float truth = i < n && j < k ? rows[i * k + j] : 0.0f;
            assert_true(found == truth);
        }
    free(packed);
    free(rows);
}

static void test_layout(void **state)
{
    (void)state;
    layout_case(1, 1);
    layout_case(32, 32);
    layout_case(33, 31);
    layout_case(31, 65);
    layout_case(100, 37);
}

/* To nearest, ties to even; NaN stays NaN whatever its payload. */
static void test_rounding(void **state)
{
    (void)state;
    static const uint32_t cases[][2] = {
        {0x3f800000, 0x3f80}, {0x3f808000, 0x3f80}, {0x3f818000, 0x3f82}, {0x3f808001, 0x3f81},
        {0x3f807fff, 0x3f80}, {0xbf818000, 0xbf82}, {0x00000000, 0x0000}, {0x80000000, 0x8000},
        {0x00008001, 0x0001}, {0x7f7f7fff, 0x7f7f}, {0x7f7fffff, 0x7f80}, {0x7f800000, 0x7f80},
        {0xff800000, 0xff80}, {0x7fffffff, 0x7fff}, {0xffffffff, 0xffff}, {0x7f800001, 0x7fc0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        float value;
        memcpy(&value, &cases[i][0], sizeof value);
        uint16_t *packed = pack(&value, 1, 1);
        assert_int_equal(packed[0], cases[i][1]);
        free(packed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layout),
        cmocka_unit_test(test_rounding),
    };
    return cmocka_run_group_tests_name("weights in bf16", tests, NULL, NULL);
}
