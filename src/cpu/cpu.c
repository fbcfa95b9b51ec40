/* SPDX-License-Identifier: MIT */
/*
 * The CPU as a device: opening it, its memory and its store of packed weights. What runs on it is
 * in plan.c.
 */
#include "cpu/cpu.h"

#include "base/memory.h"
#include "cpu/cpuid.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Keep the matrix products at their best. More only costs memory; bf16, whose products wait for
 * caches first, becomes slower: EEGPT of 58 x 1024 and depth 8, 1922 rows a window, takes 360 ms
 * for eight one by one, 404 by two and 443 to 553 by eight (AMX, 2 threads of an Intel Xeon,
 * 2026-11-23). */
enum { BATCH_ROWS = 1536, MOST_ROWS_A_THREAD = BATCH_ROWS / 2 };

/* ---- memory ---- */

static psgvit_status buffer_create(psgvit_device *device, size_t floats, int kind,
                                   pv_buffer **buffer, psgvit_error *err)
{
    (void)device;
    (void)kind; /* all memory is the host's */
    pv_buffer *b = malloc(sizeof *b);
    float *data = b ? pv_alloc(floats * sizeof(float)) : NULL;
    if (!data) {
        free(b);
        return pv_fail_memory(err, "a buffer", floats * sizeof(float));
    }
    *b = (pv_buffer){floats, data};
    *buffer = b;
    return PSGVIT_OK;
}

static void buffer_destroy(psgvit_device *device, pv_buffer *buffer)
{
    (void)device;
    pv_free(buffer->host);
    free(buffer);
}

/* ---- weights ---- */

/* What a store owns: memory of numbers, with the buffer or matrix that describes it. */
typedef struct store_item {
    struct store_item *next;
    void *data;
    pv_buffer buffer;
    cpu_matrix matrix;
} store_item;

typedef struct cpu_store {
    pv_store base;
    store_item *items;
} cpu_store;

static psgvit_status store_create(psgvit_device *device, psgvit_precision precision,
                                  pv_store **store, psgvit_error *err)
{
    const cpu_device *d = (const cpu_device *)device;
    if (d->gemm[precision]->needs_amx && !pv_cpu_ask_for_tiles())
        return pv_fail(err, PSGVIT_E_DEVICE,
                       "isa amx: the operating system refuses this process AMX's registers; isa "
                       "avx512 works without");
    cpu_store *s = calloc(1, sizeof *s);
    if (!s)
        return pv_fail_memory(err, "a store", sizeof *s);
    s->base = (pv_store){device, precision};
    *store = &s->base;
    return PSGVIT_OK;
}

static void store_destroy(pv_store *store)
{
    cpu_store *s = (cpu_store *)store;
    for (store_item *item = s->items; item;) {
        store_item *next = item->next;
        pv_free(item->data);
        free(item);
        item = next;
    }
    free(s);
}

static psgvit_status store_item_create(cpu_store *s, size_t bytes, store_item **out,
                                       psgvit_error *err)
{
    store_item *item = calloc(1, sizeof *item);
    void *data = item ? pv_alloc(bytes) : NULL;
    if (!data) {
        free(item);
        return pv_fail_memory(err, "a weight", bytes);
    }
    item->data = data;
    item->next = s->items;
    s->items = item;
    *out = item;
    return PSGVIT_OK;
}

static psgvit_status store_tensor(pv_store *store, const float *values, size_t rows, size_t cols,
                                  pv_tensor *tensor, psgvit_error *err)
{
    store_item *item = NULL;
    size_t bytes = rows * cols * sizeof(float);
    PV_TRY(store_item_create((cpu_store *)store, bytes, &item, err));
    memcpy(item->data, values, bytes);
    item->buffer = (pv_buffer){rows * cols, item->data};
    *tensor = pv_view(&item->buffer, 0, rows, cols);
    return PSGVIT_OK;
}

/* Reads and packs blocks of rows, each thread its own. */
static psgvit_status pack_rows(const cpu_device *device, const cpu_gemm *gemm,
                               const pv_rows *source, void *packed, psgvit_error *err)
{
    size_t unit = gemm->pack_rows(device->kernels);
    size_t block = (65536 / (source->cols + 1) / unit + 1) * unit; /* about 256 KiB, in L2 */
    size_t bytes = block * source->cols * sizeof(float);
    size_t blocks = (source->rows + block - 1) / block;
    bool failed = false;
#pragma omp parallel num_threads(pv_device_team(&device->base)) reduction(|| : failed)
    {
        float *rows = pv_alloc(bytes);
        failed = !rows;
#pragma omp for schedule(static)
        for (size_t i = 0; i < blocks; i++) {
            size_t first = i * block;
            size_t count = source->rows - first < block ? source->rows - first : block;
            if (rows) {
                source->read(source->source, first, count, rows);
                gemm->pack(device->kernels, rows, first, count, source->cols, packed);
            }
        }
        pv_free(rows);
    }
    return failed ? pv_fail_memory(err, "packing a weight", bytes) : PSGVIT_OK;
}

static psgvit_status store_matrix(pv_store *store, const pv_rows *source, const pv_matrix **matrix,
                                  psgvit_error *err)
{
    const cpu_device *device = (const cpu_device *)store->device;
    const cpu_gemm *gemm = device->gemm[source->exact ? PSGVIT_F32 : store->precision];
    store_item *item = NULL;
    size_t bytes = gemm->packed_bytes(device->kernels, source->rows, source->cols);
    PV_TRY(store_item_create((cpu_store *)store, bytes, &item, err));
    PV_TRY(pack_rows(device, gemm, source, item->data, err));
    item->matrix = (cpu_matrix){{source->rows, source->cols, bytes}, gemm, item->data};
    *matrix = &item->matrix.base;
    return PSGVIT_OK;
}

