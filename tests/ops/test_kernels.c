/* SPDX-License-Identifier: MIT */
/*
 * Every kernel of src/cpu at every instruction set that this machine has, against references in
 * double precision. Arrays end at a page that can't be touched and begin after canaries, so that a
 * kernel that reads or writes beyond a row doesn't pass; what it has to write is NaN before.
 */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */

#include "ops/guarded.h"

#include "cpu/cpuid.h"
#include "cpu/kernels.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

/* Half a unit in the last place of 1: what one rounding may cost, relatively. */
static const double EPS = 0x1p-24;

static const pv_kernels *tables[3];
static size_t table_count;

static const char *level_name(const pv_kernels *t)
{
    return t->isa == PSGVIT_ISA_C ? "c" : t->isa == PSGVIT_ISA_AVX2 ? "avx2" : "avx512";
}

/* The distance of two floats in units of the double reference's last float place. */
static double ulps(float got, double want)
{
    const int exponent = fabs(want) < FLT_MIN ? -126 : ilogb(want);
    return fabs((double)got - want) / ldexp(1.0, exponent - 23);
}

static int same_bits(const float *a, const float *b, size_t n)
{
    return n == 0 || memcmp(a, b, n * sizeof(float)) == 0;
}

static void expect_near(const char *what, const pv_kernels *t, size_t n, size_t i, float got,
                        double want, double tolerance)
{
    if ((double)got != want && !(fabs((double)got - want) <= tolerance))
        fail_msg("%s, %s, size %zu: [%zu] is %.9g, not %.9g within %.3g", what, level_name(t), n, i,
                 (double)got, want, tolerance);
}

static void expect_bits(const char *what, const pv_kernels *t, size_t n, const float *got,
                        const float *want)
{
    for (size_t i = 0; i < n; i++) {
        if (!same_bits(got + i, want + i, 1))
            fail_msg("%s, %s, size %zu: [%zu] is %.9g, not %.9g to the bit", what, level_name(t), n,
                     i, (double)got[i], (double)want[i]);
    }
}

/* Row lengths: every tail of every vector, and the models' own. */
static size_t next_length(size_t n)
{
    return n < 70 ? n + 1 : n < 91 ? 91 : n < 768 ? 768 : n < 3071 ? 3071 : SIZE_MAX;
}

/* ---- rows ------------------------------------------------------------------------------------ */

/* The error doesn't grow with what all of a row have in common. */
static void check_layernorm(const pv_kernels *t, size_t n, float offset, float spread)
{
    guarded x = guarded_noise(n, spread), gamma = guarded_noise(n, 2.0f),
            beta = guarded_noise(n, 1.0f), y = guarded_new(n);
    const float eps = 1e-5f;
    double mean = 0.0, var = 0.0;
    for (size_t i = 0; i < n; i++)
        mean += (double)(x.at[i] += offset) / (double)n;
    for (size_t i = 0; i < n; i++)
        var += (x.at[i] - mean) * (x.at[i] - mean) / (double)n;

    t->layernorm(x.at, gamma.at, beta.at, eps, n, y.at);
    for (size_t i = 0; i < n; i++) {
        const double g = (double)gamma.at[i], b = (double)beta.at[i];
        const double d = (x.at[i] - mean) / sqrt(var + (double)eps) * g;
        expect_near("layernorm", t, n, i, y.at[i], d + b,
                    EPS * (8.0 * fabs(d) + 2.0 * fabs(b) + 4.0 * fabs(g)));
    }
    t->layernorm(x.at, gamma.at, beta.at, eps, n, x.at);
    expect_bits("layernorm in place", t, n, x.at, y.at);
    guarded_free(&x);
    guarded_free(&gamma);
    guarded_free(&beta);
    guarded_free(&y);
}

