/* SPDX-License-Identifier: MIT */
/* Views of a tensor whose numbers lie in tiles, and of one whose rows take half the floats: each of
 * a view's numbers is the tensor's, and neither leaves what was laid out for it. */
#include "ops/tensor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

enum { ROWS = 43, COLS = 80 };

/* Where number (r, c) of t lies, in halves of a float. */
static size_t place_of(pv_tensor t, size_t r, size_t c)
{
    const size_t each = t.half ? 1 : 2, edge = PV_FORM_TILE;
    if (!t.tiled)
        return 2 * (t.offset + r * t.stride) + each * c;
    return 2 * (t.offset + c / edge * t.stride) +
           each * (r / edge * edge * edge + r % edge * edge + c % edge);
}

static pv_tensor tensor_of(pv_buffer *buffer, bool half, bool tiled)
{
    pv_tensor t = pv_view(buffer, 8, ROWS, COLS);
    t.form = 1;
    t.half = half;
    t.tiled = tiled;
    t.stride = tiled ? pv_tiles_floats(t, ROWS) : pv_floats_of(t, COLS);
    return t;
}

static void check_view(pv_tensor whole, pv_tensor view, size_t row0, size_t column0)
{
    const pv_tensor memory = pv_memory_of(view);
    const size_t end = memory.offset + (memory.rows - 1) * memory.stride + memory.cols;
    for (size_t r = 0; r < view.rows; r++)
        for (size_t c = 0; c < view.cols; c++) {
            const size_t place = place_of(view, r, c);
            assert_int_equal(place, place_of(whole, row0 + r, column0 + c));
            assert_true(place / 2 >= memory.offset && place / 2 < end);
            assert_true((place / 2 - memory.offset) % memory.stride < memory.cols);
        }
    assert_true(end <= whole.buffer->floats);
}

static void test_views(void **state)
{
    (void)state;
    for (int i = 1; i < 4; i++) { /* both, one, the other */
        const bool half = i & 1, tiled = i & 2;
        /* whole tiles of rows in each column, and nothing behind them */
        const size_t rows = tiled ? pv_whole_tiles(ROWS) : ROWS;
        pv_buffer buffer = {.floats = 8 + rows * COLS / (half ? 2 : 1)};
        const pv_tensor t = tensor_of(&buffer, half, tiled);
        check_view(t, t, 0, 0);
        check_view(t, pv_columns(t, 32, 16), 0, 32);
        check_view(t, pv_columns(pv_columns(t, 16, 64), 48, 16), 0, 64);
        check_view(t, pv_rows_of(t, 16, 27), 16, 0);
        check_view(t, pv_rows_of(pv_columns(t, 16, 32), 32, 11), 32, 16);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_views)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
