/* SPDX-License-Identifier: MIT */
/*
 * The covariance [D,D] is never formed: each iteration multiplies a block of BLOCK vectors by it in
 * one pass over the rows. The block is wider than the three axes that are wanted, so that it
 * converges by the ratio of the 9th variance to the 3rd.
 */
#include "night_map.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { AXES = NIGHT_MAP_AXES, BLOCK = 8, MOST_ITERATIONS = 40, SWEEPS = 12 };

/* One row of a block of vectors [D,BLOCK]. */
typedef double block_row[BLOCK];

static bool is_finite(const float *row, size_t width)
{
    for (size_t d = 0; d < width; d++)
        if (!isfinite(row[d]))
            return false;
    return true;
}

/* Subtracts the mean of the finite rows from them. Returns the sum of all squares left. */
static double centre(float *rows, size_t count, size_t width, double *mean)
{
    size_t used = 0;
    double squares = 0;
    memset(mean, 0, width * sizeof *mean);
    for (size_t i = 0; i < count; i++) {
        if (!is_finite(rows + i * width, width))
            continue;
        used++;
        for (size_t d = 0; d < width; d++)
            mean[d] += rows[i * width + d];
    }
    for (size_t i = 0; i < count; i++) {
        float *row = rows + i * width;
        if (!is_finite(row, width))
            continue;
        for (size_t d = 0; d < width; d++) {
            row[d] = (float)(row[d] - mean[d] / (double)used);
            squares += (double)row[d] * row[d];
        }
    }
    return squares;
}

/* z = covariance x q, up to the number of rows. */
static void multiply(const float *rows, size_t count, size_t width, block_row *q, block_row *z)
{
    memset(z, 0, width * sizeof *z);
    for (size_t i = 0; i < count; i++) {
        const float *row = rows + i * width;
        block_row y = {0};
        if (!is_finite(row, width))
            continue;
        for (size_t d = 0; d < width; d++)
            for (size_t b = 0; b < BLOCK; b++)
                y[b] += row[d] * q[d][b];
        for (size_t d = 0; d < width; d++)
            for (size_t b = 0; b < BLOCK; b++)
                z[d][b] += row[d] * y[b];
    }
}

/* Gram-Schmidt, twice for its rounding; a vector that depends on those before becomes zero. */
static void orthonormalise(block_row *q, size_t width)
{
    for (size_t b = 0; b < BLOCK; b++) {
        double before = 0, norm = 0;
        for (size_t d = 0; d < width; d++)
            before += q[d][b] * q[d][b];
        for (size_t other = 0; other < 2 * b; other++) {
            double dot = 0;
            for (size_t d = 0; d < width; d++)
                dot += q[d][b] * q[d][other % b];
            for (size_t d = 0; d < width; d++)
                q[d][b] -= dot * q[d][other % b];
        }
        for (size_t d = 0; d < width; d++)
            norm += q[d][b] * q[d][b];
        double scale = norm > before * 1e-24 ? 1 / sqrt(norm) : 0;
        for (size_t d = 0; d < width; d++)
            q[d][b] *= scale;
    }
}

/* One rotation that makes a[p][q] zero; v gathers the rotations. */
static void rotate(block_row *a, block_row *v, size_t p, size_t q)
{
    if (fabs(a[p][q]) <= 1e-15 * sqrt(fabs(a[p][p] * a[q][q])))
        return;
    double theta = (a[q][q] - a[p][p]) / (2 * a[p][q]);
    double t = (theta < 0 ? -1 : 1) / (fabs(theta) + sqrt(theta * theta + 1));
    double c = 1 / sqrt(t * t + 1), s = t * c;
    for (size_t k = 0; k < BLOCK; k++) {
        double x = a[k][p], y = a[k][q];
        a[k][p] = c * x - s * y;
        a[k][q] = s * x + c * y;
    }
    for (size_t k = 0; k < BLOCK; k++) {
        double x = a[p][k], y = a[q][k], vx = v[k][p], vy = v[k][q];
        a[p][k] = c * x - s * y;
        a[q][k] = s * x + c * y;
        v[k][p] = c * vx - s * vy;
        v[k][q] = s * vx + c * vy;
    }
}

/* Eigenvectors of a symmetric matrix by Jacobi, as the columns of v, by falling eigenvalue. */
static void eigen(block_row *a, block_row *v, double *values)
{
    memset(v, 0, BLOCK * sizeof *v);
    for (size_t b = 0; b < BLOCK; b++)
        v[b][b] = 1;
    for (int sweep = 0; sweep < SWEEPS; sweep++)
        for (size_t p = 0; p < BLOCK; p++)
            for (size_t q = p + 1; q < BLOCK; q++)
                rotate(a, v, p, q);
    for (size_t b = 0; b < BLOCK; b++)
        values[b] = a[b][b];
    for (size_t b = 0; b < BLOCK; b++) {
        size_t best = b;
        for (size_t i = b + 1; i < BLOCK; i++)
            best = values[i] > values[best] ? i : best;
        double value = values[b];
        values[b] = values[best];
        values[best] = value;
        for (size_t k = 0; k < BLOCK; k++) {
            double x = v[k][b];
            v[k][b] = v[k][best];
            v[k][best] = x;
        }
    }
}

