/* SPDX-License-Identifier: MIT */
/*
 * psgvit-bench: how fast a model runs on a device, beside its own matrix products by bare BLAS in
 * the same minutes. Weights are synthetic and made in memory, signals are plausible: no file is
 * needed.
 */
#define _DEFAULT_SOURCE 1
#include "bench.h"

#include "cli.h"
#include "interrupt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
    "Usage: psgvit-bench MODEL[,MODEL...] [options]\n"
    "\n"
    "MODEL is osf-nano, osf-tiny, osf-small, osf-middle, osf-base, osf-large, osf-xl, or\n"
    "eegpt:CHANNELSxSAMPLES[:DEPTH] (depth 2 by default), such as eegpt:22x1000.\n"
    "\n"
    "      --batch LIST      epochs at once (default 1,2,4,8,16)\n"
    "      --epochs N        epochs of a run, in batches of --batch, whose 0 is then what suits\n"
    "                        the device (default: one batch)\n"
    "      --runs N          timed runs, after 2 that are not (default 15)\n"
    "      --outputs LIST    cls, patches, mean (osf; default cls,patches); features, logits\n"
    "                        (eegpt; default logits)\n"
    "      --channels N      osf: the first N of the 12 channels have a signal, the others are\n"
    "                        missing, which is zeros (default 12)\n"
    "      --threads N       CPU threads (default: what OpenMP would use)\n"
    "      --backend NAME    auto, cpu or vulkan\n"
    "      --device NAME     name, index or UUID of a device\n"
    "      --isa NAME        auto, c, avx2, avx512 or amx: a ceiling on the CPU\n"
    "      --precision NAME  f32, f16 or bf16\n"
    "      --profile         under each row, by as many runs again: the time of each step of the\n"
    "                        model, what it has to compute and to move, and its kernel\n"
    "      --peak GF,GB      with --profile: the device's most GFLOP/s and GB/s, for the share\n"
    "                        that the time they allow has in the step's own (floor%)\n"
    "      --json            an array of objects in place of the table, with every run's time\n"
    "      --version         print the version\n"
    "      --help            print this\n"
    "\n"
    "Columns: milliseconds a run (median, least, 99th percentile) and an epoch; GFLOP/s of the\n"
    "whole model; blas: the model's linear layers by bare cblas_sgemm (CPU, f32), its runs in\n"
    "turn with the model's; gpu: the run by the GPU's own clock; ratio: median by blas or gpu;\n"
    "load: opening the model from the page cache, measured once a model; rss: peak memory of a\n"
    "process that loads and runs one batch, in 10^6 bytes.\n"
    "\n"
    "Exit codes: 0 done, 2 usage, 4 model, 5 device, 6 memory, 7 output, 130 and 143 by signals.\n";

enum {
    WARM_UP = 2,
    WARM_UP_MS = 300,
    GPU_WARM_UP_MS = 3000, /* an H200 computes at a third or less of its speed for two seconds */
    CHILDREN = 3,
    MOST_RUNS = 100000,
    MOST_BATCH = 65536,
    MOST_PEAK = 1000000000,
};

/* ---- command line ---------------------------------------------------------------------------- */

enum {
    OPT_BATCH = 256,
    OPT_EPOCHS,
    OPT_RUNS,
    OPT_OUTPUTS,
    OPT_CHANNELS,
    OPT_THREADS,
    OPT_BACKEND,
    OPT_DEVICE,
    OPT_ISA,
    OPT_PRECISION,
    OPT_PROFILE,
    OPT_PEAK,
    OPT_JSON,
    OPT_VERSION,
    OPT_HELP,
};

