/* SPDX-License-Identifier: MIT */
/*
 * The generator is a counter, so every element can be made alone: rows are filled by as many
 * threads as OpenMP gives, and the inner loop has no dependence between its steps.
 */
#define _POSIX_C_SOURCE 200809L
#include "synth_weights.h"

#include "safetensors_out.h"

#include <cjson/cJSON.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "values are written as they lie in memory: little-endian"
#endif

static const uint64_t STEP = 0x9E3779B97F4A7C15u;

enum {
    RUN =
        16384, /* elements that a thread fills at once: 64 KiB, so that small tensors stay whole */
    NORM_TAIL_EVERY = 53,
    NORM_TAIL_AT = 5,
    MLP_TAIL_EVERY = 61,
    MLP_TAIL_AT = 7,
};

static uint64_t fnv1a64(const char *name)
{
    uint64_t hash = 0xCBF29CE484222325u;
    for (const char *c = name; *c; c++)
        hash = (hash ^ (unsigned char)*c) * 0x100000001B3u;
    return hash;
}

static inline uint64_t splitmix64(uint64_t state)
{
    uint64_t z = state + STEP;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/* offset + scale * u of elements [first, first + count). */
static void fill_run(uint64_t base, uint64_t first, size_t count, float scale, float offset,
                     float *out)
{
    for (size_t i = 0; i < count; i++) {
        int32_t top = (int32_t)(splitmix64(base + (first + i) * STEP) >> 40);
        out[i] = offset + scale * ((float)top * 0x1p-23f - 1.0f);
    }
}

static void fill(uint64_t base, size_t count, float scale, float offset, float *out)
{
    size_t runs = count / RUN + (count % RUN != 0);
#ifdef _OPENMP
#pragma omp parallel for schedule(static) if (runs > 8)
#endif
    for (size_t r = 0; r < runs; r++) {
        size_t first = r * RUN;
        size_t n = count - first < RUN ? count - first : RUN;
        fill_run(base, first, n, scale, offset, out + first);
    }
}

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name);
    size_t m = strlen(end);
    return n >= m && !memcmp(name + n - m, end, m);
}

/* "a.norm1.weight": the component before ".weight" contains "norm". */
static bool is_norm_weight(const char *name)
{
    if (!ends_with(name, ".weight"))
        return false;
    const char *end = name + strlen(name) - strlen(".weight");
    const char *begin = end;
    while (begin > name && begin[-1] != '.')
        begin--;
    for (; end - begin >= 4; begin++)
        if (!memcmp(begin, "norm", 4))
            return true;
    return false;
}

static bool is_embedding(const char *name)
{
    static const char *const parts[] = {"cls_token", "pos_embedding", "lead_emb", "summary_token",
                                        "chan_embed"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (strstr(name, parts[i]))
            return true;
    return false;
}

/* The largest power of two <= sqrt(3 / fan_in): 2^-k for the first k with fan_in <= 3 * 4^k. Whole
 * numbers, so that no rounding of a square root decides. */
static float linear_scale(uint64_t fan_in)
{
    float scale = 1.0f;
    for (uint64_t limit = 3; limit < fan_in && limit <= UINT64_MAX / 4; limit *= 4)
        scale *= 0.5f;
    return scale;
}

/* Multiplies elements at, at + every, ... of `values`. The factors are powers of two: exact. */
static void scale_every(float *values, size_t count, size_t at, size_t every, float factor)
{
    for (size_t i = at; i < count; i += every)
        values[i] *= factor;
}

/* The same for whole rows of a matrix. */
static void scale_rows(float *values, size_t rows, size_t width, size_t at, size_t every,
                       float factor)
{
    for (size_t r = at; r < rows; r += every)
        scale_every(values + r * width, width, 0, 1, factor);
}

static void fill_linear(const char *name, size_t rows, size_t width, uint64_t base, bool tails,
                        float *out)
{
    fill(base, rows * width, linear_scale(width), 0.0f, out);
    if (ends_with(name, ".original")) {
        scale_rows(out, rows, width, 0, 2, 4.0f);
        scale_rows(out, rows, width, 1, 2, 0x1p-4f);
    } else if (tails && (ends_with(name, ".net.0.weight") || ends_with(name, ".mlp.fc1.weight"))) {
        scale_rows(out, rows, width, MLP_TAIL_AT, MLP_TAIL_EVERY, 0x1p16f);
    } else if (tails && (ends_with(name, ".net.3.weight") || ends_with(name, ".mlp.fc2.weight"))) {
        for (size_t r = 0; r < rows; r++)
            scale_every(out + r * width, width, MLP_TAIL_AT, MLP_TAIL_EVERY, 0x1p-16f);
    }
}

void synth_weights_fill(const char *name, const uint64_t *shape, size_t rank, uint64_t seed,
                        bool tails, float *out)
{
    size_t rows = rank ? (size_t)shape[0] : 1;
    size_t width = 1;
    for (size_t i = 1; i < rank; i++)
        width *= (size_t)shape[i];
    uint64_t base = fnv1a64(name) ^ seed;
    if (is_norm_weight(name)) {
        fill(base, rows * width, 0x1p-3f, 1.0f, out);
        if (tails)
            scale_every(out, rows * width, NORM_TAIL_AT, NORM_TAIL_EVERY, 4.0f);
    } else if (ends_with(name, ".bias")) {
        fill(base, rows * width, 0x1p-4f, 0.0f, out);
    } else if (is_embedding(name)) {
        fill(base, rows * width, 0x1p-2f, 0.0f, out);
    } else {
        fill_linear(name, rows, width, base, tails, out);
    }
}

/* ---- whole models ---------------------------------------------------------------------------- */

static psgvit_status fail(psgvit_error *err, psgvit_status code, const char *format,
                          const char *name)
{
    if (err) {
        err->code = code;
        snprintf(err->message, sizeof err->message, format, name);
    }
    return code;
}

/* What the ids of a model without any are: the options', the `chans_id` of its config (nested in
 * lists or not), else 0, 1, 2 ... */
static bool fill_ids(const psgvit_weights *table, const synth_options *options, int64_t *ids,
                     size_t count)
{
    if (options->chans_id) {
        if (options->chans_id_count != count)
            return false;
        memcpy(ids, options->chans_id, count * sizeof *ids);
        return true;
    }
    const char *config = psgvit_weights_metadata(table, "config");
    cJSON *json = config ? cJSON_Parse(config) : NULL;
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, "chans_id");
    if (cJSON_IsArray(list) && cJSON_IsArray(list->child))
        list = list->child;
    bool listed = cJSON_IsArray(list);
    bool fits = !listed || (size_t)cJSON_GetArraySize(list) == count;
    const cJSON *item = listed ? list->child : NULL;
    for (size_t i = 0; fits && i < count; i++) {
        ids[i] = item ? (int64_t)item->valuedouble : (int64_t)i;
        item = item ? item->next : NULL;
    }
    cJSON_Delete(json);
    return fits;
}

