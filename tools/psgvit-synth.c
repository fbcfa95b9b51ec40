/* SPDX-License-Identifier: MIT */
/*
 * psgvit-synth: makes models with synthetic weights, and signals to run them on, so that everything
 * can be tried, tested and measured without a download.
 */
#define _POSIX_C_SOURCE 200809L
#include "cli.h"
#include "interrupt.h"
#include "staged_file.h"
#include "synth_signal.h"
#include "synth_weights.h"
#include "text_file.h"

#include <psgvit/weights.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "Usage: psgvit-synth MODEL -o FILE [--seed N] [--config config.json]\n"
    "       psgvit-synth psg -o FILE [--epochs N] [--seed N]\n"
    "       psgvit-synth eeg -o FILE [--channels N] [--samples N] [--epochs N] [--seed N]\n"
    "\n"
    "MODEL is osf-nano, osf-tiny, osf-small, osf-middle, osf-base, osf-large, osf-xl or eegpt:\n"
    "a safetensors file of that size with synthetic weights, which embed nothing of worth.\n"
    "psg is a night of 12 channels, raw float32 [epochs, 12, 1920] at 64 Hz, z-scored.\n"
    "eeg is raw float32 [epochs, channels, samples] at 256 Hz, in millivolts.\n"
    "\n"
    "  -o, --output FILE     where it goes; - is standard output\n"
    "      --seed N          another seed gives other weights and signals (default 1)\n"
    "      --config FILE     config.json of the model, in place of the variant's own\n"
    "      --epochs N        psg: epochs of 30 s (default 960); eeg: windows (default 64)\n"
    "      --channels N      eeg: channels (default 22)\n"
    "      --samples N       eeg: samples of a window (default 1000)\n"
    "  -q, --quiet           say nothing but errors\n"
    "      --version         print the version\n"
    "      --help            print this\n"
    "\n"
    "Exit codes: 0 done, 2 usage, 4 config, 6 memory, 7 output, 130 interrupted, 143 terminated.\n";

enum { MOST_EPOCHS = 1000000, MOST_CHANNELS = 1024, MOST_SAMPLES = 10000000 };

typedef struct arguments {
    const char *what; /* a variant, "psg" or "eeg" */
    const char *output;
    const char *config;
    uint64_t seed;
    size_t epochs; /* 0: the default, here and below */
    size_t channels;
    size_t samples;
    bool quiet;
    bool done; /* --help or --version: nothing else to do */
} arguments;

enum { OPT_SEED = 256, OPT_CONFIG, OPT_EPOCHS, OPT_CHANNELS, OPT_SAMPLES, OPT_VERSION, OPT_HELP };