/* Turns q, where z = covariance x q, so that its columns are axes by falling variance. */
static void find_axes(block_row *q, block_row *z, size_t width, double *variances)
{
    block_row gram[BLOCK] = {{0}}, v[BLOCK];
    for (size_t d = 0; d < width; d++)
        for (size_t i = 0; i < BLOCK; i++)
            for (size_t j = 0; j < BLOCK; j++)
                gram[i][j] += q[d][i] * z[d][j];
    eigen(gram, v, variances);
    for (size_t d = 0; d < width; d++) {
        block_row turned = {0};
        for (size_t i = 0; i < BLOCK; i++)
            for (size_t j = 0; j < BLOCK; j++)
                turned[j] += q[d][i] * v[i][j];
        memcpy(q[d], turned, sizeof turned);
    }
}

/* From a fixed start, so that the same night always has the same colours. */
static void iterate(const float *rows, size_t count, size_t width, block_row *q, block_row *z,
                    double *variances)
{
    double before = 0, now;
    uint32_t random = 1;
    for (size_t d = 0; d < width; d++)
        for (size_t b = 0; b < BLOCK; b++) {
            random = random * 1664525u + 1013904223u;
            q[d][b] = (double)random / 4294967296.0 - 0.5;
        }
    for (int i = 0; i < MOST_ITERATIONS; i++, before = now) {
        orthonormalise(q, width);
        multiply(rows, count, width, q, z);
        find_axes(q, z, width, variances);
        now = variances[0] + variances[1] + variances[2];
        if (i + 1 == MOST_ITERATIONS || fabs(now - before) <= now * 1e-9)
            break;
        memcpy(q, z, width * sizeof *q);
    }
}

/* 1 or -1, so that the largest number of an axis becomes positive. */
static double sign_of(block_row *q, size_t width, size_t axis)
{
    double largest = 0;
    for (size_t d = 0; d < width; d++)
        if (fabs(q[d][axis]) > fabs(largest))
            largest = q[d][axis];
    return largest < 0 ? -1 : 1;
}

static void project(const float *rows, size_t count, size_t width, block_row *q, float *scores)
{
    for (size_t axis = 0; axis < AXES; axis++) {
        double sign = sign_of(q, width, axis);
        for (size_t i = 0; i < count; i++) {
            double sum = 0;
            for (size_t d = 0; d < width; d++)
                sum += rows[i * width + d] * q[d][axis];
            scores[i * AXES + axis] = isfinite(sum) ? (float)(sign * sum) : NAN;
        }
    }
}

bool night_map_make(float *rows, size_t count, size_t width, float *scores, double share[AXES])
{
    block_row *q = calloc(width, sizeof *q), *z = calloc(width, sizeof *z);
    double *mean = calloc(width, sizeof *mean), variances[BLOCK] = {0};
    bool done = q && z && mean;
    if (done) {
        double all = centre(rows, count, width, mean);
        iterate(rows, count, width, q, z, variances);
        project(rows, count, width, q, scores);
        for (size_t axis = 0; axis < AXES; axis++)
            share[axis] = all > 0 && variances[axis] > 0 ? variances[axis] / all : 0;
    }
    free(q);
    free(z);
    free(mean);
    return done;
}

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

bool night_map_colours(const float *scores, size_t count, unsigned char *rgb)
{
    float *sorted = malloc((count + 1) * sizeof *sorted);
    if (!sorted)
        return false;
    for (size_t axis = 0; axis < AXES; axis++) {
        size_t used = 0;
        for (size_t i = 0; i < count; i++)
            if (isfinite(scores[i * AXES + axis]))
                sorted[used++] = scores[i * AXES + axis];
        qsort(sorted, used, sizeof *sorted, by_value);
        double low = used ? sorted[used / 50] : 0, high = used ? sorted[used - 1 - used / 50] : 0;
        for (size_t i = 0; i < count; i++) {
            double s = scores[i * AXES + axis];
            double level = high > low ? (s - low) / (high - low) : 0.5;
            level = level < 0 ? 0 : level > 1 ? 1 : level;
            rgb[i * AXES + axis] = isfinite(s) ? (unsigned char)(32 + level * 208) : 0;
        }
    }
    free(sorted);
    return true;
}