static psgvit_status fill_tensor(const psgvit_weights *table, const synth_options *options,
                                 const psgvit_tensor *t, void *data, psgvit_error *err)
{
    if (t->dtype == PSGVIT_DTYPE_F32) {
        synth_weights_fill(t->name, t->shape, t->rank, options->seed, options->tails, data);
        return PSGVIT_OK;
    }
    if (t->dtype != PSGVIT_DTYPE_I64)
        return fail(err, PSGVIT_E_ARGUMENT, "%s: expected a tensor of type F32 or I64", t->name);
    if (!fill_ids(table, options, data, (size_t)t->elements))
        return fail(err, PSGVIT_E_ARGUMENT, "%s: the ids given are more or fewer than its elements",
                    t->name);
    return PSGVIT_OK;
}

static uint64_t largest_tensor(const psgvit_weights *table)
{
    uint64_t most = 1;
    for (size_t i = 0; i < psgvit_weights_count(table); i++) {
        uint64_t bytes = psgvit_weights_at(table, i)->bytes;
        most = bytes > most ? bytes : most;
    }
    return most;
}

static psgvit_status open_header(safetensors_out *out, const psgvit_weights *table,
                                 const synth_options *options, psgvit_error *err)
{
    char seed[24];
    snprintf(seed, sizeof seed, "%" PRIu64, options->seed);
    const safetensors_pair pairs[] = {{"weights", "synthetic"}, {"seed", seed}};
    return safetensors_out_open(out, table, pairs, sizeof pairs / sizeof pairs[0], err);
}

psgvit_status synth_model_write(const psgvit_weights *table, const synth_options *options,
                                synth_sink_fn sink, void *user, psgvit_error *err)
{
    safetensors_out out;
    psgvit_status status = open_header(&out, table, options, err);
    if (status)
        return status;
    void *data = malloc((size_t)largest_tensor(table));
    if (!data)
        status =
            fail(err, PSGVIT_E_MEMORY, "out of memory for the largest tensor of the %s", "model");
    bool taken = !status && sink(user, out.header, out.header_size);
    for (size_t i = 0; taken && !status && i < out.count; i++) {
        status = fill_tensor(table, options, out.order[i], data, err);
        taken = status || sink(user, data, (size_t)out.order[i]->bytes);
    }
    if (!status && !taken)
        status = fail(err, PSGVIT_E_CANCELLED, "the %s could not be written", "model");
    free(data);
    safetensors_out_close(&out);
    return status;
}

psgvit_status synth_model_image(const psgvit_weights *table, const synth_options *options,
                                unsigned char **bytes, size_t *size, psgvit_error *err)
{
    safetensors_out out;
    *bytes = NULL;
    *size = 0;
    psgvit_status status = open_header(&out, table, options, err);
    if (status)
        return status;
    size_t total;
    unsigned char *image = NULL;
    if (!__builtin_add_overflow(out.header_size, out.data_size, &total))
        image = malloc(total);
    if (!image)
        status = fail(err, PSGVIT_E_MEMORY, "out of memory for the image of the %s", "model");
    else
        memcpy(image, out.header, out.header_size);
    /* The header is a multiple of 8 bytes and the widest elements come first: all are aligned. */
    for (size_t i = 0, at = out.header_size; !status && i < out.count; i++) {
        status = fill_tensor(table, options, out.order[i], image + at, err);
        at += (size_t)out.order[i]->bytes;
    }
    safetensors_out_close(&out);
    if (status) {
        free(image);
        return status;
    }
    *bytes = image;
    *size = total;
    return PSGVIT_OK;
}
