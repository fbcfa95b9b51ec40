/* SPDX-License-Identifier: MIT */
/*
 * Overlap-save convolution. The forward transform leaves its output in bit-reversed order and the
 * inverse one takes it so, which spares both the sorting. Two blocks go through at once, one as the
 * real and one as the imaginary part: the filters are real, so they never mix.
 */
#include "recording/convolve.h"

#include "base/checked.h"
#include "base/memory.h"
#include "base/status.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Decimation in frequency: natural order in, bit-reversed order out. z [size, 2]. */
static void forward(const pv_convolver *c, double *z)
{
    for (size_t span = c->size / 2, stride = 1; span; span /= 2, stride *= 2)
        for (size_t block = 0; block < c->size; block += 2 * span) {
            double *a = z + 2 * block, *b = a + 2 * span;
            for (size_t k = 0; k < span; k++) {
                const double *w = c->root + 2 * k * stride;
                double re = a[2 * k] - b[2 * k], im = a[2 * k + 1] - b[2 * k + 1];
                a[2 * k] += b[2 * k];
                a[2 * k + 1] += b[2 * k + 1];
                b[2 * k] = re * w[0] - im * w[1];
                b[2 * k + 1] = re * w[1] + im * w[0];
            }
        }
}

/* Decimation in time, with conjugated roots: undoes forward() but for the factor 1 / size. */
static void backward(const pv_convolver *c, double *z)
{
    for (size_t span = 1, stride = c->size / 2; stride; span *= 2, stride /= 2)
        for (size_t block = 0; block < c->size; block += 2 * span) {
            double *a = z + 2 * block, *b = a + 2 * span;
            for (size_t k = 0; k < span; k++) {
                const double *w = c->root + 2 * k * stride;
                double re = b[2 * k] * w[0] + b[2 * k + 1] * w[1];
                double im = b[2 * k + 1] * w[0] - b[2 * k] * w[1];
                b[2 * k] = a[2 * k] - re;
                b[2 * k + 1] = a[2 * k + 1] - im;
                a[2 * k] += re;
                a[2 * k + 1] += im;
            }
        }
}

static void multiply(double *z, const double *by, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        double re = z[2 * i] * by[2 * i] - z[2 * i + 1] * by[2 * i + 1];
        z[2 * i + 1] = z[2 * i] * by[2 * i + 1] + z[2 * i + 1] * by[2 * i];
        z[2 * i] = re;
    }
}

static void fill(pv_convolver *c, const pv_fir *filters, size_t count, double *work)
{
    for (size_t k = 0; k < c->size / 2; k++) {
        double angle = 2.0 * 3.14159265358979323846 * (double)k / (double)c->size;
        c->root[2 * k] = cos(angle);
        c->root[2 * k + 1] = -sin(angle);
    }
    for (size_t i = 0; i < c->size; i++) {
        c->product[2 * i] = 1.0 / (double)c->size; /* of the inverse transform */
        c->product[2 * i + 1] = 0.0;
    }
    for (size_t f = 0; f < count; f++) {
        if (!filters[f].tap)
            continue;
        memset(work, 0, 2 * c->size * sizeof *work);
        for (size_t i = 0; i <= 2 * filters[f].half; i++)
            work[2 * i] = filters[f].tap[i];
        forward(c, work);
        multiply(c->product, work, c->size);
    }
}

psgvit_status pv_convolver_make(pv_convolver **convolver, const pv_fir *filters, size_t count,
                                psgvit_error *err)
{
    pv_convolver *c = calloc(1, sizeof *c);
    *convolver = c;
    if (!c)
        return pv_fail_memory(err, "a filter", sizeof *c);
    for (size_t f = 0; f < count; f++)
        c->half += filters[f].half;
    /* 2.5 to 5 times the overlap: less would be recomputed too often, more would leave the cache
     * and ask for longer pieces of the night than memory is meant for. */
    for (c->size = 1024; c->size < 5 * c->half;)
        c->size *= 2;
    size_t bytes = 2 * c->size * sizeof(double);
    double *work = pv_alloc(bytes);
    c->root = pv_alloc(bytes / 2);
    c->product = pv_alloc(bytes);
    psgvit_status status = PSGVIT_OK;
    if (work && c->root && c->product)
        fill(c, filters, count, work);
    else
        status = pv_fail_memory(err, "a long filter", bytes);
    pv_free(work);
    return status;
}

void pv_convolver_free(pv_convolver *c)
{
    if (!c)
        return;
    pv_free(c->root);
    pv_free(c->product);
    free(c);
}

/* Puts x[first ...) into part 0 (real) or 1 (imaginary) of work, with zeros behind its end. */
static void load(const pv_convolver *c, const float *x, size_t length, size_t first, size_t part,
                 double *work)
{
    size_t count = first < length ? length - first : 0;
    if (count > c->size)
        count = c->size;
    for (size_t i = 0; i < count; i++)
        work[2 * i + part] = x[first + i];
    for (size_t i = count; i < c->size; i++)
        work[2 * i + part] = 0.0;
}

static void store(const pv_convolver *c, const double *work, size_t part, size_t first,
                  size_t count, float *y)
{
    size_t overlap = 2 * c->half, end = first + c->size - overlap;
    for (size_t i = first; i < end && i < count; i++)
        y[i] = (float)work[2 * (i - first + overlap) + part];
}

void pv_convolve(const pv_convolver *c, const float *x, size_t count, float *y, double *work)
{
    size_t block = c->size - 2 * c->half, length = count + 2 * c->half;
    for (size_t first = 0; first < count; first += 2 * block) {
        load(c, x, length, first, 0, work);
        load(c, x, length, first + block, 1, work);
        forward(c, work);
        multiply(work, c->product, c->size);
        backward(c, work);
        store(c, work, 0, first, count, y);
        store(c, work, 1, first + block, count, y);
    }
}