static void test_layernorm(void **state)
{
    (void)state;
    for (size_t i = 0; i < table_count; i++) {
        for (size_t n = 0; n != SIZE_MAX; n = next_length(n)) {
            check_layernorm(tables[i], n, 0.0f, 1.0f);
            check_layernorm(tables[i], n, 1e5f, 1.0f);
            check_layernorm(tables[i], n, 1e-3f, 0.0f); /* no variance: eps alone */
            check_layernorm(tables[i], n, 0.0f, 1e15f);
            check_layernorm(tables[i], n, 0.0f, 1e-15f);
        }
    }
}

/* Each sum in float, rounded once. */
static void check_sums(const pv_kernels *t, size_t n)
{
    guarded y = guarded_noise(n, 1.0f), b = guarded_noise(n, 3.0f), r = guarded_noise(n, 9.0f),
            want = guarded_new(n);
    guarded got = guarded_copy(y), other = guarded_copy(y), none = guarded_copy(y);

    for (size_t i = 0; i < n; i++)
        want.at[i] = y.at[i] + b.at[i];
    t->bias(got.at, b.at, n);
    expect_bits("bias", t, n, got.at, want.at);
    t->add(y.at, b.at, n, other.at);
    expect_bits("add", t, n, other.at, want.at);
    t->bias(none.at, NULL, n);
    expect_bits("no bias", t, n, none.at, y.at);

    for (size_t i = 0; i < n; i++)
        want.at[i] += r.at[i];
    t->axpy(0.3f, r.at, n, y.at);
    t->add(other.at, r.at, n, other.at); /* y may be a */
    expect_bits("add in place", t, n, other.at, want.at);
    guarded_free(&y);
    guarded_free(&b);
    guarded_free(&r);
    guarded_free(&want);
    guarded_free(&got);
    guarded_free(&other);
    guarded_free(&none);
}

static void check_axpy(const pv_kernels *t, size_t n)
{
    guarded x = guarded_noise(n, 2.0f), y = guarded_noise(n, 1.0f), got = guarded_copy(y);
    t->axpy(0.3f, x.at, n, got.at);
    for (size_t i = 0; i < n; i++) {
        const double product = (double)0.3f * x.at[i], want = product + y.at[i];
        expect_near("axpy", t, n, i, got.at[i], want, EPS * (fabs(product) + fabs(want)));
    }
    guarded_free(&x);
    guarded_free(&y);
    guarded_free(&got);
}

static void test_sums(void **state)
{
    (void)state;
    for (size_t i = 0; i < table_count; i++) {
        for (size_t n = 0; n != SIZE_MAX; n = next_length(n)) {
            check_sums(tables[i], n);
            check_axpy(tables[i], n);
        }
    }
}

/* ---- gelu ------------------------------------------------------------------------------------ */

static double gelu(double x)
{
    return 0.5 * x * erfc(-x * 0.70710678118654752440);
}

/* What gelu may be off by, in units of the result's last place: a little more than the largest
 * error over all floats. */
static double gelu_tolerance(float x)
{
    return x > -0.5f ? 1.6 : 4.0;
}

/* Floats of both signs and all magnitudes, each 997th bit pattern. */
static void test_gelu_all_floats(void **state)
{
    (void)state;
    enum { N = 61 };
    for (size_t i = 0; i < table_count; i++) {
        float x[N], y[N];
        for (uint64_t bits = 0; bits < UINT64_C(1) << 32;) {
            for (size_t j = 0; j < N; j++, bits += 997) {
                const uint32_t word = (uint32_t)bits;
                memcpy(x + j, &word, sizeof word);
            }
            memcpy(y, x, sizeof y);
            tables[i]->bias_gelu(y, NULL, N);
            for (size_t j = 0; j < N; j++) {
                const double want = gelu((double)x[j]);
                if (isnan(want)   ? !isnan(y[j])
                    : isinf(want) ? y[j] != x[j]
                                  : !(ulps(y[j], want) <= gelu_tolerance(x[j])))
                    fail_msg("gelu, %s: of %.9g is %.9g, not %.9g: %.2f units off",
                             level_name(tables[i]), (double)x[j], (double)y[j], want,
                             ulps(y[j], want));
            }
        }
    }
}

