/* SPDX-License-Identifier: MIT */
/*
 * psgvit-parity: does a model, on this device, give the numbers of its PyTorch original? Runs the
 * signals of a file of scripts/export_parity_vectors.py and holds each output against the truth in
 * it, by the promise of the precision that was asked for.
 */
#define _POSIX_C_SOURCE 200809L
#include "cli.h"
#include "interrupt.h"
#include "json_out.h"

#include <psgvit/eegpt.h>
#include <psgvit/osf.h>
#include <psgvit/weights.h>

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "Usage: psgvit-parity -m MODEL [-c config.json] --vectors FILE [options]\n"
    "\n"
    "Runs MODEL on the signals of FILE, which scripts/export_parity_vectors.py makes, and holds\n"
    "what it gives against what PyTorch gives in float64. In f32 the mean error must be at most\n"
    "1.75 times PyTorch's own in float32 (or 2e-7), the largest at most 4 times (or 1e-6); in "
    "bf16\n"
    "and f16 every embedding's cosine with the truth at least 0.9999.\n"
    "\n"
    "  -m, --model FILE      the model, safetensors\n"
    "  -c, --config FILE     its config.json, if the file does not hold it\n"
    "      --vectors FILE    signals and the truth\n"
    "      --backend B       auto, cpu or vulkan (default auto)\n"
    "      --device D        name, index or UUID of the device\n"
    "      --isa LEVEL       auto, c, avx2, avx512 or amx (CPU)\n"
    "      --precision P     f32, f16 or bf16 (default f32)\n"
    "      --threads N       most threads (CPU)\n"
    "      --json            the table as JSON on standard output\n"
    "  -q, --quiet           no table, and say nothing but errors\n"
    "      --version         print the version\n"
    "      --help            print this\n"
    "\n"
    "Exit codes: 0 passed, 1 failed, 2 usage, 3 vectors, 4 model, 5 device, 6 memory, 7 output,\n"
    "130 interrupted, 143 terminated.\n";

enum {
    OUTPUTS = 3,
    RANK = 4,
    SHAPE_TEXT = 128,
};

/* What f32 promises: times PyTorch's own error, or a floor below which nothing is asked. Of the
 * fast modes the cosine is asked alone. */
static const double mean_factor = 1.75, mean_floor = 2e-7, max_factor = 4, max_floor = 1e-6;
static const double least_cosine = 0.9999;

typedef struct arguments {
    const char *model, *config, *vectors, *device;
    psgvit_backend backend;
    psgvit_isa isa;
    psgvit_precision precision;
    size_t threads; /* 0: not given */
    int verbosity;  /* of cli_log */
    bool json;
    bool done; /* --help or --version: nothing else to do */
} arguments;

/* One output, its truth, and how far we and PyTorch's float32 are from it. */
typedef struct output {
    const char *name;
    size_t rank;
    uint64_t shape[RANK];
    size_t count, width; /* numbers in all, and in one embedding */
    float *truth, *found;
    double max, mean, cosine;
    double torch_max, torch_mean; /* negative: the file does not say */
    bool wanted, passed;
} output;

typedef struct parity {
    arguments args;
    psgvit_device *device;
    osf_encoder *osf; /* one of the two */
    eegpt_encoder *eegpt;
    psgvit_weights *file;
    size_t epochs, channels, samples;
    float *input; /* [epochs, channels, samples] */
    output outputs[OUTPUTS];
    cli_failure failure;
} parity;

/* ---- the command line ------------------------------------------------------------------------ */

enum {
    OPT_VECTORS = 256,
    OPT_BACKEND,
    OPT_DEVICE,
    OPT_ISA,
    OPT_PRECISION,
    OPT_THREADS,
    OPT_JSON,
    OPT_VERSION,
    OPT_HELP
};