static const struct option options[] = {
    {"batch", required_argument, NULL, OPT_BATCH},
    {"epochs", required_argument, NULL, OPT_EPOCHS},
    {"runs", required_argument, NULL, OPT_RUNS},
    {"outputs", required_argument, NULL, OPT_OUTPUTS},
    {"channels", required_argument, NULL, OPT_CHANNELS},
    {"threads", required_argument, NULL, OPT_THREADS},
    {"backend", required_argument, NULL, OPT_BACKEND},
    {"device", required_argument, NULL, OPT_DEVICE},
    {"isa", required_argument, NULL, OPT_ISA},
    {"precision", required_argument, NULL, OPT_PRECISION},
    {"profile", no_argument, NULL, OPT_PROFILE},
    {"peak", required_argument, NULL, OPT_PEAK},
    {"json", no_argument, NULL, OPT_JSON},
    {"version", no_argument, NULL, OPT_VERSION},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

static bool parse_models(bench_arguments *args, char *list)
{
    for (char *name; (name = strsep(&list, ",")) != NULL;) {
        if (args->model_count == BENCH_MOST_MODELS) {
            cli_error(CLI_USAGE, "expected at most %d models", BENCH_MOST_MODELS);
            return false;
        }
        if (!bench_parse_model(&args->models[args->model_count++], name))
            return false;
    }
    return true;
}

/* The bits of "cls,patches"; 0 after saying what is wrong. */
static unsigned parse_outputs(const char *list)
{
    unsigned bits = 0;
    char copy[128];
    char *rest = copy;
    snprintf(copy, sizeof copy, "%s", list);
    for (char *name; (name = strsep(&rest, ",")) != NULL;) {
        size_t index;
        if (!cli_parse_choice("--outputs", name, bench_output_names, BENCH_OUTPUTS, &index))
            return 0;
        if (bits >> index & 1) {
            cli_error(CLI_USAGE, "--outputs: '%s' is named twice", name);
            return 0;
        }
        bits |= 1u << index;
    }
    return bits;
}

static bool set_outputs(bench_arguments *args, const char *list)
{
    const unsigned osf = 1u << BENCH_CLS | 1u << BENCH_PATCHES | 1u << BENCH_MEAN;
    unsigned bits = parse_outputs(list);
    for (size_t i = 0; bits && i < args->model_count; i++) {
        bench_spec *spec = &args->models[i];
        if (bits & (spec->eegpt ? osf : ~osf)) {
            cli_error(CLI_USAGE, "--outputs %s: %s has no such output", list, spec->name);
            return false;
        }
        spec->outputs = bits;
    }
    return bits != 0;
}

/* How many channels of an OSF have a signal. */
static bool set_channels(bench_arguments *args, size_t channels)
{
    for (size_t i = 0; i < args->model_count; i++) {
        bench_spec *spec = &args->models[i];
        if (spec->eegpt) {
            cli_error(CLI_USAGE, "--channels %zu: %s has its channels in its name", channels,
                      spec->name);
            return false;
        }
        spec->channels = channels;
    }
    return true;
}

/* "60000,4800": GFLOP/s and GB/s. */
static bool parse_peak(bench_peak *peak, const char *text)
{
    size_t values[2];
    size_t count = 0;
    if (!cli_parse_sizes("--peak", text, 1, MOST_PEAK, values, 2, &count))
        return false;
    if (count != 2) {
        cli_error(CLI_USAGE, "--peak: expected GFLOP/s and GB/s, found '%s'", text);
        return false;
    }
    *peak = (bench_peak){(double)values[0], (double)values[1]};
    return true;
}

static bool take_option(bench_arguments *args, int option, char **argv)
{
    switch (option) {
    case OPT_BATCH:
        return cli_parse_sizes("--batch", optarg, 0, MOST_BATCH, args->batches, BENCH_MOST_BATCHES,
                               &args->batch_count);
    case OPT_EPOCHS: return cli_parse_size("--epochs", optarg, 1, MOST_BATCH, &args->epochs);
    case OPT_RUNS: return cli_parse_size("--runs", optarg, 1, MOST_RUNS, &args->runs);
    case OPT_CHANNELS:
        return cli_parse_size("--channels", optarg, 1, BENCH_OSF_CHANNELS, &args->channels);
    case OPT_THREADS: return cli_parse_size("--threads", optarg, 1, CLI_THREADS, &args->threads);
    case OPT_BACKEND: return cli_parse_backend("--backend", optarg, &args->backend);
    case OPT_ISA: return cli_parse_isa("--isa", optarg, &args->isa);
    case OPT_PRECISION: return cli_parse_precision("--precision", optarg, &args->precision);
    case OPT_DEVICE: args->device = optarg; return true;
    case OPT_PROFILE: args->profile = true; return true;
    case OPT_PEAK: return parse_peak(&args->peak, optarg);
    case OPT_JSON: args->json = true; return true;
    default: cli_refuse_option(option, argv); return false;
    }
}

/* A batch of 0 has a size only in a job of some. */
static bool check_batches(const bench_arguments *args)
{
    for (size_t i = 0; i < args->batch_count; i++)
        if (!args->batches[i] && !args->epochs) {
            cli_error(CLI_USAGE, "--batch: expected at least 1, or --epochs beside it, found 0");
            return false;
        }
    return true;
}

static bool check_peak(const bench_arguments *args)
{
    if (args->profile || args->peak.gflops == 0)
        return true;
    cli_error(CLI_USAGE, "--peak is for --profile, which is missing");
    return false;
}

/* True if there is work to do; else *code says how to end. */
static bool parse(bench_arguments *args, int argc, char **argv, int *code)
{
    const char *outputs = NULL;
    opterr = 0;
    *code = CLI_USAGE;
    for (int c; (c = cli_next_option(argc, argv, ":", options)) != -1;) {
        if (c == OPT_HELP || c == OPT_VERSION) {
            if (c == OPT_HELP)
                fputs(help, stdout);
            else
                printf("psgvit-bench %s\n", psgvit_version());
            *code = cli_end_output();
            return false;
        }
        if (c == OPT_OUTPUTS)
            outputs = optarg;
        else if (!take_option(args, c, argv))
            return false;
    }
    if (optind + 1 != argc) {
        cli_error(CLI_USAGE, "expected one list of models, found %d, see --help", argc - optind);
        return false;
    }
    return parse_models(args, argv[optind]) && (!outputs || set_outputs(args, outputs)) &&
           (!args->channels || set_channels(args, args->channels)) && check_batches(args) &&
           check_peak(args);
}

/* ---- measuring ------------------------------------------------------------------------------- */

/* One open model with what is measured beside it. */
typedef struct bench_setup {
    bench_model model;
    bench_blas *blas; /* NULL: no baseline here */
    int file;         /* the model's bytes, for children; -1: none */
    double load_ms;   /* 0: not measured yet */
} bench_setup;

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const double *sorted, size_t count)
{
    return 0.5 * (sorted[(count - 1) / 2] + sorted[count / 2]);
}