static void test_gelu_extremes(void **state)
{
    (void)state;
    const float tiny = FLT_TRUE_MIN, most = FLT_MAX;
    const float x[] = {0, -0.0f, most, -most, INFINITY, -20, 20, 4 * tiny, -4 * tiny};
    const float y[] = {0, 0, most, 0, INFINITY, 0, 20, 2 * tiny, -2 * tiny};
    for (size_t i = 0; i < table_count; i++) {
        for (size_t j = 0; j < sizeof x / sizeof *x; j++) {
            float row[7] = {1, 1, 1, 1, 1, 1, 1};
            row[j % 7] = x[j];
            tables[i]->bias_gelu(row, NULL, 7);
            for (size_t c = 0; c < 7; c++) {
                const float want = c == j % 7 ? y[j] : (float)gelu(1.0);
                expect_near("gelu of an extreme", tables[i], 7, c, row[c], (double)want,
                            c == j % 7 ? 0.0 : 1.5e-7);
            }
        }
        /* As in PyTorch; and what is not a number stays where it is. */
        float row[9] = {1, -INFINITY, 1, NAN, 1, 1, 1, 1, -NAN};
        tables[i]->bias_gelu(row, NULL, 9);
        for (size_t c = 0; c < 9; c++)
            assert_int_equal(c == 1 || c == 3 || c == 8, isnan(row[c]) != 0);
    }
}

static void check_bias_gelu(const pv_kernels *t, size_t n)
{
    guarded y = guarded_noise(n, 4.0f), b = guarded_noise(n, 2.0f), got = guarded_copy(y),
            none = guarded_copy(y);
    t->bias_gelu(got.at, b.at, n);
    t->bias_gelu(none.at, NULL, n);
    for (size_t i = 0; i < n; i++) {
        const float x = y.at[i] + b.at[i];
        expect_near("bias_gelu", t, n, i, got.at[i], gelu((double)x),
                    2e-7 * (1.0 + fabs((double)x)));
        expect_near("gelu", t, n, i, none.at[i], gelu((double)y.at[i]), 1e-6);
    }
    guarded_free(&y);
    guarded_free(&b);
    guarded_free(&got);
    guarded_free(&none);
}

static void test_gelu_lengths(void **state)
{
    (void)state;
    for (size_t i = 0; i < table_count; i++) {
        for (size_t n = 0; n != SIZE_MAX; n = next_length(n))
            check_bias_gelu(tables[i], n);
    }
}

/* ---- matrix product -------------------------------------------------------------------------- */

typedef struct product {
    const pv_kernels *t;
    size_t rows, k, a_stride, c_stride;
    guarded a, b, c, got; /* c is what `got` was before */
} product;

static product product_new(const pv_kernels *t, size_t rows, size_t k)
{
    product p = {.t = t, .rows = rows, .k = k, .a_stride = k + 5, .c_stride = t->nr + 3};
    p.a = guarded_noise((rows - 1) * p.a_stride + k, 1.0f);
    p.b = guarded_noise(k * t->nr, 1.0f);
    p.c = guarded_noise((rows - 1) * p.c_stride + t->nr, 1.0f);
    p.got = guarded_copy(p.c);
    return p;
}

static void product_free(product *p)
{
    guarded_free(&p->a);
    guarded_free(&p->b);
    guarded_free(&p->c);
    guarded_free(&p->got);
}

/* What comes next lies where nothing may be read: it is only fetched. */
static pv_tile product_tile(const product *p, int accumulate)
{
    return (pv_tile){.k = p->k,
                     .a = p->a.at,
                     .b = p->b.at,
                     .c = p->got.at,
                     .a_stride = p->a_stride,
                     .c_stride = p->c_stride,
                     .accumulate = accumulate,
                     .next = p->b.at + p->b.n,
                     .next_lines = p->k % 7};
}

static void product_run(product *p, int accumulate)
{
    const pv_tile tile = product_tile(p, accumulate);
    p->t->gemm_tile(p->rows, &tile);
}