static const struct option options[] = {
    {"model", required_argument, NULL, 'm'},
    {"config", required_argument, NULL, 'c'},
    {"vectors", required_argument, NULL, OPT_VECTORS},
    {"backend", required_argument, NULL, OPT_BACKEND},
    {"device", required_argument, NULL, OPT_DEVICE},
    {"isa", required_argument, NULL, OPT_ISA},
    {"precision", required_argument, NULL, OPT_PRECISION},
    {"threads", required_argument, NULL, OPT_THREADS},
    {"json", no_argument, NULL, OPT_JSON},
    {"quiet", no_argument, NULL, 'q'},
    {"version", no_argument, NULL, OPT_VERSION},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

static bool take_option(arguments *args, int option, char **argv)
{
    switch (option) {
    case 'm': args->model = optarg; return true;
    case 'c': args->config = optarg; return true;
    case 'q': args->verbosity = -1; return true;
    case OPT_VECTORS: args->vectors = optarg; return true;
    case OPT_DEVICE: args->device = optarg; return true;
    case OPT_JSON: args->json = true; return true;
    case OPT_BACKEND: return cli_parse_backend("--backend", optarg, &args->backend);
    case OPT_ISA: return cli_parse_isa("--isa", optarg, &args->isa);
    case OPT_PRECISION: return cli_parse_precision("--precision", optarg, &args->precision);
    case OPT_THREADS: return cli_parse_size("--threads", optarg, 1, CLI_THREADS, &args->threads);
    case OPT_VERSION:
        printf("psgvit-parity %s\n", psgvit_version());
        args->done = true;
        return true;
    case OPT_HELP:
        fputs(help, stdout);
        args->done = true;
        return true;
    default: cli_refuse_option(option, argv); return false;
    }
}

static bool parse(arguments *args, int argc, char **argv)
{
    opterr = 0;
    for (int c; !args->done && (c = cli_next_option(argc, argv, ":m:c:q", options)) != -1;)
        if (!take_option(args, c, argv))
            return false;
    if (args->done)
        return true;
    const char *missing = !args->model     ? "-m MODEL is missing"
                          : !args->vectors ? "--vectors FILE is missing"
                                           : NULL;
    if (missing)
        cli_error(CLI_USAGE, "%s, see --help", missing);
    else if (optind < argc)
        cli_error(CLI_USAGE, "unexpected argument '%s', see --help", argv[optind]);
    return !missing && optind == argc;
}

/* ---- device and model ------------------------------------------------------------------------ */

static int open_device(parity *p)
{
    psgvit_error err;
    psgvit_device_params params = {
        .struct_size = sizeof params,
        .backend = p->args.backend,
        .device = p->args.device,
        .isa = p->args.isa,
        .threads = (int)p->args.threads,
        .log = cli_log,
        .log_user = &p->args.verbosity,
    };
    return psgvit_device_open(&p->device, &params, &err) ? cli_fail_status(&p->failure, &err)
                                                         : CLI_DONE;
}

/* OSF if it has a cls_token; whatever else is wrong with it, the encoder says. */
static int open_model(parity *p)
{
    psgvit_error err;
    psgvit_weights *weights = NULL;
    psgvit_encoder_params params = {
        .struct_size = sizeof params,
        .precision = p->args.precision,
        .config_path = p->args.config,
    };
    if (psgvit_weights_open(&weights, p->args.model, NULL, &err))
        return cli_fail_status(&p->failure, &err);
    bool osf = psgvit_weights_find(weights, "cls_token") != NULL;
    psgvit_weights_close(&weights);
    psgvit_status status =
        osf ? osf_encoder_open(&p->osf, p->device, p->args.model, &params, &err)
            : eegpt_encoder_open(&p->eegpt, p->device, p->args.model, &params, &err);
    return status ? cli_fail_status(&p->failure, &err) : CLI_DONE;
}

/* ---- the vectors ----------------------------------------------------------------------------- */

/* "[2, 3]"; a file's may have more axes than there is room for. */
static void shape_text(const uint64_t *shape, size_t rank, char text[SHAPE_TEXT])
{
    size_t used = (size_t)snprintf(text, SHAPE_TEXT, "[");
    for (size_t i = 0; i < rank && used < SHAPE_TEXT; i++)
        used += (size_t)snprintf(text + used, SHAPE_TEXT - used, "%s%" PRIu64, i ? ", " : "",
                                 shape[i]);
    if (used < SHAPE_TEXT)
        snprintf(text + used, SHAPE_TEXT - used, "]");
}

/* `t` is NULL if the file has no such tensor. */
static int unfit(parity *p, const char *name, const psgvit_tensor *t, const char *expected)
{
    char found[SHAPE_TEXT] = "none";
    if (t)
        shape_text(t->shape, t->rank, found);
    return cli_fail(&p->failure, CLI_INPUT, "%s: tensor '%s': expected %s, found %s",
                    p->args.vectors, name, expected, found);
}

/* All of a tensor, to be freed. What the file says of its size is true: it has been checked. */
static int read_tensor(parity *p, const psgvit_tensor *t, float **values)
{
    psgvit_error err;
    size_t count = (size_t)t->elements;
    *values = calloc(count, sizeof **values);
    if (!*values)
        return cli_fail(&p->failure, CLI_MEMORY, "%s: no memory for the %zu numbers of '%s'",
                        p->args.vectors, count, t->name);
    return psgvit_weights_read(p->file, t, 0, count, *values, &err)
               ? cli_fail(&p->failure, CLI_INPUT, "%s", err.message)
               : CLI_DONE;
}

static int read_input(parity *p)
{
    const psgvit_tensor *t = psgvit_weights_find(p->file, "input");
    size_t channels =
        p->osf ? osf_encoder_info(p->osf)->leads : eegpt_encoder_info(p->eegpt)->channels;
    char expected[128];
    snprintf(expected, sizeof expected, "[epochs, %zu, samples] for this model", channels);
    if (!t || t->rank != 3 || !t->elements || t->shape[1] != channels)
        return unfit(p, "input", t, expected);
    p->epochs = (size_t)t->shape[0];
    p->channels = channels;
    p->samples = (size_t)t->shape[2];
    if (!(p->osf ? osf_patch_count(p->osf, p->samples) : eegpt_patch_count(p->eegpt, p->samples)))
        return cli_fail(&p->failure, CLI_INPUT,
                        "%s: tensor 'input': expected epochs of a length that %s takes, found %zu "
                        "samples",
                        p->args.vectors, p->args.model, p->samples);
    return read_tensor(p, t, &p->input);
}

static void name_outputs(parity *p)
{
    if (p->osf) {
        const osf_info *info = osf_encoder_info(p->osf);
        size_t e = p->epochs, n = osf_patch_count(p->osf, p->samples), d = info->width;
        p->outputs[0] = (output){.name = "cls", .rank = 2, .shape = {e, d}};
        p->outputs[1] = (output){.name = "patches", .rank = 3, .shape = {e, n, d}};
        p->outputs[2] = (output){.name = "mean", .rank = 2, .shape = {e, d}};
    } else {
        const eegpt_info *info = eegpt_encoder_info(p->eegpt);
        size_t e = p->epochs, n = eegpt_patch_count(p->eegpt, p->samples);
        p->outputs[0] = (output){
            .name = "features", .rank = 4, .shape = {e, n, info->summary_tokens, info->width}};
        p->outputs[1] = (output){.name = "logits", .rank = 2, .shape = {e, info->outputs}};
    }
}

static double own_error(const cJSON *errors, const char *name, const char *key)
{
    const cJSON *item =
        cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(errors, name), key);
    return cJSON_IsNumber(item) && item->valuedouble >= 0 ? item->valuedouble : -1;
}

