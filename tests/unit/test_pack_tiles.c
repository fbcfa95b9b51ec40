/* SPDX-License-Identifier: MIT */
/* Weights packed for a GPU's matrices: where each lands in its tile, what it has become, zeros
 * where there is none. Any machine packs them, whether or not its GPU has matrices. */
#include "vulkan/vulkan.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N = 37, K = 50, EDGE = 16, AT_A_TIME = 10 };

/* A tile's rows in fours, as its 32 eighths have them: the first four numbers, and the others. */
static const size_t first_row[8] = {0, 1, 4, 5, 8, 9, 12, 13};
static const size_t second_row[8] = {2, 3, 6, 7, 10, 11, 14, 15};

static double of_f16(uint16_t bits)
{
    const int exponent = bits >> 10 & 31, fraction = bits & 1023;
    const double value = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
    return bits & 0x8000 ? -value : value;
}

static double of_bf16(uint16_t bits)
{
    const uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return value;
}

static float weight(size_t r, size_t c)
{
    const float value = (float)((r * K + c) * 2654435761u % 8192) / 8192.0f - 0.4f;
    return c % 5 ? value : value * 1e-5f; /* some are small */
}

static uint16_t *packed(vk_layout layout, float scale)
{
    const vk_packing *packing = pv_vk_packing_of(layout);
    static float rows[AT_A_TIME][K];
    uint16_t *to = calloc(1, (size_t)packing->bytes(N, K));
    assert_non_null(to);
    for (size_t first = 0; first < N; first += AT_A_TIME) {
        const size_t count = N - first < AT_A_TIME ? N - first : AT_A_TIME;
        for (size_t r = 0; r < count; r++)
            for (size_t c = 0; c < K; c++)
                rows[r][c] = weight(first + r, c);
        packing->pack(rows[0], first, count, N, K, scale, to);
    }
    return to;
}

/* What stands in each place: tiles one below the other, `parts` of each beside each other. */
static void check(vk_layout layout, float scale, size_t parts, double (*value_of)(uint16_t),
                  double error)
{
    uint16_t *all = packed(layout, scale), *at = all;
    const size_t down = (N + EDGE - 1) / EDGE, across = (K + EDGE - 1) / EDGE;
    assert_int_equal(pv_vk_packing_of(layout)->bytes(N, K),
                     down * across * parts * EDGE * EDGE * sizeof *at);
    for (size_t tile = 0; tile < down * across; tile++, at += parts * EDGE * EDGE)
        for (size_t i = 0; i < EDGE * EDGE; i++) {
            const size_t *row = i % 8 < 4 ? first_row : second_row;
            const size_t r = tile % down * EDGE + row[i / 32];
            const size_t c = tile / down * EDGE + i / 8 % 4 * 4 + i % 4;
            const double wanted = r < N && c < K ? (double)weight(r, c) * (double)scale : 0.0;
            double found = value_of(at[i]);
            if (parts == 2)
                found += value_of(at[EDGE * EDGE + i]);
            assert_true(fabs(found - wanted) <= error * fabs(wanted) + 3e-8);
        }
    free(all);
}

static void test_f16(void **state)
{
    (void)state;
    check(VK_LAYOUT_F16, 16384.0f, 1, of_f16, 0x1p-11);
}

static void test_bf16(void **state)
{
    (void)state;
    check(VK_LAYOUT_BF16, 1.0f, 1, of_bf16, 0x1p-8);
}

static void test_split(void **state)
{
    (void)state;
    check(VK_LAYOUT_SPLIT, 16384.0f, 2, of_f16, 0x1p-21);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_f16), cmocka_unit_test(test_bf16),
                                       cmocka_unit_test(test_split)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