/* The least value that at least 99 % of all do not exceed. */
static double percentile99(const double *sorted, size_t count)
{
    return sorted[(count * 99 + 99) / 100 - 1];
}

/* For how long runs don't count. */
static double warm_up_ms(const bench_model *model)
{
    return model->device_ms > 0 ? GPU_WARM_UP_MS : WARM_UP_MS;
}

/* Model and baseline by turns, so that both see the same machine: `runs` times of ours, of the
 * baseline, and of the device's own clock. A signal ends it. */
static psgvit_status time_runs(bench_model *model, bench_blas *blas, size_t runs, double *times,
                               psgvit_error *err)
{
    double begin = cli_clock();
    size_t warm = WARM_UP;
    for (size_t i = 0; i < warm + runs && !interrupt_code(); i++) {
        double start = cli_clock();
        if (i + 1 == warm && start - begin < warm_up_ms(model))
            warm++;
        psgvit_status status = bench_model_run(model, err);
        double took = cli_clock() - start;
        if (status)
            return status;
        double bare = blas ? bench_blas_run(blas, model->epochs) : 0.0;
        if (i >= warm) {
            times[i - warm] = took;
            times[i - warm + runs] = bare;
            times[i - warm + 2 * runs] = model->device_ms;
        }
    }
    return PSGVIT_OK;
}

