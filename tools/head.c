/* SPDX-License-Identifier: MIT */
/* The file is checked whole when it is opened; sums are in double, class by class, so that the same
 * embedding gives the same bits wherever it stands. */
#define _POSIX_C_SOURCE 200809L
#include "head.h"

#include "json_out.h"
#include "model_hash.h"

#include <psgvit/weights.h>

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What the head points to, and its numbers. */
typedef struct owner {
    linear_head head;             /* first: the owner is found by it */
    float *weight;                /* [K,D] */
    float *bias;                  /* [K] */
    char (*text)[HEAD_LABEL + 1]; /* [K] */
    const char **labels, **stages;
    char *path, *labels_json;
    char sha256[MODEL_HASH_TEXT];
} owner;

static int no_memory(const char *path, cli_failure *failure)
{
    return cli_fail(failure, CLI_MEMORY, "%s: out of memory: the head", path);
}

/* ---- tensors --------------------------------------------------------------------------------- */

/* Reads a whole tensor of that many elements, which must be finite. */
static int read_tensor(const psgvit_weights *w, const psgvit_tensor *t, float *values,
                       const char *path, cli_failure *failure)
{
    psgvit_error err;
    if (psgvit_weights_read(w, t, 0, (size_t)t->elements, values, &err))
        return cli_fail_status(failure, &err);
    for (size_t i = 0; i < t->elements; i++)
        if (!isfinite(values[i]))
            return cli_fail(failure, CLI_MODEL, "%s: %s: expected finite numbers, found %g at %zu",
                            path, t->name, (double)values[i], i);
    return CLI_DONE;
}

static int check_shapes(owner *o, const psgvit_tensor *weight, const psgvit_tensor *bias,
                        const char *path, size_t width, cli_failure *failure)
{
    if (!weight || !bias)
        return cli_fail(failure, CLI_MODEL, "%s: expected a tensor %s, found none", path,
                        weight ? "head.bias [K]" : "head.weight [K,D]");
    if (weight->rank != 2 || weight->shape[1] != width)
        return cli_fail(
            failure, CLI_MODEL,
            "%s: head.weight: expected shape [K, %zu] for the model's embeddings, found "
            "rank %zu with %llu numbers a row",
            path, width, weight->rank,
            (unsigned long long)(weight->rank ? weight->shape[weight->rank - 1] : 1));
    if (weight->shape[0] < 2 || weight->shape[0] > HEAD_CLASSES)
        return cli_fail(failure, CLI_MODEL, "%s: head.weight: expected 2 to %d classes, found %llu",
                        path, HEAD_CLASSES, (unsigned long long)weight->shape[0]);
    if (bias->rank != 1 || bias->shape[0] != weight->shape[0])
        return cli_fail(failure, CLI_MODEL,
                        "%s: head.bias: expected shape [%llu] by head.weight, found rank %zu with "
                        "%llu numbers",
                        path, (unsigned long long)weight->shape[0], bias->rank,
                        (unsigned long long)bias->elements);
    o->head.classes = (size_t)weight->shape[0];
    o->head.width = width;
    return CLI_DONE;
}

static int read_tensors(owner *o, const psgvit_weights *w, const char *path, size_t width,
                        cli_failure *failure)
{
    const psgvit_tensor *weight = psgvit_weights_find(w, "head.weight");
    const psgvit_tensor *bias = psgvit_weights_find(w, "head.bias");
    int code = check_shapes(o, weight, bias, path, width, failure);
    if (code)
        return code;
    size_t classes = o->head.classes;
    o->weight = calloc((size_t)weight->elements, sizeof *o->weight);
    o->bias = calloc(classes, sizeof *o->bias);
    o->text = calloc(classes, sizeof *o->text);
    o->labels = calloc(classes, sizeof *o->labels);
    o->stages = calloc(classes, sizeof *o->stages);
    o->path = strdup(path);
    if (!o->weight || !o->bias || !o->text || !o->labels || !o->stages || !o->path)
        return no_memory(path, failure);
    code = read_tensor(w, weight, o->weight, path, failure);
    return code ? code : read_tensor(w, bias, o->bias, path, failure);
}

/* ---- labels ---------------------------------------------------------------------------------- */

/* The words of EDF+ for a stage of the AASM; NULL if it is none. */
static const char *stage_words(const char *label)
{
    static const struct {
        const char *label, *words;
    } known[] = {
        {"W", "Sleep stage W"},      {"Wake", "Sleep stage W"},   {"N1", "Sleep stage N1"},
        {"NREM1", "Sleep stage N1"}, {"N2", "Sleep stage N2"},    {"NREM2", "Sleep stage N2"},
        {"N3", "Sleep stage N3"},    {"NREM3", "Sleep stage N3"}, {"R", "Sleep stage R"},
        {"REM", "Sleep stage R"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcasecmp(label, known[i].label))
            return known[i].words;
    return NULL;
}

static bool has_control(const char *text)
{
    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        if (*c < ' ' || *c == 0x7F || (c[0] == 0xC2 && c[1] >= 0x80 && c[1] < 0xA0))
            return true;
    return false;
}

static int copy_labels(owner *o, const cJSON *array, cli_failure *failure)
{
    size_t k = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, array)
    {
        const char *label = item->valuestring;
        if (!cJSON_IsString(item) || !label[0] || strlen(label) > HEAD_LABEL || has_control(label))
            return cli_fail(failure, CLI_MODEL,
                            "%s: labels: expected a text of 1 to %d bytes without control "
                            "characters for class %zu, found something else",
                            o->path, HEAD_LABEL, k);
        for (size_t i = 0; i < k; i++)
            if (!strcmp(o->text[i], label))
                return cli_fail(failure, CLI_MODEL, "%s: labels: classes %zu and %zu are both '%s'",
                                o->path, i, k, label);
        memcpy(o->text[k++], label, strlen(label) + 1);
    }
    return CLI_DONE;
}