/* ---- the device ---- */

static void device_close(psgvit_device *device)
{
    free(device);
}

static const pv_backend cpu_backend = {
    .ops = &pv_cpu_ops,
    .device_close = device_close,
    .buffer_create = buffer_create,
    .buffer_destroy = buffer_destroy,
    .store_create = store_create,
    .store_matrix = store_matrix,
    .store_tensor = store_tensor,
    .store_destroy = store_destroy,
    .plan_begin = pv_cpu_plan_begin,
    .plan_finish = pv_cpu_plan_finish,
    .plan_start = pv_cpu_plan_start,
    .plan_destroy = pv_cpu_plan_destroy,
    .operand = pv_cpu_operand,
    .attention_operand = pv_cpu_attention_operand,
};

/* How each precision is multiplied. Our own kernels where there are some for this CPU: they read
 * weights packed once, where BLAS packs at every call, and give a row the same bits in any batch.
 * 12 blocks of OSF-base at 91 rows on 2 threads of an Intel Xeon with AMX (bench_linear 2 91,
 * 2026-11-22): AMX 34 ms, AVX-512 65 ms, Debian's OpenBLAS 0.3.21 290 ms. OpenBLAS for the rest. */
static void choose_gemm(cpu_device *d, psgvit_isa isa)
{
    const cpu_gemm **gemm = d->gemm;
    if (isa == PSGVIT_ISA_C)
        gemm[PSGVIT_F32] = pv_cpu_gemm_blas(d->driver, sizeof d->driver);
    if (!gemm[PSGVIT_F32])
        gemm[PSGVIT_F32] = &pv_cpu_gemm_panels;
#if defined(__x86_64__)
    if (isa == PSGVIT_ISA_AMX)
        gemm[PSGVIT_F32] = &pv_cpu_gemm_amx;
    if (isa >= PSGVIT_ISA_AVX512 && pv_cpu_has_avx512_bf16()) /* AMX's rounds x by it, too */
        gemm[PSGVIT_BF16] =
            isa == PSGVIT_ISA_AMX ? &pv_cpu_gemm_amx_bf16 : &pv_cpu_gemm_avx512_bf16;
#endif
}

/* The level in force, and what it brings. */
static psgvit_status choose_isa(cpu_device *d, psgvit_isa asked, psgvit_isa *isa, psgvit_error *err)
{
    psgvit_isa machine = pv_cpu_isa();
    *isa = asked ? asked : machine;
    if (asked > machine)
        return pv_fail(err, PSGVIT_E_DEVICE, "isa %s: this CPU (%s) has %s at most",
                       psgvit_isa_name(asked), d->name, psgvit_isa_name(machine));
    snprintf(d->driver, sizeof d->driver, "libpsgvit's own %s kernels", psgvit_isa_name(*isa));
    d->kernels = pv_kernels_for(*isa);
    choose_gemm(d, *isa);
    return PSGVIT_OK;
}

static unsigned precisions(const cpu_device *d)
{
    unsigned bits = 0;
    for (int p = 0; p < PV_PRECISIONS; p++)
        bits |= d->gemm[p] ? 1u << p : 0;
    return bits;
}

static uint64_t host_memory(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    return pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : 0;
}

psgvit_status pv_cpu_open(psgvit_device **device, const psgvit_device_params *params,
                          psgvit_error *err)
{
    cpu_device *d = calloc(1, sizeof *d);
    if (!d)
        return pv_fail_memory(err, "a device", sizeof *d);
    pv_cpu_name(d->name, sizeof d->name);
    psgvit_isa isa = PSGVIT_ISA_C;
    psgvit_status status = choose_isa(d, params->isa, &isa, err);
    if (status) {
        free(d);
        return status;
    }
    int threads = params->threads ? params->threads : omp_get_max_threads();
    d->base = (psgvit_device){
        .backend = &cpu_backend,
        .info = {.backend = PSGVIT_BACKEND_CPU,
                 .type = PSGVIT_DEVICE_CPU,
                 .name = d->name,
                 .driver = d->driver,
                 .uuid = "",
                 .memory_bytes = host_memory(),
                 .isa = isa,
                 .threads = threads > PV_MAX_THREADS ? PV_MAX_THREADS : threads,
                 .precisions = precisions(d),
                 .usable = 1,
                 .reason = ""},
        .log = {params->log, params->log_user},
        .batch_rows = BATCH_ROWS,
        .most_rows = threads > 2 ? (size_t)threads * MOST_ROWS_A_THREAD : BATCH_ROWS,
        .threads_asked = params->threads,
        .in_flight = 1,
        /* EEGPT of 4, 22 and 64 channels, depth 2: 13.7 to 12.5 ms, 37.0 to 32.9, 93.0 to 82.6
         * (2 threads of an AMD EPYC, Zen 3, AVX2, 2026-11-23). */
        .spares = 1u << PSGVIT_F32,
    };
    if (d->gemm[PSGVIT_F32]->alone)
        pv_log_line(&d->base.log, PSGVIT_LOG_WARNING,
                    "%s has threads of its own: the number of threads asked for does not bind it",
                    d->driver);
    *device = &d->base;
    return PSGVIT_OK;
}