static void product_check(const product *p, int accumulate)
{
    for (size_t i = 0; i < p->rows; i++) {
        for (size_t j = 0; j < p->t->nr; j++) {
            double want = accumulate ? (double)p->c.at[i * p->c_stride + j] : 0.0;
            double size = fabs(want);
            for (size_t q = 0; q < p->k; q++) {
                const double x = p->a.at[i * p->a_stride + q];
                want += x * p->b.at[q * p->t->nr + j];
                size += fabs(x * p->b.at[q * p->t->nr + j]);
            }
            expect_near("gemm_tile", p->t, p->k, i * p->t->nr + j, p->got.at[i * p->c_stride + j],
                        want, EPS * (2.0 + sqrt((double)p->k)) * size);
        }
        if (i + 1 < p->rows) /* what lies between two rows */
            assert_true(same_bits(p->got.at + i * p->c_stride + p->t->nr,
                                  p->c.at + i * p->c_stride + p->t->nr, 3));
    }
}

static void test_gemm_tile(void **state)
{
    (void)state;
    static const size_t depths[] = {0, 1, 2, 3, 4, 5, 7, 8, 17, 64, 91, 384, 768};
    for (size_t i = 0; i < table_count; i++) {
        for (size_t rows = 1; rows <= tables[i]->mr; rows++) {
            for (size_t d = 0; d < sizeof depths / sizeof *depths; d++) {
                product p = product_new(tables[i], rows, depths[d]);
                product_run(&p, 1);
                product_check(&p, 1);
                for (size_t r = 0; r < rows; r++) {
                    for (size_t c = 0; c < p.t->nr; c++)
                        p.got.at[r * p.c_stride + c] = NAN; /* mustn't be read */
                }
                product_run(&p, 0);
                product_check(&p, 0);
                product_free(&p);
            }
        }
    }
}

/* A row has the same bits alone as in any place of a tile, and NaN stays in its row. */
static void test_gemm_rows_are_apart(void **state)
{
    (void)state;
    for (size_t i = 0; i < table_count; i++) {
        const pv_kernels *t = tables[i];
        for (size_t k = 1; k < 400; k += 57) {
            product p = product_new(t, t->mr, k);
            product_run(&p, 1);
            for (size_t r = 0; r < t->mr; r++) {
                guarded alone = guarded_new(t->nr);
                memcpy(alone.at, p.c.at + r * p.c_stride, t->nr * sizeof(float));
                pv_tile tile = product_tile(&p, 1);
                tile.a += r * p.a_stride;
                tile.c = alone.at;
                tile.c_stride = t->nr;
                t->gemm_tile(1, &tile);
                expect_bits("a row alone", t, t->nr, alone.at, p.got.at + r * p.c_stride);
                guarded_free(&alone);
            }
            guarded before = guarded_copy(p.got);
            p.a.at[p.a_stride] = NAN;
            memcpy(p.got.at, p.c.at, p.c.n * sizeof(float));
            product_run(&p, 1);
            for (size_t r = 0; r < t->mr; r++) {
                const float *row = p.got.at + r * p.c_stride;
                if (r == 1)
                    assert_true(isnan(row[0]) && isnan(row[t->nr - 1]));
                else
                    expect_bits("a row beside NaN", t, t->nr, row, before.at + r * p.c_stride);
            }
            guarded_free(&before);
            product_free(&p);
        }
    }
}

/* ---- attention ------------------------------------------------------------------------------- */

typedef struct heads {
    const pv_kernels *t;
    guarded q, k, v, out, workspace;
    pv_head head;
} heads;

static heads heads_new(const pv_kernels *t, size_t queries, size_t keys, size_t dim, float spread)
{
    heads h = {.t = t};
    const size_t qs = dim + 3, ks = dim + 1, vs = dim + 2, os = dim + 5;
    h.q = guarded_noise((queries - 1) * qs + dim, spread);
    h.k = guarded_noise((keys - 1) * ks + dim, 2.0f);
    h.v = guarded_noise((keys - 1) * vs + dim, 1.0f);
    h.out = guarded_new((queries - 1) * os + dim);
    h.workspace = guarded_new_aligned(t->attention_workspace(keys, dim));
    h.head = (pv_head){h.q.at,  h.k.at, h.v.at, h.out.at, qs, ks, vs, os,
                       queries, keys,   dim,    1.0f / sqrtf((float)dim), h.workspace.at};
    return h;
}

