/* SPDX-License-Identifier: MIT */
/* What the command line says, and whether its parts agree with each other. */
#define _GNU_SOURCE 1
#include "infer_options.h"

#include "resume.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum {
    MOST_BATCH = 65536,
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
    OPT_HEAD,
    OPT_HYPNOGRAM,
    OPT_REPORT,
    OPT_LIST,
    OPT_SHARD,
    OPT_RESUME,
    OPT_VERSION,
    OPT_HELP,
};

/* A long option, and the tools that have it. */
typedef struct row {
    const char *name;
    int argument, value, tools;
} row;

static const row rows[] = {
    {"input-format", required_argument, OPT_INPUT_FORMAT, INFER_BOTH},
    {"samples", required_argument, OPT_SAMPLES, INFER_BOTH},
    {"channels", required_argument, OPT_CHANNELS, INFER_EEGPT},
    {"layout", required_argument, OPT_LAYOUT, INFER_BOTH},
    {"cohort", required_argument, OPT_COHORT, INFER_BOTH},
    {"alias", required_argument, OPT_ALIAS, INFER_BOTH},
    {"prep", required_argument, OPT_PREP, INFER_BOTH},
    {"unit", required_argument, OPT_UNIT, INFER_EEGPT},
    {"reref", required_argument, OPT_REREF, INFER_EEGPT},
    {"resample", required_argument, OPT_RESAMPLE, INFER_EEGPT},
    {"window", required_argument, OPT_WINDOW, INFER_EEGPT},
    {"stride", required_argument, OPT_STRIDE, INFER_EEGPT},
    {"outputs", required_argument, OPT_OUTPUTS, INFER_BOTH},
    {"head", required_argument, OPT_HEAD, INFER_BOTH},
    {"hypnogram", required_argument, OPT_HYPNOGRAM, INFER_BOTH},
    {"report", required_argument, OPT_REPORT, INFER_BOTH},
    {"backend", required_argument, OPT_BACKEND, INFER_BOTH},
    {"device", required_argument, OPT_DEVICE, INFER_BOTH},
    {"list-devices", no_argument, OPT_LIST_DEVICES, INFER_BOTH},
    {"isa", required_argument, OPT_ISA, INFER_BOTH},
    {"precision", required_argument, OPT_PRECISION, INFER_BOTH},
    {"threads", required_argument, OPT_THREADS, INFER_BOTH},
    {"batch", required_argument, OPT_BATCH, INFER_BOTH},
    {"nan", required_argument, OPT_NAN, INFER_BOTH},
    {"no-clamp", no_argument, OPT_NO_CLAMP, INFER_OSF},
    {"no-mmap", no_argument, OPT_NO_MMAP, INFER_BOTH},
    {"progress", required_argument, OPT_PROGRESS, INFER_BOTH},
    {"json", no_argument, OPT_JSON, INFER_BOTH},
    {"format", required_argument, OPT_FORMAT, INFER_BOTH},
    {"list", required_argument, OPT_LIST, INFER_BOTH},
    {"shard", required_argument, OPT_SHARD, INFER_BOTH},
    {"resume", no_argument, OPT_RESUME, INFER_BOTH},
    {"version", no_argument, OPT_VERSION, INFER_BOTH},
    {"help", no_argument, OPT_HELP, INFER_BOTH},
};

enum { OPTIONS = sizeof rows / sizeof *rows };

/* The options that this tool has, and an empty one behind them. */
static void select_options(struct option *own, const infer_syntax *syntax)
{
    size_t count = 0;
    for (size_t i = 0; i < OPTIONS; i++)
        if (rows[i].tools & syntax->tool)
            own[count++] = (struct option){rows[i].name, rows[i].argument, NULL, rows[i].value};
    own[count] = (struct option){NULL, 0, NULL, 0};
}