static int read_output(parity *p, output *o, const cJSON *errors)
{
    const psgvit_tensor *t = psgvit_weights_find(p->file, o->name);
    if (!t)
        return CLI_DONE;
    bool fits = t->rank == o->rank && t->elements > 0;
    for (size_t i = 0; fits && i < o->rank; i++)
        fits = t->shape[i] == o->shape[i];
    if (!fits && p->eegpt && o->rank == 2 && !o->shape[1])
        return cli_fail(&p->failure, CLI_MODEL, "%s: the model has no probe, so no logits",
                        p->args.model);
    char expected[SHAPE_TEXT];
    shape_text(o->shape, o->rank, expected);
    if (!fits)
        return unfit(p, o->name, t, expected);
    o->wanted = true;
    o->width = (size_t)o->shape[o->rank - 1];
    o->count = (size_t)t->elements;
    o->torch_max = own_error(errors, o->name, "max");
    o->torch_mean = own_error(errors, o->name, "mean");
    o->found = calloc(o->count, sizeof *o->found);
    if (!o->found)
        return cli_fail(&p->failure, CLI_MEMORY, "no memory for %zu numbers of '%s'", o->count,
                        o->name);
    return read_tensor(p, t, &o->truth);
}

static int read_outputs(parity *p)
{
    const char *text = psgvit_weights_metadata(p->file, "config");
    cJSON *config = text ? cJSON_Parse(text) : NULL;
    const cJSON *errors = cJSON_GetObjectItemCaseSensitive(config, "pytorch_f32_error");
    int code = CLI_DONE;
    bool any = false;
    name_outputs(p);
    for (size_t i = 0; !code && i < OUTPUTS && p->outputs[i].name; i++) {
        code = read_output(p, &p->outputs[i], errors);
        any = any || p->outputs[i].wanted;
    }
    cJSON_Delete(config);
    if (!code && !any)
        return cli_fail(&p->failure, CLI_INPUT, "%s: expected a tensor %s, which an %s model gives",
                        p->args.vectors,
                        p->osf ? "'cls', 'patches' or 'mean'" : "'features' or 'logits'",
                        p->osf ? "OSF" : "EEGPT");
    return code;
}

