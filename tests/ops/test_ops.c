/* SPDX-License-Identifier: MIT */
/*
 * Every op on the CPU: at every instruction set that there is, with every way of multiplying
 * matrices. What could not be tested is said.
 */
#include "cpu/cpu.h"
#include "ops/cases.h"

#include <stdbool.h>
#include <stdio.h>

/* All tests on one CPU device; false if the machine lacks the level. */
static bool run_on_cpu(psgvit_isa isa, int threads, const cpu_gemm *gemm, int *failures)
{
    psgvit_device *device;
    psgvit_error err;
    psgvit_device_params params = {.struct_size = sizeof params,
                                   .backend = PSGVIT_BACKEND_CPU,
                                   .isa = isa,
                                   .threads = threads};
    if (psgvit_device_open(&device, &params, &err)) {
        printf("not tested: %s\n", err.message);
        return false;
    }
    cpu_device *cpu = (cpu_device *)device;
    if (gemm && gemm == cpu->gemm) { /* its own choice, tested already */
        psgvit_device_close(&device);
        return true;
    }
    cpu->gemm = gemm ? gemm : cpu->gemm;
    printf("-- isa %s, %d threads, products by %s\n", psgvit_isa_name(isa), threads,
           cpu->gemm->name);
    *failures += cases_run(device);
    psgvit_device_close(&device);
    return true;
}

int main(void)
{
    int failures = 0;
    char driver[128];
    const cpu_gemm *ways[] = {NULL, &pv_cpu_gemm_tiles, pv_cpu_gemm_blas(driver, sizeof driver)};
    int way_count = ways[2] ? 3 : 2;
    if (!ways[2])
        printf("not tested: products by OpenBLAS, which is not built in\n");
    for (psgvit_isa isa = PSGVIT_ISA_C; isa <= PSGVIT_ISA_AMX; isa++)
        for (int threads = 1; threads <= 3; threads++)
            for (int way = 0; way < way_count; way++)
                if (!run_on_cpu(isa, threads, ways[way], &failures))
                    return failures;
    return failures;
}