static int read_labels(owner *o, const char *json, cli_failure *failure)
{
    if (!json) {
        for (size_t k = 0; k < o->head.classes; k++)
            snprintf(o->text[k], sizeof o->text[k], "%zu", k);
        return CLI_DONE;
    }
    cJSON *array = cJSON_ParseWithOpts(json, NULL, true);
    int code = CLI_DONE;
    if (!cJSON_IsArray(array) || (size_t)cJSON_GetArraySize(array) != o->head.classes)
        code = cli_fail(failure, CLI_MODEL,
                        "%s: labels: expected a JSON array of %zu strings in the metadata, found "
                        "'%.100s'",
                        o->path, o->head.classes, json);
    else
        code = copy_labels(o, array, failure);
    cJSON_Delete(array);
    return code;
}

/* The metadata of what is made with the head. */
static int make_entries(owner *o, cli_failure *failure)
{
    size_t size;
    FILE *out = open_memstream(&o->labels_json, &size);
    if (!out)
        return no_memory(o->path, failure);
    for (size_t k = 0; k < o->head.classes; k++) {
        const char *words = stage_words(o->text[k]);
        o->labels[k] = o->text[k];
        o->stages[k] = words ? words : o->text[k];
        fputs(k ? ", " : "[", out);
        json_put_string(out, o->text[k]);
    }
    fputc(']', out);
    bool failed = ferror(out);
    if (fclose(out) != 0 || failed)
        return no_memory(o->path, failure);
    o->head.labels = o->labels;
    o->head.stages = o->stages;
    o->head.entries[0] = (night_entry){"head", o->path};
    o->head.entries[1] = (night_entry){"head_sha256", o->sha256};
    o->head.entries[2] = (night_entry){"labels", o->labels_json};
    o->head.entry_count = HEAD_ENTRIES;
    return CLI_DONE;
}

/* ---- the head -------------------------------------------------------------------------------- */

static int read_head(owner *o, const char *path, size_t width, cli_failure *failure)
{
    psgvit_error err;
    psgvit_weights *w = NULL;
    model_hash *hash = NULL;
    const char *reason;
    if (psgvit_weights_open(&w, path, NULL, &err))
        return cli_fail_status(failure, &err);
    int code = model_hash_start(&hash, path, failure);
    if (!code)
        code = read_tensors(o, w, path, width, failure);
    if (!code)
        code = read_labels(o, psgvit_weights_metadata(w, "labels"), failure);
    if (!code) {
        model_hash_loaded(hash);
        model_hash_finish(hash, o->sha256, &reason); /* "unknown" if the file changes meanwhile */
        code = make_entries(o, failure);
    }
    psgvit_weights_close(&w);
    model_hash_close(&hash);
    return code;
}

int head_open(linear_head **made, const char *path, size_t width, cli_failure *failure)
{
    *made = NULL;
    owner *o = calloc(1, sizeof *o);
    if (!o)
        return no_memory(path, failure);
    *made = &o->head;
    int code = read_head(o, path, width, failure);
    if (code)
        head_close(made);
    return code;
}

void head_close(linear_head **h)
{
    if (!h || !*h)
        return;
    owner *o = (owner *)*h;
    free(o->weight);
    free(o->bias);
    free(o->text);
    free(o->labels);
    free(o->stages);
    free(o->path);
    free(o->labels_json);
    free(o);
    *h = NULL;
}

int head_scores_make(head_scores *scores, const linear_head *h, size_t epochs, cli_failure *failure)
{
    scores->probabilities = calloc(epochs, h->classes * sizeof *scores->probabilities);
    scores->stage = calloc(epochs, sizeof *scores->stage);
    scores->confidence = calloc(epochs, sizeof *scores->confidence);
    if (scores->probabilities && scores->stage && scores->confidence)
        return CLI_DONE;
    head_scores_free(scores);
    return cli_fail(failure, CLI_MEMORY, "out of memory: the stages of %zu epochs", epochs);
}

void head_scores_free(head_scores *scores)
{
    free(scores->probabilities);
    free(scores->stage);
    free(scores->confidence);
    *scores = (head_scores){0};
}

/* softmax(weight x + bias) of one embedding [D]. */
static void apply_one(const owner *o, const float *x, float *probability, int32_t *stage)
{
    size_t classes = o->head.classes, width = o->head.width, best = 0;
    double z[HEAD_CLASSES], sum = 0;
    bool finite = true;
    for (size_t k = 0; k < classes; k++) {
        z[k] = o->bias[k];
        for (size_t d = 0; d < width; d++)
            z[k] += (double)o->weight[k * width + d] * x[d];
        finite = finite && isfinite(z[k]);
        if (z[k] > z[best])
            best = k;
    }
    double top = z[best];
    for (size_t k = 0; k < classes; k++)
        sum += z[k] = exp(z[k] - top);
    for (size_t k = 0; k < classes; k++)
        probability[k] = finite ? (float)(z[k] / sum) : NAN;
    *stage = finite ? (int32_t)best : -1;
}

void head_apply(const linear_head *h, const float *embedding, size_t epochs,
                const head_scores *scores)
{
    const owner *o = (const owner *)h;
    for (size_t e = 0; e < epochs; e++) {
        float *probability = scores->probabilities + e * h->classes;
        int32_t *stage = &scores->stage[e];
        apply_one(o, embedding + e * h->width, probability, stage);
        scores->confidence[e] = *stage < 0 ? NAN : probability[*stage];
    }
}