static int open_vectors(parity *p)
{
    psgvit_error err;
    if (psgvit_weights_open(&p->file, p->args.vectors, NULL, &err))
        return cli_fail(&p->failure, err.code == PSGVIT_E_MEMORY ? CLI_MEMORY : CLI_INPUT, "%s",
                        err.message);
    int code = read_input(p);
    return code ? code : read_outputs(p);
}

/* ---- running and comparing ------------------------------------------------------------------- */

static int cancelled(void *user)
{
    (void)user;
    return interrupt_code();
}

/* The file holds what the model itself was given: nothing is clamped here. */
static psgvit_status run_osf(parity *p, psgvit_error *err)
{
    output *o = p->outputs;
    osf_job job = {
        .struct_size = sizeof job,
        .signal = p->input,
        .epochs = p->epochs,
        .samples = p->samples,
        .cls = o[0].found,
        .cls_capacity = o[0].count,
        .patches = o[1].found,
        .patches_capacity = o[1].count,
        .mean = o[2].found,
        .mean_capacity = o[2].count,
        .no_clamp = 1,
        .cancel = cancelled,
    };
    return osf_encode(p->osf, &job, err);
}

static psgvit_status run_eegpt(parity *p, psgvit_error *err)
{
    output *o = p->outputs;
    eegpt_job job = {
        .struct_size = sizeof job,
        .signal = p->input,
        .epochs = p->epochs,
        .samples = p->samples,
        .features = o[0].found,
        .features_capacity = o[0].count,
        .logits = o[1].found,
        .logits_capacity = o[1].count,
        .cancel = cancelled,
    };
    return eegpt_encode(p->eegpt, &job, err);
}

static int run(parity *p)
{
    psgvit_error err;
    psgvit_status status = p->osf ? run_osf(p, &err) : run_eegpt(p, &err);
    if (status == PSGVIT_E_CANCELLED)
        return interrupt_fail(&p->failure);
    return status ? cli_fail_status(&p->failure, &err) : CLI_DONE;
}

/* Of one embedding and its truth; a NaN in either gives -1. */
static double cosine(const float *a, const float *b, size_t width)
{
    double product = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < width; i++) {
        product += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    double value = product / sqrt(aa * bb);
    return value >= -1 ? value : -1;
}

static double limit(double factor, double own, double floor)
{
    return fmax(floor, factor * own);
}

static void compare(output *o, psgvit_precision precision)
{
    double sum = 0;
    o->cosine = 1;
    for (size_t i = 0; i < o->count; i++) {
        double d = fabs((double)o->found[i] - (double)o->truth[i]);
        d = isnan(d) ? INFINITY : d;
        sum += d;
        o->max = fmax(o->max, d);
    }
    for (size_t i = 0; i < o->count; i += o->width)
        o->cosine = fmin(o->cosine, cosine(o->found + i, o->truth + i, o->width));
    o->mean = sum / (double)o->count;
    o->passed = precision != PSGVIT_F32
                    ? o->cosine >= least_cosine
                    : o->mean <= limit(mean_factor, o->torch_mean, mean_floor) &&
                          o->max <= limit(max_factor, o->torch_max, max_floor);
}

static bool compare_all(parity *p)
{
    bool passed = true;
    for (size_t i = 0; i < OUTPUTS; i++)
        if (p->outputs[i].wanted) {
            compare(&p->outputs[i], p->args.precision);
            passed = passed && p->outputs[i].passed;
        }
    return passed;
}

/* ---- reporting ------------------------------------------------------------------------------- */

static void put_own(double own)
{
    if (own < 0)
        printf(" %9s", "-");
    else
        printf(" %9.2e", own);
}

static void report_table(const parity *p, bool passed)
{
    const psgvit_device_info *device = psgvit_device_get_info(p->device);
    json_put_plain(stdout, p->args.model, 200);
    fputs(" on ", stdout);
    json_put_plain(stdout, device->name, 200);
    printf(" (%s%s%s), %s: %zu epochs of %zu x %zu\n", psgvit_backend_name(device->backend),
           device->isa ? ", " : "", psgvit_isa_name(device->isa),
           psgvit_precision_name(p->args.precision), p->epochs, p->channels, p->samples);
    printf("%-9s %9s %9s %9s %9s %9s %9s %9s %10s\n", "output", "numbers", "max", "PyTorch",
           "limit", "mean", "PyTorch", "limit", "1-cosine");
    for (size_t i = 0; i < OUTPUTS; i++) {
        const output *o = &p->outputs[i];
        if (!o->wanted)
            continue;
        printf("%-9s %9zu %9.2e", o->name, o->count, o->max);
        put_own(o->torch_max);
        printf(" %9.2e %9.2e", limit(max_factor, o->torch_max, max_floor), o->mean);
        put_own(o->torch_mean);
        printf(" %9.2e %10.1e  %s\n", limit(mean_factor, o->torch_mean, mean_floor),
               fmax(0, 1 - o->cosine), o->passed ? "pass" : "FAIL");
    }
    puts(passed ? "PASS" : "FAIL");
}