static void heads_free(heads *h)
{
    guarded_free(&h->q);
    guarded_free(&h->k);
    guarded_free(&h->v);
    guarded_free(&h->out);
    guarded_free(&h->workspace);
}

/* One query's probabilities in p; returns the largest sum of |q k| * scale, which is what a score's
 * rounding errors go by. */
static double probabilities(const pv_head *h, size_t query, double *p)
{
    double most = -INFINITY, sum = 0.0, size = 0.0;
    for (size_t j = 0; j < h->keys; j++) {
        double s = 0.0, a = 0.0;
        for (size_t d = 0; d < h->dim; d++) {
            const double x = (double)h->q[query * h->q_stride + d] * h->k[j * h->k_stride + d];
            s += x;
            a += fabs(x);
        }
        p[j] = s * (double)h->scale;
        most = p[j] > most ? p[j] : most;
        size = a * (double)h->scale > size ? a * (double)h->scale : size;
    }
    for (size_t j = 0; j < h->keys; j++)
        sum += p[j] = exp(p[j] - most);
    for (size_t j = 0; j < h->keys; j++)
        p[j] /= sum;
    return size;
}

static void heads_check(const heads *h)
{
    enum { MOST_KEYS = 128 };
    const pv_head *a = &h->head;
    double p[MOST_KEYS];
    for (size_t i = 0; i < a->queries; i++) {
        const double size = probabilities(a, i, p);
        for (size_t d = 0; d < a->dim; d++) {
            double want = 0.0;
            for (size_t j = 0; j < a->keys; j++)
                want += p[j] * a->v[j * a->v_stride + d];
            expect_near("attention", h->t, a->keys * 1000 + a->dim, i * a->dim + d,
                        a->out[i * a->out_stride + d], want, EPS * (8.0 + 2.0 * size));
        }
        for (size_t d = a->dim; i + 1 < a->queries && d < a->out_stride; d++)
            assert_true(guarded_untouched(a->out[i * a->out_stride + d]));
    }
}

static void test_attention(void **state)
{
    (void)state;
    static const size_t keys[] = {1, 2, 3, 7, 8, 15, 16, 17, 26, 31, 32, 33, 62, 68, 91, 128};
    static const size_t dims[] = {1, 3, 20, 32, 33, 64, 72};
    for (size_t i = 0; i < table_count; i++) {
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
            for (size_t d = 0; d < sizeof dims / sizeof *dims; d++) {
                const size_t queries = d % 2 ? keys[k] : 4;
                heads h = heads_new(tables[i], queries, keys[k], dims[d], d % 3 ? 2.0f : 30.0f);
                tables[i]->attention(&h.head);
                heads_check(&h);
                heads_free(&h);
            }
        }
    }
}

/* What is not a number in a key reaches every query, as it must: all of them see it. */
static void test_attention_of_nan(void **state)
{
    (void)state;
    enum { N = 21, DIM = 20 };
    for (size_t i = 0; i < table_count; i++) {
        for (size_t key = 0; key < N; key++) {
            heads h = heads_new(tables[i], N, N, DIM, 2.0f);
            h.k.at[key * h.head.k_stride + key % DIM] = NAN;
            tables[i]->attention(&h.head);
            for (size_t q = 0; q < N; q++) {
                for (size_t d = 0; d < DIM; d++)
                    assert_true(isnan(h.out.at[q * h.head.out_stride + d]));
            }
            heads_free(&h);
        }
    }
}

