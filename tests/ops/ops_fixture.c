/* SPDX-License-Identifier: MIT */
/* See ops_fixture.h. */
#include "ops/ops_fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

psgvit_device *device;
psgvit_precision precision;
psgvit_error err;
static uint64_t random_state = 1;

static float uniform(void)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (float)((double)(random_state >> 40) / 8388608.0 - 1.0);
}

pv_tensor random_rows(size_t rows, size_t cols, size_t gap)
{
    pv_buffer *buffer;
    /* as much as an operand takes */
    size_t stride = cols + gap, floats = pv_whole_tiles(rows) * stride + 2 * GUARD;
    if (pv_buffer_create(device, floats, PV_HOST, &buffer, &err))
        fail_msg("%s", err.message);
    for (size_t i = 0; i < floats; i++)
        buffer->host[i] = NAN;
    for (size_t i = 0; i < rows * cols; i++)
        buffer->host[GUARD + i / cols * stride + i % cols] = uniform();
    pv_tensor t = pv_view(buffer, GUARD, rows, cols);
    t.stride = stride;
    return t;
}

pv_tensor poisoned_rows(size_t rows, size_t cols, size_t gap)
{
    pv_tensor t = random_rows(rows, cols, gap);
    for (size_t i = 0; i < t.buffer->floats; i++)
        t.buffer->host[i] = NAN;
    return t;
}

float at(pv_tensor t, size_t row, size_t col)
{
    return t.buffer->host[t.offset + row * t.stride + col];
}

void release(pv_tensor t)
{
    pv_buffer_destroy(device, t.buffer);
}

void check_guards(pv_tensor t)
{
    for (size_t i = 0; i < t.buffer->floats; i++) {
        size_t row = (i - t.offset) / t.stride, col = (i - t.offset) % t.stride;
        bool element = i >= t.offset && row < t.rows && col < t.cols;
        if (!element && !isnan(t.buffer->host[i]))
            fail_msg("written outside, at %zu of rows %zu x %zu", i, t.rows, t.cols);
    }
}

void check_around(pv_tensor t)
{
    const size_t end = t.offset + pv_whole_tiles(t.rows) * t.stride;
    for (size_t i = 0; i < t.buffer->floats; i++)
        if ((i < t.offset || i >= end) && !isnan(t.buffer->host[i]))
            fail_msg("written outside, at %zu of rows %zu x %zu", i, t.rows, t.cols);
}

pv_plan *begin(void)
{
    pv_plan *plan;
    if (pv_plan_begin(device, &plan, &err))
        fail_msg("%s", err.message);
    return plan;
}

void run(pv_plan *plan, int times)
{
    if (pv_plan_finish(plan, &err))
        fail_msg("%s", err.message);
    for (int i = 0; i < times; i++)
        assert_int_equal(pv_plan_submit(plan, &err), PSGVIT_OK);
    pv_plan_destroy(plan);
}

bool wants_exact(pv_plan *plan)
{
    if (pv_plan_finish(plan, &err))
        fail_msg("%s", err.message);
    assert_int_equal(pv_plan_submit(plan, &err), PSGVIT_OK);
    const bool stale = plan->stale;
    assert_false(stale && plan->exact);
    pv_plan_destroy(plan);
    return stale;
}

place place_of(size_t i, size_t rows, size_t cols)
{
    const place corners[] = {{0, 0}, {0, cols - 1}, {rows - 1, 0}, {rows - 1, cols - 1},
                             {rows / 2, cols / 2}, {31 % rows, cols / 3}, {47 % rows, cols / 5}};
    const size_t known = sizeof corners / sizeof *corners;
    if (i < known)
        return corners[i];
    i -= known;
    return (place){(5 * i + 1) % rows, (i * cols / 16 + 3 * i % 8) % cols};
}

void near(float found, double truth, double tolerance, const char *what, size_t i, size_t j)
{
    if (!(fabs((double)found - truth) <= tolerance))
        fail_msg("%s [%zu, %zu] is %.9g, expected %.9g within %.1e", what, i, j, (double)found,
                 truth, tolerance);
}

static void read_rows(const void *source, size_t first, size_t count, float *values)
{
    const pv_tensor *t = source;
    for (size_t i = 0; i < count * t->cols; i++)
        values[i] = at(*t, first + i / t->cols, i % t->cols);
}

/* Puts its rows and, if `bias`, its bias into a store. */
static weight stored(weight w, bool bias, bool exact)
{
    pv_rows source = {w.rows.rows, w.rows.cols, read_rows, &w.rows, exact};
    const size_t n = w.bias.cols;
    if (pv_store_create(device, precision, &w.store, &err) ||
        pv_store_matrix(w.store, &source, &w.linear.matrix, &err) ||
        (bias && pv_store_tensor(w.store, w.bias.buffer->host + GUARD, 1, n, &w.linear.bias, &err)))
        fail_msg("%s", err.message);
    return w;
}

weight make_weight(size_t n, size_t k, bool bias)
{
    return stored((weight){.rows = random_rows(n, k, 0), .bias = random_rows(1, n, 0)}, bias,
                  false);
}

weight make_exact(size_t n, size_t k)
{
    return stored((weight){.rows = random_rows(n, k, 0), .bias = random_rows(1, n, 0)}, true,
                  true);
}

weight make_identity(size_t n)
{
    weight w = {.rows = random_rows(n, n, 0), .bias = random_rows(1, n, 0)};
    for (size_t i = 0; i < n * n; i++)
        w.rows.buffer->host[GUARD + i] = i % (n + 1) == 0 ? 1.0f : 0.0f;
    return stored(w, false, false);
}

void free_weight(weight *w)
{
    pv_store_destroy(w->store);
    release(w->rows);
    release(w->bias);
}

double gelu(double x)
{
    return 0.5 * x * erfc(-x * 0.70710678118654752440);
}

double rounding(void)
{
    return precision == PSGVIT_F32 ? 1.2e-7 : precision == PSGVIT_F16 ? 1e-3 : 8e-3;
}

void same_bits(pv_tensor a, pv_tensor b, const char *what)
{
    for (size_t i = 0; i < a.rows; i++)
        for (size_t j = 0; j < a.cols; j++) {
            float x = at(a, i, j), y = at(b, i, j);
            if (memcmp(&x, &y, sizeof x))
                fail_msg("%s [%zu, %zu] is %.9g alone, %.9g among others", what, i, j, (double)x,
                         (double)y);
        }
}