static bool usage(const infer_syntax *syntax, const char *what, const char *which)
{
    cli_error(CLI_USAGE, "%s%s; see %s --help", what, which, syntax->program);
    return false;
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

/* The name of a file or a device. */
static bool set_name(const char **value, const infer_syntax *syntax, const char *expected)
{
    *value = optarg;
    return optarg[0] || usage(syntax, expected, "");
}

/* An option that has a value, in optarg. False: it is wrong; *code is another one than CLI_USAGE if
 * that is not the command line's fault. */
static bool set_value(infer_options *o, const infer_syntax *syntax, int option, int *code)
{
    static const char *const input_formats[] = {"raw", "npy", "edf"};
    static const char *const layouts[] = {"epochs", "channels"};
    static const char *const policies[] = {"refuse", "zero", "propagate"};
    static const char *const modes[] = {"auto", "never", "json"};
    size_t index = 0;
    bool ok = true;
    switch (option) {
    case 'm': o->model = optarg; break;
    case 'c': o->config = optarg; break;
    case 'o': o->out = optarg; break;
    case OPT_INPUT_FORMAT:
        ok = cli_parse_choice("--input-format", optarg, input_formats, 3, &index);
        o->input_format = (psgvit_format)(PSGVIT_FORMAT_RAW + (int)index);
        break;
    case OPT_LAYOUT:
        ok = cli_parse_choice("--layout", optarg, layouts, 2, &index);
        o->layout = (infer_layout)(INFER_LAYOUT_EPOCHS + (int)index);
        break;
    case OPT_SAMPLES: return cli_parse_size("--samples", optarg, 1, MOST_SAMPLES, &o->samples);
    case OPT_CHANNELS: return cli_parse_size("--channels", optarg, 1, MOST_CHANNELS, &o->channels);
    case OPT_OUTPUTS: return parse_outputs(o, syntax);
    case OPT_BACKEND: return cli_parse_backend("--backend", optarg, &o->backend);
    case OPT_DEVICE:
        return set_name(&o->device, syntax, "--device: expected a name, an index or a UUID");
    case OPT_HEAD: return set_name(&o->head, syntax, "--head: expected the name of a file");
    case OPT_HYPNOGRAM:
        return set_name(&o->hypnogram.path, syntax, "--hypnogram: expected the name of a file");
    case OPT_REPORT:
        return set_name(&o->page.path, syntax, "--report: expected the name of a file");
    case OPT_LIST: return set_name(&o->list, syntax, "--list: expected the name of a list");
    case OPT_SHARD: o->shard_given = true; return shard_parse("--shard", optarg, &o->shard);
    case OPT_ISA: return cli_parse_isa("--isa", optarg, &o->isa);
    case OPT_PRECISION: return cli_parse_precision("--precision", optarg, &o->precision);
    case OPT_THREADS: return cli_parse_size("--threads", optarg, 1, CLI_THREADS, &o->threads);
    case OPT_BATCH: return cli_parse_size("--batch", optarg, 1, MOST_BATCH, &o->batch);
    case OPT_NAN:
        ok = cli_parse_choice("--nan", optarg, policies, 3, &index);
        o->nan = (psgvit_nan_policy)index;
        break;
    case OPT_PROGRESS:
        ok = cli_parse_choice("--progress", optarg, modes, 3, &index);
        o->progress = (progress_mode)index;
        break;
    case OPT_FORMAT:
        ok = cli_parse_choice("--format", optarg, writer_format_names, WRITER_FORMATS, &index);
        o->format = (writer_format)index;
        o->format_given = true;
        break;
    default: { /* those of EDF */
        int found = infer_edf_option(&o->edf, syntax->tool, option, optarg);
        ok = found == CLI_DONE;
        *code = ok ? *code : found;
    }
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
    case OPT_RESUME: o->resume = true; break;
    case 'q': o->verbosity = -1; break;
    case 'v': o->verbosity = o->verbosity < 0 ? 1 : o->verbosity + 1; break;
    }
}

static bool scan(infer_options *options, const infer_syntax *syntax, int argc, char **argv,
                 int *code)
{
    struct option own[OPTIONS + 1];
    select_options(own, syntax);
    opterr = 0;
    for (;;) {
        int found = cli_next_option(argc, argv, ":m:c:o:qv", own);
        if (found == -1)
            return true;
        if (found == '?' || found == ':')
            return !cli_refuse_option(found, argv);
        if (found == OPT_HELP) {
            for (const char *const *text = syntax->help; *text; text++)
                fputs(*text, stdout);
            *code = cli_end_output();
            return false;
        }
        if (found == OPT_VERSION) {
            printf("%s %s\n", syntax->program, psgvit_version());
            *code = cli_end_output();
            return false;
        }
        if (!optarg)
            set_flag(options, found);
        else if (!set_value(options, syntax, found, code))
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
           usage(syntax,
                 "expected OUT to end in .safetensors, .npy, .csv, .tsv, .json or /, found ",
                 o->out);
}

/* Whether there is one input, which then has one file of each kind, or any number of them. */
static bool has_several(const infer_options *o)
{
    return o->list || o->input_count > 1;
}

/* "DIR/" is a folder of files of the usual kind, "DIR/.SUFFIX" one of that kind, all else a file.
 * The suffix of either is left in `suffix`, for the caller to know. */
static bool parse_companion(infer_companion *c, const infer_options *o, const char *option,
                            const char *usual)
{
    const char *slash = strrchr(c->path, '/'), *name = slash ? slash + 1 : c->path;
    const char *dot = strrchr(name, '.');
    c->folder = slash && (!name[0] || dot == name);
    c->suffix = c->folder && !name[0] ? usual : dot ? dot + 1 : "";
    if (c->folder || !has_several(o))
        return true;
    cli_error(CLI_USAGE, "%s: several inputs need a folder (DIR/ or DIR/.%s), found %s", option,
              usual, c->path);
    return false;
}

static bool check_hypnogram(infer_options *o, const infer_syntax *syntax)
{
    if (!o->hypnogram.path)
        return true;
    if (!o->head)
        return usage(syntax, "--hypnogram needs --head, which tells the stages", "");
    if (!parse_companion(&o->hypnogram, o, "--hypnogram", "tsv"))
        return false;
    for (int i = 0; i < HYPNOGRAM_FORMATS; i++)
        if (!strcmp(o->hypnogram.suffix, hypnogram_format_names[i])) {
            o->hypnogram_format = (hypnogram_format)i;
            return true;
        }
    return usage(syntax, "--hypnogram: expected .tsv, .annot, .edf or / at the end, found ",
                 o->hypnogram.path);
}

static bool check_companions(infer_options *o, const infer_syntax *syntax)
{
    if (!check_hypnogram(o, syntax))
        return false;
    if (o->head && o->format == WRITER_NPY && !o->hypnogram.path)
        return usage(syntax, "--head: .npy has no room for stages; name a --hypnogram, too", "");
    if (!o->page.path)
        return true;
    if (!parse_companion(&o->page, o, "--report", "html"))
        return false;
    return !strcmp(o->page.suffix, "html") ||
           usage(syntax, "--report: expected .html or / at the end, found ", o->page.path);
}

/* What NPY and the tables can hold, as far as the outputs were named. */
static bool check_outputs(const infer_options *o, const infer_syntax *syntax)
{
    size_t count = 0;
    bool table = o->format == WRITER_CSV || o->format == WRITER_TSV;
    const char *suffix = writer_format_names[o->format];
    for (size_t i = 0; i < WRITER_TENSORS; i++)
        count += o->wanted[i];
    if ((table || o->format == WRITER_NPY) && count > 1) {
        cli_error(CLI_USAGE, ".%s holds one output, --outputs names several", suffix);
        return false;
    }
    for (size_t i = 0; table && i < WRITER_TENSORS; i++)
        if (o->wanted[i] && !syntax->flat[i]) {
            cli_error(CLI_USAGE, ".%s holds one row an epoch, which does not fit %s", suffix,
                      syntax->outputs[i]);
            return false;
        }
    return true;
}

/* What a run over many inputs needs. */
static bool check_many(const infer_options *o, const infer_syntax *syntax)
{
    if (!o->folder && has_several(o))
        return usage(syntax,
                     o->list ? "--list needs OUT to be a folder (end it in /), found "
                             : "several INPUTs need OUT to be a folder (end it in /), "
                               "found ",
                     o->out);
    if (!o->folder && o->shard_given)
        return usage(syntax, "--shard needs OUT to be a folder (end it in /), found ", o->out);
    return true;
}

static bool check_names(const infer_options *o, const infer_syntax *syntax)
{
    if (!o->model || !o->model[0])
        return usage(syntax, "-m MODEL is missing", "");
    if (o->config && !o->config[0])
        return usage(syntax, "-c: expected the name of a config, found ''", "");
    if (!o->out || !o->out[0])
        return usage(syntax, "-o OUT is missing", "");
    if (o->list && o->input_count > 0)
        return usage(syntax, "--list and INPUT exclude each other, found ", o->inputs[0]);
    if (!o->list && o->input_count == 0)
        return usage(syntax, "INPUT is missing", "");
    for (size_t i = 0; i < o->input_count; i++)
        if (!o->inputs[i][0])
            return usage(syntax, "an INPUT is empty", "");
    return true;
}

static bool check(infer_options *o, const infer_syntax *syntax)
{
    if (o->list_devices)
        return true;
    if (!check_names(o, syntax))
        return false;
    o->folder = strcmp(o->out, "-") != 0 && is_folder(o->out);
    if (!check_many(o, syntax) || (!o->folder && !find_format(o, syntax)) ||
        !check_outputs(o, syntax) || !check_companions(o, syntax))
        return false;
    if (!o->resume)
        return true;
    if (!strcmp(o->out, "-"))
        return usage(syntax, "--resume looks at outputs that are there, which -o - never is", "");
    return resume_can_read(o->format) ||
           usage(syntax,
                 "--resume needs .safetensors or .json, whose metadata tell what they were "
                 "made of, found .",
                 writer_format_names[o->format]);
}

bool infer_options_parse(infer_options *options, const infer_syntax *syntax, int argc, char **argv,
                         int *code)
{
    *options = (infer_options){.shard = {0, 1}};
    *code = CLI_USAGE;
    if (!scan(options, syntax, argc, argv, code))
        return false;
    options->inputs = argv + optind;
    options->input_count = (size_t)(argc - optind);
    return check(options, syntax);
}

void infer_options_free(infer_options *options)
{
    infer_edf_options_free(&options->edf);
}
