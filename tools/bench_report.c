/* SPDX-License-Identifier: MIT */
/* What was measured of a model at a batch, as a row of a table or as a JSON object. */
#include "bench.h"

#include "json_out.h"

#include <stdio.h>

static void put_milliseconds(const char *name, double value)
{
    printf(",\"%s\":%.6f", name, value);
}

static void put_times(const double *times, size_t runs)
{
    fputs(",\"times_ms\":[", stdout);
    for (size_t i = 0; i < runs; i++)
        printf("%s%.6f", i ? "," : "", times[i]);
    putchar(']');
}

void bench_report_json(const bench_arguments *args, const bench_result *r,
                       const psgvit_device_info *device, bool first)
{
    char outputs[BENCH_OUTPUTS_TEXT];
    bench_outputs_text(r->spec->outputs, outputs);
    printf("%s\n{\"model\":\"%s\",\"batch\":%zu,\"epochs\":%zu,\"channels\":%zu",
           first ? "[" : ",", r->spec->name, r->batch, r->epochs, r->spec->channels);
    printf(",\"outputs\":\"%s\"", outputs);
    printf(",\"backend\":\"%s\",\"device\":", psgvit_backend_name(device->backend));
    json_put_string(stdout, device->name);
    printf(",\"isa\":\"%s\",\"precision\":\"%s\",\"threads\":%d,\"runs\":%zu",
           psgvit_isa_name(device->isa), psgvit_precision_name(args->precision), device->threads,
           r->runs);
    put_milliseconds("median_ms", r->median);
    put_milliseconds("min_ms", r->least);
    put_milliseconds("p99_ms", r->p99);
    put_milliseconds("per_epoch_ms", r->median / (double)r->epochs);
    printf(",\"gflops\":%.3f", r->gflops);
    if (r->blas > 0.0)
        put_milliseconds("blas_ms", r->blas);
    else
        fputs(",\"blas_ms\":null", stdout);
    if (r->gpu > 0.0)
        put_milliseconds("gpu_ms", r->gpu);
    put_milliseconds("load_ms", r->load.load_ms);
    printf(",\"peak_rss_mb\":%.3f", r->load.peak_rss_mb);
    put_times(r->times, r->runs);
    if (r->profile)
        bench_profile_put(r->profile, r->runs, &args->peak);
    putchar('}');
}

void bench_report_row(const bench_arguments *args, const bench_result *r,
                      const psgvit_device_info *device, bool first)
{
    if (first) {
        fputs("device: ", stdout);
        json_put_plain(stdout, device->name, 200);
        printf(" (%s", psgvit_backend_name(device->backend));
        if (device->backend == PSGVIT_BACKEND_CPU)
            printf(", %s, %d threads", psgvit_isa_name(device->isa), device->threads);
        printf("), %s, %zu runs\n", psgvit_precision_name(args->precision), r->runs);
        printf("%-18s %5s %10s %10s %10s %10s %8s %10s %6s %8s %8s\n", "model", "batch",
               "median ms", "min ms", "p99 ms", "ms/epoch", "GFLOP/s",
               device->backend == PSGVIT_BACKEND_VULKAN ? "gpu ms" : "blas ms", "ratio",
               "load ms", "rss MB");
    }
    printf("%-18s %5zu %10.3f %10.3f %10.3f %10.3f %8.1f", r->spec->name, r->batch, r->median,
           r->least, r->p99, r->median / (double)r->epochs, r->gflops);
    double beside = r->blas > 0.0 ? r->blas : r->gpu;
    if (beside > 0.0)
        printf(" %10.3f %6.3f", beside, r->median / beside);
    else
        printf(" %10s %6s", "-", "-");
    printf(" %8.1f %8.1f\n", r->load.load_ms, r->load.peak_rss_mb);
    if (r->profile)
        bench_profile_print(r->profile, r->runs, &args->peak);
}