/* A query has the same bits alone as among others, and NaN in it reaches no other. */
static void test_attention_queries_are_apart(void **state)
{
    (void)state;
    enum { N = 91, DIM = 64 };
    for (size_t i = 0; i < table_count; i++) {
        heads h = heads_new(tables[i], N, N, DIM, 2.0f);
        tables[i]->attention(&h.head);
        guarded all = guarded_copy(h.out);
        for (size_t q = 0; q < N; q += 5) {
            pv_head one = h.head;
            one.q += q * one.q_stride;
            one.queries = 1;
            tables[i]->attention(&one);
            expect_bits("a query alone", tables[i], DIM, h.out.at, all.at + q * one.out_stride);
        }
        h.q.at[7 * h.head.q_stride + 11] = NAN;
        h.q.at[9 * h.head.q_stride] = INFINITY;
        tables[i]->attention(&h.head);
        for (size_t q = 0; q < N; q++) {
            const float *row = h.out.at + q * h.head.out_stride;
            if (q == 7)
                assert_true(isnan(row[0]) && isnan(row[DIM - 1]));
            else if (q != 9)
                expect_bits("a query beside NaN", tables[i], DIM, row,
                            all.at + q * h.head.out_stride);
        }
        guarded_free(&all);
        heads_free(&h);
    }
}

/* One key that wins by far gives its own value to the bit; scores that hardly differ give the
 * mean. */
static void test_attention_extremes(void **state)
{
    (void)state;
    enum { N = 27, DIM = 20 };
    for (size_t i = 0; i < table_count; i++) {
        heads h = heads_new(tables[i], 2, N, DIM, 1.0f);
        for (size_t d = 0; d < DIM; d++) {
            for (size_t j = 0; j < N; j++)
                h.k.at[j * h.head.k_stride + d] = j == 13 ? 1e10f : 1.0f;
            h.q.at[d] = 1e20f;
            h.q.at[h.head.q_stride + d] = -1e-20f;
        }
        tables[i]->attention(&h.head);
        const float *want = h.v.at + 13 * h.head.v_stride;
        expect_bits("the winner's value", tables[i], DIM, h.out.at, want);
        for (size_t d = 0; d < DIM; d++) {
            double mean = 0.0;
            for (size_t j = 0; j < N; j++)
                mean += (double)h.v.at[j * h.head.v_stride + d] / N;
            expect_near("equal scores", tables[i], N, d, h.out.at[h.head.out_stride + d], mean,
                        1e-6);
        }
        heads_free(&h);
    }
}

/* ---- the table ------------------------------------------------------------------------------- */

static void test_tables(void **state)
{
    (void)state;
    assert_ptr_equal(pv_kernels_for(PSGVIT_ISA_C), &pv_kernels_c);
    assert_ptr_equal(pv_kernels_for(PSGVIT_ISA_AMX), pv_kernels_for(PSGVIT_ISA_AVX512));
    for (psgvit_isa isa = PSGVIT_ISA_C; isa <= PSGVIT_ISA_AMX; isa++) {
        const pv_kernels *t = pv_kernels_for(isa);
        assert_true(t->isa <= isa);
        assert_true(t->mr > 0 && t->nr > 0 && t->mr * t->nr <= PV_MOST_TILE);
    }
}

int main(void)
{
    static const psgvit_isa isas[] = {PSGVIT_ISA_C, PSGVIT_ISA_AVX2, PSGVIT_ISA_AVX512};
    for (size_t i = 0; i < sizeof isas / sizeof *isas; i++) {
        const pv_kernels *t = pv_kernels_for(isas[i]);
        if (t->isa != isas[i])
            continue;
        printf("%s: %s\n", level_name(t),
               t->isa <= pv_cpu_isa() ? "tested" : "NOT TESTED, this machine doesn't have it");
        if (t->isa <= pv_cpu_isa())
            tables[table_count++] = t;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_layernorm),
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_gelu_all_floats),
        cmocka_unit_test(test_gelu_extremes),
        cmocka_unit_test(test_gelu_lengths),
        cmocka_unit_test(test_gemm_tile),
        cmocka_unit_test(test_gemm_rows_are_apart),
        cmocka_unit_test(test_attention),
        cmocka_unit_test(test_attention_of_nan),
        cmocka_unit_test(test_attention_queries_are_apart),
        cmocka_unit_test(test_attention_extremes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
