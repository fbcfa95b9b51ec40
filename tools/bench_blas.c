/* SPDX-License-Identifier: MIT */
/*
 * The honest baseline: the model's own matrix products by bare cblas_sgemm and nothing else, called
 * from a plain thread with BLAS's own threads. Each block has its own weights, so that they come
 * from memory as in the model and not from the cache; weights and activations lie in huge pages
 * where the kernel gives them, as the library's do.
 */
#define _DEFAULT_SOURCE
#include "bench.h"

#include "cli.h"
#include "synth_weights.h"

#include <cblas.h>
#include <omp.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { HUGE_PAGE = 1 << 21, WARM = 256 };

/* One linear layer: [rows, in] times weight [out, in] transposed. */
typedef struct layer {
    size_t out;
    size_t in;
    float *weight;
} layer;

enum { QKV, OUT, FC1, FC2, LAYERS };

struct bench_blas {
    bench_shape shape;
    int threads;
    layer patch;
    layer *blocks;   /* [depth][LAYERS] */
    float *samples;  /* [patch_rows, patch_size]: what the patches are made of */
    float *residual; /* [tokens, width] */
    float *qkv;      /* [tokens, 3 * inner] */
    float *attended; /* [tokens, inner] */
    float *hidden;   /* [tokens, mlp_dim] */
};

bool bench_blas_available(void)
{
    return true;
}

/* Values in [-s, s) as a synthetic linear weight has, which keep the size of what they multiply, so
 * that nothing becomes denormal or infinite however deep the model is. */
static float *make_values(size_t rows, size_t columns, size_t seed)
{
    uint64_t shape[2] = {rows, columns};
    size_t bytes = rows * columns * sizeof(float);
    void *memory = NULL;
    if (posix_memalign(&memory, HUGE_PAGE, bytes + (bytes == 0)))
        return NULL;
    madvise(memory, bytes, MADV_HUGEPAGE); /* a hint: without huge pages it is merely slower */
    synth_weights_fill("bare.weight", shape, 2, seed, false, memory);
    return memory;
}

static bool make_layer(layer *made, size_t out, size_t in, size_t seed)
{
    *made = (layer){.out = out, .in = in, .weight = make_values(out, in, seed)};
    return made->weight != NULL;
}

static bool make_all(bench_blas *b, size_t batch)
{
    const bench_shape *s = &b->shape;
    size_t seed = 1;
    bool made = make_layer(&b->patch, s->width, s->patch_size, seed++);
    for (size_t i = 0; made && i < s->depth; i++) {
        layer *block = b->blocks + i * LAYERS;
        made = make_layer(&block[QKV], 3 * s->inner, s->width, seed++) &&
               make_layer(&block[OUT], s->width, s->inner, seed++) &&
               make_layer(&block[FC1], s->mlp_dim, s->width, seed++) &&
               make_layer(&block[FC2], s->width, s->mlp_dim, seed++);
    }
    size_t tokens = batch * s->tokens;
    b->samples = make_values(batch * s->patch_rows, s->patch_size, seed++);
    b->residual = make_values(tokens, s->width, seed++);
    b->qkv = make_values(tokens, 3 * s->inner, seed++);
    b->attended = make_values(tokens, s->inner, seed++);
    b->hidden = make_values(tokens, s->mlp_dim, seed++);
    return made && b->samples && b->residual && b->qkv && b->attended && b->hidden;
}

bench_blas *bench_blas_open(const bench_shape *shape, size_t most_batch, int threads)
{
    bench_blas *b = calloc(1, sizeof *b);
    if (!b)
        return NULL;
    b->shape = *shape;
    b->threads = threads;
    b->blocks = calloc(shape->depth * LAYERS, sizeof *b->blocks);
    if (!b->blocks || !make_all(b, most_batch))
        bench_blas_close(&b);
    return b;
}

void bench_blas_close(bench_blas **blas)
{
    bench_blas *b = *blas;
    if (!b)
        return;
    for (size_t i = 0; b->blocks && i < b->shape.depth * LAYERS; i++)
        free(b->blocks[i].weight);
    free(b->blocks);
    free(b->patch.weight);
    free(b->samples);
    free(b->residual);
    free(b->qkv);
    free(b->attended);
    free(b->hidden);
    free(b);
    *blas = NULL;
}

static void multiply(const layer *l, size_t rows, const float *x, float *y)
{
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)rows, (blasint)l->out,
                (blasint)l->in, 1.0f, x, (blasint)l->in, l->weight, (blasint)l->in, 0.0f, y,
                (blasint)l->out);
}

/* The library calls BLAS serially from inside its team, which leaves BLAS set to one thread. One
 * product that is not timed wakes its own threads again, so that the baseline doesn't pay for it.
 */
static void warm_up(const bench_blas *b)
{
    static const float zero[WARM * WARM];
    static float result[WARM * WARM];
    if (openblas_get_parallel() == OPENBLAS_OPENMP)
        omp_set_num_threads(b->threads);
    else
        openblas_set_num_threads(b->threads);
    layer l = {.out = WARM, .in = WARM, .weight = (float *)(uintptr_t)zero};
    multiply(&l, WARM, zero, result);
}

double bench_blas_run(bench_blas *blas, size_t batch)
{
    const bench_shape *s = &blas->shape;
    size_t tokens = batch * s->tokens;
    warm_up(blas);
    double start = cli_clock();
    multiply(&blas->patch, batch * s->patch_rows, blas->samples, blas->residual);
    for (size_t i = 0; i < s->depth; i++) {
        const layer *block = blas->blocks + i * LAYERS;
        multiply(&block[QKV], tokens, blas->residual, blas->qkv);
        multiply(&block[OUT], tokens, blas->attended, blas->residual);
        multiply(&block[FC1], tokens, blas->residual, blas->hidden);
        multiply(&block[FC2], tokens, blas->hidden, blas->residual);
    }
    return cli_clock() - start;
}
