/* SPDX-License-Identifier: MIT */
/*
 * Every op on the CPU: at every instruction set that there is, with every way of multiplying
 * matrices. What could not be tested is said.
 */
#include "cpu/cpu.h"
#include "ops/cases.h"

#include <stdbool.h>
#include <stdio.h>

static psgvit_device *device_at(psgvit_isa isa, int threads)
{
    psgvit_device *device;
    psgvit_error err;
    psgvit_device_params params = {.struct_size = sizeof params,
                                   .backend = PSGVIT_BACKEND_CPU,
                                   .isa = isa,
                                   .threads = threads};
    if (!psgvit_device_open(&device, &params, &err))
        return device;
    printf("not tested: %s\n", err.message);
    return NULL;
}

/* All tests on one device, with another way of multiplying than its own unless `gemm` is NULL. */
static int run_f32(psgvit_device *device, const cpu_gemm *gemm)
{
    const cpu_gemm **way = &((cpu_device *)device)->gemm[PSGVIT_F32], *own = *way;
    if (gemm == own) /* tested already */
        return 0;
    *way = gemm ? gemm : own;
    printf("-- isa %s, %d threads, products by %s\n", psgvit_isa_name(device->info.isa),
           device->info.threads, (*way)->name);
    int failures = cases_run(device);
    *way = own;
    return failures;
}

static pv_buffer *copies[128]; /* of q, k and v, as operands */
static size_t copy_count;

static void forget_copies(psgvit_device *device)
{
    while (copy_count)
        pv_buffer_destroy(device, copies[--copy_count]);
}

/* A copy of t in the form that linear layers would have written for attention. */
static pv_tensor operand_of(pv_plan *plan, pv_tensor t, const pv_attention_shape *s)
{
    const pv_store store = {plan->device, PSGVIT_BF16};
    const cpu_gemm *gemm = ((cpu_device *)plan->device)->gemm[PSGVIT_BF16];
    pv_tensor copy = pv_attention_operand(plan, &store, t, s);
    if (!copy.form || copy_count == sizeof copies / sizeof *copies ||
        pv_buffer_create(plan->device, t.buffer->floats, PV_HOST, &copies[copy_count],
                         &plan->error))
        return t;
    copy.buffer = copies[copy_count++];
    for (size_t i = 0; i < t.rows; i++)
        gemm->to_operand(t.buffer->host + t.offset + i * t.stride, t.cols,
                         copy.buffer->host + copy.offset + i * copy.stride);
    return copy;
}

static void attend_operands(pv_plan *plan, pv_tensor q, pv_tensor k, pv_tensor v,
                            const pv_attention_shape *s, pv_tensor y)
{
    pv_attention(plan, operand_of(plan, q, s), operand_of(plan, k, s), operand_of(plan, v, s), s,
                 y);
}

/* Products and attention in bf16, if the device has them. */
static int run_bf16(psgvit_device *device)
{
    const cpu_gemm *gemm = ((cpu_device *)device)->gemm[PSGVIT_BF16];
    if (!gemm) {
        printf("not tested: bf16 at isa %s, which this CPU has no instructions for\n",
               psgvit_isa_name(device->info.isa));
        return 0;
    }
    printf("-- isa %s, %d threads, products by %s\n", psgvit_isa_name(device->info.isa),
           device->info.threads, gemm->name);
    int failures = cases_run_linear(device, PSGVIT_BF16) + cases_run_exact(device, PSGVIT_BF16) +
                   cases_run_operand(device, PSGVIT_BF16, attend_operands, attend_operands);
    forget_copies(device);
    return failures;
}

int main(void)
{
    int failures = 0;
    char driver[128];
    const cpu_gemm *ways[] = {NULL, &pv_cpu_gemm_panels, pv_cpu_gemm_blas(driver, sizeof driver)};
    int way_count = ways[2] ? 3 : 2;
    if (!ways[2])
        printf("not tested: products by OpenBLAS, which is not built in\n");
    for (psgvit_isa isa = PSGVIT_ISA_C; isa <= PSGVIT_ISA_AMX; isa++)
        for (int threads = 1; threads <= 3; threads++) {
            psgvit_device *device = device_at(isa, threads);
            if (!device)
                return failures;
            for (int way = 0; way < way_count; way++)
                failures += run_f32(device, ways[way]);
            failures += run_bf16(device);
            psgvit_device_close(&device);
        }
    return failures;
}
