/* SPDX-License-Identifier: MIT */
/*
 * psgvit-inspect: what is in a model file or a recording, and whether it keeps its format's rules.
 * This file decides which of the two it is and reports model files; inspect_recording.c does
 * signals.
 */
#define _POSIX_C_SOURCE 200809L
#include "cli.h"
#include "inspect.h"
#include "json_out.h"
#include "text_file.h"

#include <psgvit/weights.h>

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FORMAT_HEADER = 100000000 }; /* bytes that the format allows; models have fewer */

static const char help[] =
    "Usage: psgvit-inspect FILE [--model] [-c config.json] [--json]\n"
    "\n"
    "Shows what is in a safetensors file (tensors, metadata) or a recording (shape, statistics;\n"
    "of EDF and BDF the header, gaps, and what is odd).\n"
    "A file is a recording if its content is NPY, EDF or BDF, or else its name ends in .npy, "
    ".edf,\n"
    ".bdf or .bin; everything else is read as safetensors.\n"
    "\n"
    "      --model           the file must also be a sound OSF or EEGPT model, with finite "
    "weights\n"
    "  -c, --config FILE     config.json of the model, in place of the one in its metadata\n"
    "      --json            the report as JSON\n"
    "      --version         print the version\n"
    "      --help            print this\n"
    "\n"
    "Exit codes: 0 the file keeps the rules of its format, 2 usage, 3 a recording that does not "
    "or\n"
    "can't be read, 4 a safetensors file that does not or can't be read, 6 memory, 7 output.\n";

enum { OPT_MODEL = 256, OPT_JSON, OPT_VERSION, OPT_HELP };

static const struct option options[] = {
    {"model", no_argument, NULL, OPT_MODEL}, {"config", required_argument, NULL, 'c'},
    {"json", no_argument, NULL, OPT_JSON},   {"version", no_argument, NULL, OPT_VERSION},
    {"help", no_argument, NULL, OPT_HELP},   {NULL, 0, NULL, 0},
};

/* True if --help or --version was all; else false, with *code set if the line is wrong. */
static bool parse(inspect_arguments *args, int argc, char **argv, int *code)
{
    opterr = 0;
    for (int c; (c = cli_next_option(argc, argv, ":c:", options)) != -1;) {
        switch (c) {
        case 'c': args->config = optarg; break;
        case OPT_MODEL: args->model = true; break;
        case OPT_JSON: args->json = true; break;
        case OPT_VERSION: printf("psgvit-inspect %s\n", psgvit_version()); return true;
        case OPT_HELP: fputs(help, stdout); return true;
        default: *code = cli_refuse_option(c, argv); return false;
        }
    }
    if (optind + 1 != argc)
        *code = cli_error(CLI_USAGE, "expected one FILE, found %d, see --help", argc - optind);
    else if (!argv[optind][0])
        *code = cli_error(CLI_USAGE, "FILE is empty");
    else if (args->config && !args->model)
        *code = cli_error(CLI_USAGE, "-c has a meaning only with --model");
    args->path = argv[argc - 1];
    return false;
}

int inspect_failure(const inspect_arguments *args, const char *kind, int code, const char *message)
{
    if (args->json) {
        fputs("{\"file\":", stdout);
        json_put_string(stdout, args->path);
        printf(",\"kind\":\"%s\",\"ok\":false,\"error\":", kind);
        json_put_string(stdout, message);
        fputs("}\n", stdout);
    }
    return cli_error(code, "%s", message);
}

/* ---- which kind of file ---------------------------------------------------------------------- */

/* Of ASCII letters the case does not matter. */
static bool ends_in(const char *name, const char *suffix)
{
    size_t n = strlen(name);
    size_t m = strlen(suffix);
    if (n < m)
        return false;
    for (size_t i = 0; i < m; i++) {
        char c = name[n - m + i];
        if ((c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c) != suffix[i])
            return false;
    }
    return true;
}

/* Only a regular file is looked into: what is read from a pipe is gone, and who writes to one that
 * is opened and closed at once gets SIGPIPE. */