static const struct option options[] = {
    {"output", required_argument, NULL, 'o'},
    {"seed", required_argument, NULL, OPT_SEED},
    {"config", required_argument, NULL, OPT_CONFIG},
    {"epochs", required_argument, NULL, OPT_EPOCHS},
    {"channels", required_argument, NULL, OPT_CHANNELS},
    {"samples", required_argument, NULL, OPT_SAMPLES},
    {"quiet", no_argument, NULL, 'q'},
    {"version", no_argument, NULL, OPT_VERSION},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

static bool take_option(arguments *args, int option, char **argv)
{
    switch (option) {
    case 'o': args->output = optarg; return true;
    case 'q': args->quiet = true; return true;
    case OPT_CONFIG: args->config = optarg; return true;
    case OPT_SEED: return cli_parse_u64("--seed", optarg, &args->seed);
    case OPT_EPOCHS: return cli_parse_size("--epochs", optarg, 1, MOST_EPOCHS, &args->epochs);
    case OPT_CHANNELS:
        return cli_parse_size("--channels", optarg, 1, MOST_CHANNELS, &args->channels);
    case OPT_SAMPLES: return cli_parse_size("--samples", optarg, 1, MOST_SAMPLES, &args->samples);
    case OPT_VERSION:
        printf("psgvit-synth %s\n", psgvit_version());
        args->done = true;
        return true;
    case OPT_HELP:
        fputs(help, stdout);
        args->done = true;
        return true;
    default: cli_refuse_option(option, argv); return false;
    }
}

/* An option that would have no effect is a mistake, and said. */
static bool check_arguments(const arguments *args)
{
    bool psg = !strcmp(args->what, "psg");
    bool eeg = !strcmp(args->what, "eeg");
    const char *stray = !eeg && args->channels         ? "--channels"
                        : !eeg && args->samples        ? "--samples"
                        : !eeg && !psg && args->epochs ? "--epochs"
                        : (eeg || psg) && args->config ? "--config"
                                                       : NULL;
    if (stray)
        cli_error(CLI_USAGE, "%s: '%s' takes no such option", stray, args->what);
    else if (!args->output || !*args->output)
        cli_error(CLI_USAGE, "-o FILE is missing");
    return !stray && args->output && *args->output;
}

static bool parse(arguments *args, int argc, char **argv)
{
    opterr = 0;
    for (int c; !args->done && (c = cli_next_option(argc, argv, ":o:q", options)) != -1;)
        if (!take_option(args, c, argv))
            return false;
    if (args->done)
        return true;
    if (optind + 1 != argc) {
        cli_error(CLI_USAGE, "expected one MODEL, psg or eeg; found %d, see --help", argc - optind);
        return false;
    }
    args->what = argv[optind];
    return check_arguments(args);
}

/* ---- writing --------------------------------------------------------------------------------- */

/* The output file, and where in it the next bytes go. */
typedef struct stream {
    staged_file file;
    uint64_t at;
    cli_failure failure;
} stream;

/* A signal ends the writing, too. Returns the exit code. */
static int put_bytes(stream *out, const void *bytes, size_t size)
{
    int code = interrupt_code();
    if (code)
        staged_file_abort(&out->file);
    else
        code = staged_file_write(&out->file, out->at, bytes, size, &out->failure);
    out->at += size;
    return code;
}

/* Commits what went well, and says what did not. */
static int finish(stream *out, int code)
{
    if (!code)
        code = staged_file_commit(&out->file, &out->failure);
    if (out->failure.code)
        cli_error(out->failure.code, "%s", out->failure.message);
    else if (code && code == interrupt_code())
        interrupt_error();
    staged_file_abort(&out->file);
    return code;
}

/* ---- a model --------------------------------------------------------------------------------- */

typedef struct model_sink {
    stream out;
    int code;
} model_sink;

static bool put_piece(void *user, const void *bytes, size_t size)
{
    model_sink *sink = user;
    sink->code = put_bytes(&sink->out, bytes, size);
    return sink->code == CLI_DONE;
}

static int write_model(const arguments *args, const psgvit_weights *table)
{
    psgvit_error err = {PSGVIT_OK, ""};
    synth_options how = {.seed = args->seed};
    model_sink sink = {.code = CLI_DONE};
    uint64_t numbers = 0;
    uint64_t bytes = 0;
    for (size_t i = 0; i < psgvit_weights_count(table); i++) {
        numbers += psgvit_weights_at(table, i)->elements;
        bytes += psgvit_weights_at(table, i)->bytes;
    }
    sink.code = staged_file_open(&sink.out.file, args->output, bytes, &sink.out.failure);
    if (!sink.code && synth_model_write(table, &how, put_piece, &sink, &err) && !sink.code)
        sink.code = cli_fail_status(&sink.out.failure, &err);
    int code = finish(&sink.out, sink.code);
    if (!code && !args->quiet)
        cli_say("%s: %s with synthetic weights of seed %llu, %.2f M numbers", args->output,
                args->what, (unsigned long long)args->seed, (double)numbers * 1e-6);
    return code;
}

static int make_model(const arguments *args)
{
    psgvit_error err;
    psgvit_weights *table = NULL;
    char *config = NULL;
    int code = args->config ? text_file_read(&config, args->config) : CLI_DONE;
    if (!code && psgvit_weights_open_variant(&table, args->what, config, &err))
        code = config && err.code == PSGVIT_E_MODEL
                   ? cli_error(CLI_MODEL, "%s (config: %s)", err.message, args->config)
                   : cli_error(cli_exit_code(err.code), "%s", err.message);
    if (!code)
        code = write_model(args, table);
    psgvit_weights_close(&table);
    free(config);
    return code;
}

/* ---- a signal -------------------------------------------------------------------------------- */

/* Either generator, seen as something that yields epochs of `size` floats. */
typedef struct signal_source {
    synth_night *night;
    synth_eeg *eeg;
    size_t epochs;
    size_t channels;
    size_t samples;
} signal_source;

static void next_epoch(signal_source *source, float *epoch)
{
    if (source->night)
        synth_night_next(source->night, epoch);
    else
        synth_eeg_next(source->eeg, source->samples, epoch);
}

static int write_signal(const arguments *args, signal_source *source)
{
    stream out = {.at = 0};
    size_t size = source->channels * source->samples * sizeof(float);
    float *epoch = malloc(size);
    if (!epoch)
        return cli_error(CLI_MEMORY, "no memory for an epoch of %zu bytes", size);
    int code =
        staged_file_open(&out.file, args->output, (uint64_t)source->epochs * size, &out.failure);
    for (size_t e = 0; !code && e < source->epochs; e++) {
        next_epoch(source, epoch);
        code = put_bytes(&out, epoch, size);
    }
    free(epoch);
    code = finish(&out, code);
    if (!code && !args->quiet)
        cli_say("%s: synthetic %s, float32 [%zu, %zu, %zu]", args->output, args->what,
                source->epochs, source->channels, source->samples);
    return code;
}

static int make_signal(const arguments *args)
{
    bool psg = !strcmp(args->what, "psg");
    signal_source source = {.epochs = args->epochs ? args->epochs : psg ? 960 : 64};
    if (psg) {
        source.channels = SYNTH_PSG_CHANNELS;
        source.samples = SYNTH_PSG_SAMPLES;
        source.night = synth_night_open(source.epochs, args->seed);
    } else {
        source.channels = args->channels ? args->channels : 22;
        source.samples = args->samples ? args->samples : 1000;
        source.eeg = synth_eeg_open(source.channels, args->seed);
    }
    int code = source.night || source.eeg ? write_signal(args, &source)
                                          : cli_error(CLI_MEMORY, "no memory for the generator");
    synth_night_close(&source.night);
    synth_eeg_close(&source.eeg);
    return code;
}

int main(int argc, char **argv)
{
    arguments args = {.seed = 1};
    cli_set_program("psgvit-synth");
    interrupt_hold_streams();
    if (!parse(&args, argc, argv))
        return CLI_USAGE;
    if (args.done)
        return cli_end_output();
    interrupt_watch();
    bool signal = !strcmp(args.what, "psg") || !strcmp(args.what, "eeg");
    return signal ? make_signal(&args) : make_model(&args);
}
