/* SPDX-License-Identifier: MIT */
/*
 * Matrix products by OpenBLAS. The OpenMP build is serial inside a team of two or more; in a team
 * of one, omp_in_parallel() is false and it would take every core, so each thread says
 * omp_set_num_threads(1) inside the region: that sets the region's own data environment and ends
 * with it. A serial build is called the same way. The pthread build is called once per product,
 * outside the team.
 */
#include "cpu/steps.h"

#ifdef PSGVIT_HAVE_BLAS

#include <cblas.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>

static size_t blas_packed_bytes(const pv_kernels *kernels, size_t n, size_t k)
{
    (void)kernels;
    return n * k * sizeof(float);
}

static size_t blas_pack_rows(const pv_kernels *kernels)
{
    (void)kernels;
    return 1;
}

static void blas_pack(const pv_kernels *kernels, const float *rows, size_t first, size_t count,
                      size_t k, void *packed)
{
    (void)kernels;
    memcpy((float *)packed + first * k, rows, count * k * sizeof(float));
}

static void product(const cpu_linear *op, size_t m0, size_t m1, size_t n0, size_t n1)
{
    if (m0 == m1 || n0 == n1)
        return;
    const float *weight = (const float *)op->weight + n0 * op->k;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)(m1 - m0), (int)(n1 - n0),
                (int)op->k, 1.0f, op->x + m0 * op->x_stride, (int)op->x_stride, weight,
                (int)op->k, op->epilogue == PV_ADD ? 1.0f : 0.0f,
                op->y + m0 * op->y_stride + n0, (int)op->y_stride);
}

static void blas_run(const cpu_args *args, const cpu_team *team)
{
    const cpu_linear *op = &args->linear;
    size_t rows[2], columns[2];
    pv_cpu_grid(team, op->m, op->n, 16, pv_cpu_reads, rows, columns);
    product(op, rows[0], rows[1], columns[0], columns[1]);
    pv_cpu_epilogue(op, team->kernels, rows[0], rows[1], columns[0], columns[1]);
}

static void blas_run_alone(const cpu_args *args, const cpu_team *team)
{
    const cpu_linear *op = &args->linear;
    (void)team;
    product(op, 0, op->m, 0, op->n);
}

static const cpu_gemm in_team = {
    .name = "openblas",
    .packed_bytes = blas_packed_bytes,
    .pack_rows = blas_pack_rows,
    .pack = blas_pack,
    .run = blas_run,
};

static const cpu_gemm by_itself = {
    .name = "openblas with threads of its own",
    .alone = true,
    .packed_bytes = blas_packed_bytes,
    .pack_rows = blas_pack_rows,
    .pack = blas_pack,
    .run = blas_run_alone,
};

const cpu_gemm *pv_cpu_gemm_blas(char *driver, size_t size)
{
    static const char *const kinds[] = {"serial", "pthread", "openmp"};
    int kind = openblas_get_parallel();
    snprintf(driver, size, "%s, %s", openblas_get_config(),
             kind >= 0 && kind <= 2 ? kinds[kind] : "unknown threads");
    return kind == 1 ? &by_itself : &in_team;
}

void pv_cpu_gemm_enter(void)
{
    omp_set_num_threads(1);
}

#else

const cpu_gemm *pv_cpu_gemm_blas(char *driver, size_t size)
{
    (void)driver;
    (void)size;
    return NULL;
}

void pv_cpu_gemm_enter(void)
{
}

#endif