static void put_number(const char *key, double value)
{
    printf(", \"%s\": ", key);
    json_put_double(stdout, value >= 0 ? value : NAN); /* null */
}

static void report_json(const parity *p, bool passed)
{
    const psgvit_device_info *device = psgvit_device_get_info(p->device);
    bool first = true;
    fputs("{\n  \"model\": ", stdout);
    json_put_string(stdout, p->args.model);
    fputs(",\n  \"vectors\": ", stdout);
    json_put_string(stdout, p->args.vectors);
    fputs(",\n  \"device\": ", stdout);
    json_put_string(stdout, device->name);
    printf(",\n  \"version\": \"%s\",\n  \"backend\": \"%s\",\n  \"isa\": \"%s\",\n",
           psgvit_version(), psgvit_backend_name(device->backend), psgvit_isa_name(device->isa));
    printf("  \"precision\": \"%s\",\n  \"threads\": %d,\n  \"outputs\": [",
           psgvit_precision_name(p->args.precision), device->threads);
    for (size_t i = 0; i < OUTPUTS; i++) {
        const output *o = &p->outputs[i];
        char shape[SHAPE_TEXT];
        if (!o->wanted)
            continue;
        shape_text(o->shape, o->rank, shape);
        printf("%s\n    {\"name\": \"%s\", \"shape\": %s", first ? "" : ",", o->name, shape);
        put_number("max_error", o->max);
        put_number("mean_error", o->mean);
        put_number("pytorch_max_error", o->torch_max);
        put_number("pytorch_mean_error", o->torch_mean);
        fputs(", \"least_cosine\": ", stdout);
        json_put_double(stdout, o->cosine);
        printf(", \"pass\": %s}", o->passed ? "true" : "false");
        first = false;
    }
    printf("\n  ],\n  \"pass\": %s\n}\n", passed ? "true" : "false");
}

static int report(const parity *p, bool passed)
{
    if (p->args.json)
        report_json(p, passed);
    else if (p->args.verbosity >= 0)
        report_table(p, passed);
    int code = cli_end_output();
    if (code || passed)
        return code;
    for (size_t i = 0; i < OUTPUTS; i++)
        if (p->outputs[i].wanted && !p->outputs[i].passed && p->args.precision == PSGVIT_F32)
            cli_error(CLI_SOME_FAILED,
                      "%s: expected a mean error of at most %.2e and a largest of %.2e, found %.2e "
                      "and %.2e",
                      p->outputs[i].name, limit(mean_factor, p->outputs[i].torch_mean, mean_floor),
                      limit(max_factor, p->outputs[i].torch_max, max_floor), p->outputs[i].mean,
                      p->outputs[i].max);
        else if (p->outputs[i].wanted && !p->outputs[i].passed)
            cli_error(CLI_SOME_FAILED, "%s: expected a cosine of at least %g, found %.6f",
                      p->outputs[i].name, least_cosine, p->outputs[i].cosine);
    return CLI_SOME_FAILED;
}

static void close_all(parity *p)
{
    for (size_t i = 0; i < OUTPUTS; i++) {
        free(p->outputs[i].truth);
        free(p->outputs[i].found);
    }
    free(p->input);
    psgvit_weights_close(&p->file);
    osf_encoder_close(&p->osf);
    eegpt_encoder_close(&p->eegpt);
    psgvit_device_close(&p->device);
}

int main(int argc, char **argv)
{
    parity p = {.failure = {.code = CLI_DONE}};
    cli_set_program("psgvit-parity");
    interrupt_hold_streams();
    if (!parse(&p.args, argc, argv))
        return CLI_USAGE;
    if (p.args.done)
        return cli_end_output();
    interrupt_watch();
    int code = open_device(&p);
    code = code ? code : open_model(&p);
    code = code ? code : open_vectors(&p);
    code = code ? code : run(&p);
    if (code)
        cli_error(code, "%s", p.failure.message);
    else
        code = report(&p, compare_all(&p));
    close_all(&p);
    return code;
}
