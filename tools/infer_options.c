/* SPDX-License-Identifier: MIT */
/* Options by getopt_long, but without its abbreviations: no script must come to depend on one. */
#define _GNU_SOURCE 1
#include "infer_options.h"

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum {
    MOST_BATCH = 65536,
    MOST_THREADS = 4096,
    MOST_CHANNELS = 65536,
    MOST_SAMPLES = 1 << 30,
};

enum {
    OPT_INPUT_FORMAT = 256,
    OPT_SAMPLES,
    OPT_CHANNELS,
    OPT_LAYOUT,
    OPT_OUTPUTS,
    OPT_BACKEND,
    OPT_DEVICE,
    OPT_LIST_DEVICES,
    OPT_ISA,
    OPT_PRECISION,
    OPT_THREADS,
    OPT_BATCH,
    OPT_NAN,
    OPT_NO_CLAMP,
    OPT_NO_MMAP,
    OPT_PROGRESS,
    OPT_JSON,
    OPT_FORMAT,
    OPT_VERSION,
    OPT_HELP,
};

static const struct option all_options[] = {
    {"input-format", required_argument, NULL, OPT_INPUT_FORMAT},
    {"samples", required_argument, NULL, OPT_SAMPLES},
    {"channels", required_argument, NULL, OPT_CHANNELS},
    {"layout", required_argument, NULL, OPT_LAYOUT},
    {"outputs", required_argument, NULL, OPT_OUTPUTS},
    {"backend", required_argument, NULL, OPT_BACKEND},
    {"device", required_argument, NULL, OPT_DEVICE},
    {"list-devices", no_argument, NULL, OPT_LIST_DEVICES},
    {"isa", required_argument, NULL, OPT_ISA},
    {"precision", required_argument, NULL, OPT_PRECISION},
    {"threads", required_argument, NULL, OPT_THREADS},
    {"batch", required_argument, NULL, OPT_BATCH},
    {"nan", required_argument, NULL, OPT_NAN},
    {"no-clamp", no_argument, NULL, OPT_NO_CLAMP},
    {"no-mmap", no_argument, NULL, OPT_NO_MMAP},
    {"progress", required_argument, NULL, OPT_PROGRESS},
    {"json", no_argument, NULL, OPT_JSON},
    {"format", required_argument, NULL, OPT_FORMAT},
    {"version", no_argument, NULL, OPT_VERSION},
    {"help", no_argument, NULL, OPT_HELP},
};

enum { OPTIONS = sizeof all_options / sizeof *all_options };

/* The options that this tool has; returns their end. */
static void select_options(struct option *own, const infer_syntax *syntax)
{
    size_t count = 0;
    for (size_t i = 0; i < OPTIONS; i++)
        if ((all_options[i].val != OPT_CHANNELS || syntax->channels) &&
            (all_options[i].val != OPT_NO_CLAMP || syntax->no_clamp))
            own[count++] = all_options[i];
    own[count] = (struct option){NULL, 0, NULL, 0};
}

static bool usage(const infer_syntax *syntax, const char *what, const char *which)
{
    cli_error(CLI_USAGE, "%s%s; see %s --help", what, which, syntax->program);
    return false;
}

static bool parse_choice(const char *option, const char *const *names, size_t count, int *value)
{
    size_t index;
    if (!cli_parse_choice(option, optarg, names, count, &index))
        return false;
    *value = (int)index;
    return true;
}

/* "cls,mean": each at most once. */
static bool parse_outputs(infer_options *options, const infer_syntax *syntax)
{
    size_t count = 0;
    while (count < WRITER_TENSORS && syntax->outputs[count])
        count++;
    options->outputs_given = true;
    for (size_t i = 0; i < WRITER_TENSORS; i++)
        options->wanted[i] = false;
    for (const char *at = optarg;; at++) {
        char name[16];
        size_t length = strcspn(at, ","), index;
        snprintf(name, sizeof name, "%.*s", (int)(length < sizeof name ? length : sizeof name), at);
        if (!cli_parse_choice("--outputs", name, syntax->outputs, count, &index))
            return false;
        if (options->wanted[index]) {
            cli_error(CLI_USAGE, "--outputs: '%s' is named twice", name);
            return false;
        }
        options->wanted[index] = true;
        at += length;
        if (!*at)
            return true;
    }
}