/* Fills in what is measured; result->times is the caller's to free, also after a fault. */
static int measure_job(bench_model *model, bench_blas *blas, bench_result *result)
{
    psgvit_error err;
    size_t runs = result->runs;
    double *times = calloc(runs * 3, sizeof *times);
    result->times = calloc(runs, sizeof *times);
    if (!times || !result->times) {
        free(times);
        return cli_error(CLI_MEMORY, "no memory for %zu times", runs);
    }
    psgvit_status status = bench_model_prepare(model, result->epochs, result->batch, &err);
    if (!status)
        status = time_runs(model, blas, runs, times, &err);
    if (!status && !interrupt_code()) {
        memcpy(result->times, times, runs * sizeof *times);
        for (size_t i = 0; i < 3; i++)
            qsort(times + i * runs, runs, sizeof *times, by_value);
        result->median = median(times, runs);
        result->least = times[0];
        result->p99 = percentile99(times, runs);
        result->blas = median(times + runs, runs);
        result->gpu = median(times + 2 * runs, runs);
        result->gflops = bench_flops(&model->shape, result->epochs) / (result->median * 1e6);
    }
    free(times);
    return status ? cli_error(cli_exit_code(status), "%s", err.message) : interrupt_code();
}

static void ignore(void *user, const psgvit_op_time *time)
{
    (void)user;
    (void)time;
}

/* As many runs again, in which the library times each step. */
static int measure_profile(bench_model *model, bench_result *result)
{
    psgvit_error err;
    if (!(result->profile = bench_profile_open()))
        return cli_error(CLI_MEMORY, "no memory for a profile");
    model->profile = ignore; /* the first run has new memory, and doesn't count */
    psgvit_status status = bench_model_run(model, &err);
    model->profile = bench_profile_take;
    model->profile_user = result->profile;
    for (size_t i = 0; !status && i < result->runs && !interrupt_code(); i++)
        status = bench_model_run(model, &err);
    model->profile = NULL;
    if (status)
        return cli_error(cli_exit_code(status), "%s", err.message);
    if (!bench_profile_sort(result->profile))
        return cli_error(CLI_MEMORY, "no memory for a profile");
    return interrupt_code();
}

/* Each row has a child for its memory. Loading is the same for all rows of a model: the median of
 * the children of its first one, of which the first may find the file cold. */
static int measure_load(const bench_arguments *args, bench_setup *setup, size_t batch,
                        bench_load *load)
{
    double times[CHILDREN];
    size_t children = setup->load_ms > 0.0 ? 1 : CHILDREN;
    for (size_t i = 0; i < children; i++) {
        int code = bench_child_measure(args, setup->model.spec, batch, setup->file, load);
        if (code)
            return code;
        times[i] = load->load_ms;
    }
    if (children == CHILDREN) {
        qsort(times, CHILDREN, sizeof *times, by_value);
        setup->load_ms = median(times, CHILDREN);
    }
    load->load_ms = setup->load_ms;
    return CLI_DONE;
}

/* ---- all models ------------------------------------------------------------------------------ */

static void close_setup(bench_setup *setup)
{
    bench_model_close(&setup->model);
    bench_blas_close(&setup->blas);
    if (setup->file >= 0)
        close(setup->file);
}