static bool is_recording(const char *path)
{
    char head[8] = {0};
    struct stat st;
    bool regular = stat(path, &st) == 0 && S_ISREG(st.st_mode);
    int fd = regular ? open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY) : -1;
    bool read_head = fd >= 0 && pread(fd, head, sizeof head, 0) > 0;
    if (fd >= 0)
        close(fd);
    if (read_head && (!memcmp(head, "\x93NUMPY", 6) || !memcmp(head, "0       ", 8) ||
                      !memcmp(head,
                              "\xff"
                              "BIOSEMI",
                              8)))
        return true;
    return ends_in(path, ".npy") || ends_in(path, ".edf") || ends_in(path, ".bdf") ||
           ends_in(path, ".bin");
}

/* ---- what a sound model is ------------------------------------------------------------------- */

typedef struct model_size {
    const char *kind; /* "osf", "eegpt", or NULL: nobody asked */
    uint64_t width;
    uint64_t depth;
    uint64_t heads; /* 0: the shapes do not tell */
    uint64_t mlp_dim;
} model_size;

/* Dimension `axis` of the tensor whose name ends in `end`, 0 if there is none. Names may have the
 * prefix of a checkpoint, so the end is what counts. */
static uint64_t dimension(const psgvit_weights *weights, const char *end, size_t axis)
{
    for (size_t i = 0; i < psgvit_weights_count(weights); i++) {
        const psgvit_tensor *t = psgvit_weights_at(weights, i);
        if (ends_in(t->name, end) && axis < t->rank)
            return t->shape[axis];
    }
    return 0;
}

static uint64_t count_blocks(const psgvit_weights *weights, const char *format)
{
    uint64_t depth = 0;
    for (char name[80]; depth < UINT32_MAX; depth++) {
        snprintf(name, sizeof name, format, (unsigned)depth);
        if (!dimension(weights, name, 0))
            break;
    }
    return depth;
}

/* The verdict said that all of these are there and agree. */
static void measure(model_size *size, const psgvit_weights *weights, const char *kind)
{
    size->kind = kind;
    if (!strcmp(kind, "osf")) {
        size->width = dimension(weights, "cls_token", 2);
        size->depth = count_blocks(weights, "block%u.attn.norm.weight");
        size->heads = dimension(weights, "block0.attn.fn.to_qkv.weight", 0) / 192;
        size->mlp_dim = dimension(weights, "block0.ff.fn.net.0.weight", 0);
    } else {
        size->width = dimension(weights, "target_encoder.summary_token", 2);
        size->depth = count_blocks(weights, "target_encoder.blocks.%u.norm1.weight");
        size->mlp_dim = dimension(weights, "target_encoder.blocks.0.mlp.fc1.weight", 0);
    }
}

/* ---- reports of a safetensors file ----------------------------------------------------------- */

typedef struct totals {
    uint64_t elements;
    uint64_t bytes;
    size_t name_width; /* of the longest name */
} totals;

static totals sum_up(const psgvit_weights *weights)
{
    totals sum = {0, 0, 0};
    for (size_t i = 0; i < psgvit_weights_count(weights); i++) {
        const psgvit_tensor *t = psgvit_weights_at(weights, i);
        size_t length = strlen(t->name);
        sum.elements +=
            t->elements; /* cannot wrap: each byte is in the file, each element has bits */
        sum.bytes += t->bytes;
        sum.name_width = length > sum.name_width ? length : sum.name_width;
    }
    return sum;
}

static void put_shape(const psgvit_tensor *t)
{
    putchar('[');
    for (size_t d = 0; d < t->rank; d++)
        printf("%s%" PRIu64, d ? "," : "", t->shape[d]);
    putchar(']');
}

