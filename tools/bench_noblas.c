/* SPDX-License-Identifier: MIT */
/* Stands in for bench_blas.c in a build without BLAS. */
#include "bench.h"

bool bench_blas_available(void)
{
    return false;
}

bench_blas *bench_blas_open(const bench_shape *shape, size_t most_batch, int threads)
{
    (void)shape;
    (void)most_batch;
    (void)threads;
    return NULL;
}

double bench_blas_run(bench_blas *blas, size_t batch)
{
    (void)blas;
    (void)batch;
    return 0.0;
}

void bench_blas_close(bench_blas **blas)
{
    *blas = NULL;
}