/* The image of the file is freed before the baseline is made: at most two copies of the weights. */
static int open_setup(bench_setup *setup, const bench_arguments *args, const bench_spec *spec,
                      psgvit_device *device)
{
    psgvit_error err;
    unsigned char *bytes = NULL;
    size_t size = 0;
    size_t most = 1;
    double load_ms;
    *setup = (bench_setup){.file = -1};
    if (bench_model_image(spec, &bytes, &size, &err))
        return cli_error(cli_exit_code(err.code), "%s", err.message);
    setup->file = bench_file_make(bytes, size);
    int code = setup->file < 0 ? CLI_OUTPUT : CLI_DONE;
    if (!code && bench_model_open(&setup->model, spec, device, args->precision, NULL, bytes, size,
                                  &load_ms, &err))
        code = cli_error(cli_exit_code(err.code), "%s", err.message);
    free(bytes);
    const psgvit_device_info *info = psgvit_device_get_info(device);
    if (code || !bench_blas_available() || info->backend != PSGVIT_BACKEND_CPU ||
        args->precision != PSGVIT_F32)
        return code;
    for (size_t i = 0; i < args->batch_count; i++)
        most = args->batches[i] > most ? args->batches[i] : most;
    most = args->epochs ? args->epochs : most;
    setup->blas = bench_blas_open(&setup->model.shape, most, info->threads);
    return setup->blas ? CLI_DONE
                       : cli_error(CLI_MEMORY, "%s: no memory for the baseline", spec->name);
}

static int bench_one(const bench_arguments *args, const bench_spec *spec, psgvit_device *device,
                     size_t *reported)
{
    bench_setup setup;
    const psgvit_device_info *info = psgvit_device_get_info(device);
    int code = open_setup(&setup, args, spec, device);
    for (size_t i = 0; !code && i < args->batch_count; i++) {
        bench_result r = {.spec = spec,
                          .epochs = args->epochs ? args->epochs : args->batches[i],
                          .batch = args->batches[i],
                          .runs = args->runs};
        size_t once = r.batch > r.epochs ? r.epochs : r.batch ? r.batch : 1;
        code = measure_load(args, &setup, once, &r.load);
        if (!code)
            code = measure_job(&setup.model, setup.blas, &r);
        if (!code && args->profile)
            code = measure_profile(&setup.model, &r);
        if (!code && args->json)
            bench_report_json(args, &r, info, *reported == 0);
        else if (!code)
            bench_report_row(args, &r, info, *reported == 0);
        free(r.times);
        bench_profile_close(&r.profile);
        if (code)
            break;
        ++*reported;
        code = cli_end_output();
    }
    close_setup(&setup);
    return code;
}

static int bench_all(const bench_arguments *args)
{
    psgvit_error err;
    psgvit_device *device = NULL;
    int verbosity = 0;
    size_t reported = 0;
    int code = CLI_DONE;
    psgvit_device_params params = {.struct_size = sizeof params,
                                   .backend = args->backend,
                                   .device = args->device,
                                   .isa = args->isa,
                                   .threads = (int)args->threads,
                                   .log = cli_log,
                                   .log_user = &verbosity};
    if (psgvit_device_open(&device, &params, &err))
        return cli_error(cli_exit_code(err.code), "%s", err.message);
    for (size_t i = 0; !code && i < args->model_count; i++)
        code = bench_one(args, &args->models[i], device, &reported);
    psgvit_device_close(&device);
    if (args->json) /* an array even if nothing or not all could be measured */
        fputs(reported ? "\n]\n" : "[]\n", stdout);
    code = code ? code : cli_end_output();
    if (code && code == interrupt_code())
        interrupt_error();
    return code;
}

int main(int argc, char **argv)
{
    bench_arguments args = {.batches = {1, 2, 4, 8, 16}, .batch_count = 5, .runs = 15};
    int code;
    cli_set_program("psgvit-bench");
    interrupt_hold_streams();
    if (argc > 1 && !strcmp(argv[1], "--measure-load")) {
        args.child_file = "/proc/self/fd/3";
        argv[1] = argv[0];
        argv++;
        argc--;
    }
    if (!parse(&args, argc, argv, &code))
        return code;
    if (args.child_file)
        return bench_child_main(&args);
    interrupt_watch();
    return bench_all(&args);
}