static void put_text(const inspect_arguments *args, const psgvit_weights *weights,
                     const model_size *model)
{
    enum { MOST_NAME = 200, MOST_VALUE = 400 };
    totals sum = sum_up(weights);
    int column = sum.name_width < 72 ? (int)sum.name_width : 72;
    json_put_plain(stdout, args->path, SIZE_MAX);
    printf(": safetensors, %zu tensors, %" PRIu64 " numbers, %" PRIu64 " bytes\n",
           psgvit_weights_count(weights), sum.elements, sum.bytes);
    if (model->kind) {
        printf("sound model: %s, width %" PRIu64 ", depth %" PRIu64, model->kind, model->width,
               model->depth);
        if (model->heads)
            printf(", heads %" PRIu64, model->heads);
        printf(", mlp %" PRIu64 ", %.2f M numbers\n", model->mlp_dim, (double)sum.elements * 1e-6);
    }
    for (size_t i = 0; i < psgvit_weights_metadata_count(weights); i++) {
        fputs("metadata ", stdout);
        json_put_plain(stdout, psgvit_weights_metadata_key(weights, i), MOST_NAME);
        fputs(" = ", stdout);
        json_put_plain(stdout, psgvit_weights_metadata_value(weights, i), MOST_VALUE);
        putchar('\n');
    }
    for (size_t i = 0; i < psgvit_weights_count(weights); i++) {
        const psgvit_tensor *t = psgvit_weights_at(weights, i);
        int length = (int)(strlen(t->name) < 72 ? strlen(t->name) : 72);
        json_put_plain(stdout, t->name, MOST_NAME);
        printf("%*s  %-4s  %12" PRIu64 " bytes  ", column > length ? column - length : 0, "",
               psgvit_dtype_name(t->dtype), t->bytes);
        put_shape(t);
        putchar('\n');
    }
}

static void put_json(const inspect_arguments *args, const psgvit_weights *weights,
                     const model_size *model)
{
    totals sum = sum_up(weights);
    fputs("{\"file\":", stdout);
    json_put_string(stdout, args->path);
    printf(",\"kind\":\"safetensors\",\"ok\":true,\"elements\":%" PRIu64 ",\"bytes\":%" PRIu64,
           sum.elements, sum.bytes);
    if (model->kind) {
        printf(",\"model\":{\"kind\":\"%s\",\"width\":%" PRIu64 ",\"depth\":%" PRIu64, model->kind,
               model->width, model->depth);
        if (model->heads)
            printf(",\"heads\":%" PRIu64, model->heads);
        printf(",\"mlp_dim\":%" PRIu64 "}", model->mlp_dim);
    }
    fputs(",\"metadata\":{", stdout);
    for (size_t i = 0; i < psgvit_weights_metadata_count(weights); i++) {
        fputs(i ? "," : "", stdout);
        json_put_string(stdout, psgvit_weights_metadata_key(weights, i));
        putchar(':');
        json_put_string(stdout, psgvit_weights_metadata_value(weights, i));
    }
    fputs("},\"tensors\":[", stdout);
    for (size_t i = 0; i < psgvit_weights_count(weights); i++) {
        const psgvit_tensor *t = psgvit_weights_at(weights, i);
        fputs(i ? ",\n{\"name\":" : "\n{\"name\":", stdout);
        json_put_string(stdout, t->name);
        printf(",\"dtype\":\"%s\",\"shape\":", psgvit_dtype_name(t->dtype));
        put_shape(t);
        printf(",\"bytes\":%" PRIu64 "}", t->bytes);
    }
    fputs("]}\n", stdout);
}

static int inspect_weights(const inspect_arguments *args)
{
    psgvit_error err;
    psgvit_weights *weights = NULL;
    model_size model = {0};
    const char *kind = NULL;
    char *config = NULL;
    int code = args->config ? text_file_read(&config, args->config) : CLI_DONE;
    if (code)
        return code;
    const psgvit_weights_params params = {.struct_size = sizeof params,
                                          .max_header = args->model ? 0 : FORMAT_HEADER};
    psgvit_status status = psgvit_weights_open(&weights, args->path, &params, &err);
    if (!status && args->model)
        status = psgvit_weights_verify(weights, config, &kind, &err);
    if (status) {
        code = inspect_failure(args, "safetensors",
                               status == PSGVIT_E_MEMORY ? CLI_MEMORY : CLI_MODEL, err.message);
    } else {
        if (kind)
            measure(&model, weights, kind);
        if (args->json)
            put_json(args, weights, &model);
        else
            put_text(args, weights, &model);
    }
    psgvit_weights_close(&weights);
    free(config);
    return code;
}

int main(int argc, char **argv)
{
    inspect_arguments args = {0};
    int code = CLI_DONE;
    cli_set_program("psgvit-inspect");
    bool done = parse(&args, argc, argv, &code);
    if (!done && code)
        return code;
    if (!done)
        code = is_recording(args.path) ? inspect_recording(&args) : inspect_weights(&args);
    int printed = cli_end_output();
    return printed ? printed : code;
}