/* An option that has a value, in optarg. */
static bool set_value(infer_options *o, const infer_syntax *syntax, int option)
{
    static const char *const input_formats[] = {"raw", "npy", "edf"};
    static const char *const layouts[] = {"epochs", "channels"};
    static const char *const policies[] = {"refuse", "zero", "propagate"};
    static const char *const modes[] = {"auto", "never", "json"};
    int value = 0;
    bool ok = true;
    switch (option) {
    case 'm': o->model = optarg; break;
    case 'c': o->config = optarg; break;
    case 'o': o->out = optarg; break;
    case OPT_INPUT_FORMAT:
        ok = parse_choice("--input-format", input_formats, 3, &value);
        o->input_format = (psgvit_format)(PSGVIT_FORMAT_RAW + value);
        break;
    case OPT_LAYOUT:
        ok = parse_choice("--layout", layouts, 2, &value);
        o->layout = (infer_layout)(INFER_LAYOUT_EPOCHS + value);
        break;
    case OPT_SAMPLES: return cli_parse_size("--samples", optarg, 1, MOST_SAMPLES, &o->samples);
    case OPT_CHANNELS: return cli_parse_size("--channels", optarg, 1, MOST_CHANNELS, &o->channels);
    case OPT_OUTPUTS: return parse_outputs(o, syntax);
    case OPT_BACKEND: return cli_parse_backend("--backend", optarg, &o->backend);
    case OPT_DEVICE:
        o->device = optarg;
        return optarg[0] || usage(syntax, "--device: expected a name, an index or a UUID", "");
    case OPT_ISA: return cli_parse_isa("--isa", optarg, &o->isa);
    case OPT_PRECISION: return cli_parse_precision("--precision", optarg, &o->precision);
    case OPT_THREADS: return cli_parse_size("--threads", optarg, 1, MOST_THREADS, &o->threads);
    case OPT_BATCH: return cli_parse_size("--batch", optarg, 1, MOST_BATCH, &o->batch);
    case OPT_NAN:
        ok = parse_choice("--nan", policies, 3, &value);
        o->nan = (psgvit_nan_policy)value;
        break;
    case OPT_PROGRESS:
        ok = parse_choice("--progress", modes, 3, &value);
        o->progress = (progress_mode)value;
        break;
    case OPT_FORMAT:
        ok = parse_choice("--format", writer_format_names, WRITER_FORMATS, &value);
        o->format = (writer_format)value;
        o->format_given = true;
        break;
    }
    return ok;
}

static void set_flag(infer_options *o, int option)
{
    switch (option) {
    case OPT_LIST_DEVICES: o->list_devices = true; break;
    case OPT_NO_CLAMP: o->no_clamp = true; break;
    case OPT_NO_MMAP: o->no_mmap = true; break;
    case OPT_JSON: o->json = true; break;
    case 'q': o->verbosity = -1; break;
    case 'v': o->verbosity = o->verbosity < 0 ? 1 : o->verbosity + 1; break;
    }
}

/* The word of the command line that getopt_long has just taken; valid before its next call. */
static const char *taken_word(char **argv)
{
    return optarg && argv[optind - 1] == optarg ? argv[optind - 2] : argv[optind - 1];
}

static bool is_abbreviated(const char *word, const char *name)
{
    size_t length = strcspn(word + 2, "=");
    return strlen(name) != length;
}

static bool refuse_option(const infer_syntax *syntax, int found, char **argv)
{
    if (optopt > 0 && optopt <= UCHAR_MAX) { /* a short one */
        char name[2] = {(char)optopt, '\0'};
        return usage(syntax, found == ':' ? "there is no value behind -" : "unknown option -",
                     name);
    }
    if (found == ':')
        return usage(syntax, "there is no value behind ", argv[optind - 1]);
    if (optopt >= 256)
        return usage(syntax, "this option takes no value: ", argv[optind - 1]);
    return usage(syntax, "unknown option ", argv[optind - 1]);
}

static bool finish(int *code)
{
    if (fflush(stdout) != 0 || ferror(stdout))
        *code = cli_error(CLI_OUTPUT, "standard output can't be written");
    else
        *code = CLI_DONE;
    return false;
}

