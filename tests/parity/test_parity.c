/* SPDX-License-Identifier: MIT */
/*
 * What each precision promises against the Python originals: every case named on the command line,
 * on the CPU at every instruction set that the machine has, all outputs together and each alone.
 * Prints a table of our error beside PyTorch's own, and where the CPU lacks the precision.
 *
 *     test_parity [--best | --from LEVEL | --vulkan | --device NAME] [--precision P] CASE...
 *
 * --best: the highest set only; --from: LEVEL and above; --vulkan: on the Vulkan device that the
 * library chooses, or on the one that --device names. Without any Vulkan device the exit status is
 * 77: skipped.
 */
#include "parity/vector.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { SKIPPED = 77 };

static bool best_only, on_vulkan;
static const char *device_name;
static psgvit_device *vulkan;
static psgvit_isa lowest = PSGVIT_ISA_C;
static psgvit_precision precision = PSGVIT_F32;

/* f16 and bf16: every vector points where the truth does. */
static bool kept_promise(const vector_output *o, const float *found, double max, double mean)
{
    if (precision == PSGVIT_F32)
        return vector_promise(o, max, mean);
    double cosine = vector_least_cosine(found, o);
    printf("cosine %.7f  ", cosine);
    return cosine >= 0.9999;
}

/* Encodes with the outputs of `wanted` and checks each; the rest must stay untouched. */
static int check(const vector_encoder *e, const vector_case *c, unsigned wanted, const char *isa)
{
    float *found[VECTOR_OUTPUTS] = {0};
    psgvit_error err;
    int failures = 0;
    for (size_t i = 0; i < c->output_count; i++)
        if (wanted & (1u << i)) {
            found[i] = malloc(c->outputs[i].count * sizeof(float));
            assert_non_null(found[i]);
            for (size_t j = 0; j < c->outputs[i].count; j++)
                found[i][j] = NAN; /* what isn't written is found */
        }
    if (vector_encode(e, c, 0, c->epochs, 0, found, &err))
        fail_msg("%s: %s", c->name, err.message);
    for (size_t i = 0; i < c->output_count; i++) {
        if (!found[i])
            continue;
        const vector_output *o = &c->outputs[i];
        double max, mean;
        vector_compare(found[i], o->truth, o->count, &max, &mean);
        bool kept = kept_promise(o, found[i], max, mean);
        failures += !kept;
        printf("%-18s %-8s %-8s %-5s  %.2e %.2e   %.2e %.2e   %4.2f %s\n", c->name, isa, o->name,
               wanted & (wanted - 1) ? "all" : "alone", max, mean, o->torch_max, o->torch_mean,
               mean / o->torch_mean, kept ? "" : "BROKEN");
        free(found[i]);
    }
    return failures;
}

/* One device: all outputs together, then each alone; returns the failures. */
static int check_device(const vector_case *c, psgvit_device *device, const char *name)
{
    vector_encoder e;
    vector_encoder_open_as(&e, c, device, precision);
    int failures = check(&e, c, (1u << c->output_count) - 1, name);
    for (size_t i = 0; c->output_count > 1 && i < c->output_count; i++)
        failures += check(&e, c, 1u << i, name);
    vector_encoder_close(&e);
    return failures;
}

static void test_vulkan(void **state)
{
    vector_case c;
    vector_open(&c, TESTS_DIR "/vectors", *state, 0);
    int failures = check_device(&c, vulkan, "vulkan");
    vector_close(&c);
    assert_int_equal(failures, 0);
}

static void test_case(void **state)
{
    vector_case c;
    int failures = 0;
    vector_open(&c, TESTS_DIR "/vectors", *state, 0);
    psgvit_isa top = PSGVIT_ISA_AMX;
    for (psgvit_isa isa = lowest; isa <= top; isa++) {
        psgvit_device_params params = {.struct_size = sizeof params,
                                       .backend = PSGVIT_BACKEND_CPU,
                                       .isa = best_only ? PSGVIT_ISA_AUTO : isa};
        psgvit_device *device = NULL;
        psgvit_error err;
        if (psgvit_device_open(&device, &params, &err)) {
            assert_int_equal(err.code, PSGVIT_E_DEVICE);
            printf("%-18s %s\n", c.name, err.message);
            break;
        }
        const psgvit_device_info *info = psgvit_device_get_info(device);
        if (info->precisions & (1u << precision))
            failures += check_device(&c, device, psgvit_isa_name(info->isa));
        else
            printf("%-18s not tested: %s has no %s at isa %s\n", c.name, info->name,
                   psgvit_precision_name(precision), psgvit_isa_name(info->isa));
        psgvit_device_close(&device);
        if (best_only)
            break;
    }
    vector_close(&c);
    assert_int_equal(failures, 0);
}

/* One device for all cases, so that its pipelines are made once. 0, or the exit status. */
static int open_vulkan(void)
{
    psgvit_device_params params = {.struct_size = sizeof params,
                                   .backend = PSGVIT_BACKEND_VULKAN,
                                   .device = device_name};
    psgvit_error err;
    if (psgvit_device_open(&vulkan, &params, &err)) {
        printf("not tested: %s\n", err.message);
        return device_name ? 1 : SKIPPED;
    }
    printf("%s\n", psgvit_device_get_info(vulkan)->name);
    return 0;
}

static psgvit_isa level_called(const char *name)
{
    psgvit_isa isa = PSGVIT_ISA_AMX;
    while (isa > PSGVIT_ISA_C && strcmp(name, psgvit_isa_name(isa)))
        isa--;
    return isa;
}

static psgvit_precision precision_called(const char *name)
{
    psgvit_precision p = PSGVIT_BF16;
    while (p > PSGVIT_F32 && strcmp(name, psgvit_precision_name(p)))
        p--;
    return p;
}

int main(int argc, char **argv)
{
    struct CMUnitTest tests[64];
    size_t count = 0;
    for (int i = 1; i < argc && count < 64; i++) {
        if (!strcmp(argv[i], "--best"))
            best_only = true;
        else if (!strcmp(argv[i], "--from") && i + 1 < argc)
            lowest = level_called(argv[++i]);
        else if (!strcmp(argv[i], "--precision") && i + 1 < argc)
            precision = precision_called(argv[++i]);
        else if (!strcmp(argv[i], "--vulkan"))
            on_vulkan = true;
        else if (!strcmp(argv[i], "--device") && i + 1 < argc) {
            on_vulkan = true;
            device_name = argv[++i];
        } else
            tests[count++] = (struct CMUnitTest){argv[i], on_vulkan ? test_vulkan : test_case,
                                                 NULL, NULL, argv[i]};
    }
    if (!count) {
        fprintf(stderr, "usage: %s [OPTIONS] CASE...\n", argv[0]);
        return 2;
    }
    int status = on_vulkan ? open_vulkan() : 0;
    if (status)
        return status;
    printf("%-18s %-8s %-8s %-5s  %-17s   %-17s   %s\n", "case", "isa", "output", "asked",
           "ours: max  mean", "PyTorch: max mean", "mean/PyTorch's");
    status = _cmocka_run_group_tests("parity", tests, count, NULL, NULL);
    psgvit_device_close(&vulkan);
    return status;
}