static bool scan(infer_options *options, const infer_syntax *syntax, int argc, char **argv,
                 int *code)
{
    struct option own[OPTIONS + 1];
    select_options(own, syntax);
    opterr = 0;
    for (;;) {
        int index = -1;
        int found = getopt_long(argc, argv, ":m:c:o:qv", own, &index);
        if (found == -1)
            return true;
        if (found == '?' || found == ':')
            return refuse_option(syntax, found, argv);
        if (index >= 0 && is_abbreviated(taken_word(argv), own[index].name))
            return usage(syntax, "unknown option ", taken_word(argv));
        if (found == OPT_HELP) {
            for (const char *const *text = syntax->help; *text; text++)
                fputs(*text, stdout);
            return finish(code);
        }
        if (found == OPT_VERSION) {
            printf("%s %s\n", syntax->program, psgvit_version());
            return finish(code);
        }
        if (!optarg)
            set_flag(options, found);
        else if (!set_value(options, syntax, found))
            return false;
    }
}

static bool is_folder(const char *path)
{
    struct stat st;
    return path[strlen(path) - 1] == '/' || (stat(path, &st) == 0 && S_ISDIR(st.st_mode));
}

/* OUT that is a file has its format by its suffix, standard output by --format. */
static bool find_format(infer_options *o, const infer_syntax *syntax)
{
    if (!strcmp(o->out, "-")) {
        if (!o->format_given)
            return usage(syntax, "-o - needs --format", "");
        if (o->json)
            return usage(syntax, "--json and -o - both want standard output", "");
        return true;
    }
    const char *slash = strrchr(o->out, '/'), *dot = strrchr(slash ? slash : o->out, '.');
    for (size_t i = 0; dot && i < WRITER_FORMATS; i++) {
        if (strcmp(dot + 1, writer_format_names[i]) != 0)
            continue;
        if (o->format_given && o->format != (writer_format)i)
            return usage(syntax, "--format contradicts the suffix of ", o->out);
        o->format = (writer_format)i;
        return true;
    }
    return o->format_given ||
           usage(syntax, "expected OUT to end in .safetensors, .npy, .csv, .json or /, found ",
                 o->out);
}

/* What NPY and CSV can hold, as far as the outputs were named. */
static bool check_outputs(const infer_options *o, const infer_syntax *syntax)
{
    size_t count = 0;
    for (size_t i = 0; i < WRITER_TENSORS; i++)
        count += o->wanted[i];
    if (o->format == WRITER_NPY && count > 1)
        return usage(syntax, ".npy holds one output, --outputs names several", "");
    if (o->format != WRITER_CSV)
        return true;
    if (count > 1)
        return usage(syntax, ".csv holds one output, --outputs names several", "");
    for (size_t i = 0; i < WRITER_TENSORS; i++)
        if (o->wanted[i] && !syntax->flat[i])
            return usage(syntax, ".csv holds one row an epoch, which does not fit ",
                         syntax->outputs[i]);
    return true;
}

static bool check(infer_options *o, const infer_syntax *syntax)
{
    if (o->list_devices)
        return true;
    if (!o->model || !o->model[0])
        return usage(syntax, "-m MODEL is missing", "");
    if (o->config && !o->config[0])
        return usage(syntax, "-c: expected the name of a config, found ''", "");
    if (!o->out || !o->out[0])
        return usage(syntax, "-o OUT is missing", "");
    if (o->input_count == 0)
        return usage(syntax, "INPUT is missing", "");
    for (size_t i = 0; i < o->input_count; i++)
        if (!o->inputs[i][0])
            return usage(syntax, "an INPUT is empty", "");
    o->folder = strcmp(o->out, "-") != 0 && is_folder(o->out);
    if (!o->folder && o->input_count > 1)
        return usage(syntax, "several INPUTs need OUT to be a folder (end it in /), found ",
                     o->out);
    if (!o->folder && !find_format(o, syntax))
        return false;
    return check_outputs(o, syntax);
}

bool infer_options_parse(infer_options *options, const infer_syntax *syntax, int argc, char **argv,
                         int *code)
{
    *options = (infer_options){0};
    *code = CLI_USAGE;
    if (!scan(options, syntax, argc, argv, code))
        return false;
    options->inputs = argv + optind;
    options->input_count = (size_t)(argc - optind);
    return check(options, syntax);
}
