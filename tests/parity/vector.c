/* SPDX-License-Identifier: MIT */
/* Reads the cases of tests/vectors, and makes their weights on the fly. */
#include "parity/vector.h"

#include "synth_weights.h"
#include "weights/safetensors.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const char *const names_osf[] = {"cls", "patches", "mean"};
static const char *const names_eegpt[] = {"features", "logits"};

static double number(const cJSON *object, const char *key, double otherwise)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNumber(item) ? item->valuedouble : otherwise;
}

float *vector_tensor(const vector_case *c, const char *name, size_t *count)
{
    psgvit_error err;
    const psgvit_tensor *t = psgvit_weights_find(c->file, name);
    if (!t)
        fail_msg("%s has no tensor '%s'", c->name, name);
    *count = (size_t)t->elements;
    float *values = malloc((*count + 1) * sizeof *values);
    assert_non_null(values);
    if (psgvit_weights_read(c->file, t, 0, *count, values, &err))
        fail_msg("%s", err.message);
    return values;
}

/* Blocks beyond `depth` are left out of the table; depth 0 keeps all. */
static bool beyond(const char *name, size_t depth)
{
    const char *digits = strstr(name, "blocks.");
    digits = digits ? digits + 7 : strncmp(name, "block", 5) ? NULL : name + 5;
    return depth && digits && strtoul(digits, NULL, 10) >= depth;
}

static void make_model(vector_case *c, cJSON *config, size_t depth)
{
    const cJSON *tensors = cJSON_GetObjectItemCaseSensitive(config, "tensors"), *item;
    size_t count = 0, rows_max = (size_t)cJSON_GetArraySize(tensors);
    pv_table_row *rows = calloc(rows_max + 1, sizeof *rows);
    assert_non_null(rows);
    cJSON_ArrayForEach(item, tensors)
    {
        if (beyond(item->string, depth))
            continue;
        pv_table_row *row = &rows[count++];
        row->name = item->string;
        row->dtype = strcmp(item->string, "chans_id") ? PSGVIT_DTYPE_F32 : PSGVIT_DTYPE_I64;
        row->rank = (size_t)cJSON_GetArraySize(item);
        for (size_t i = 0; i < row->rank; i++)
            row->shape[i] = (uint64_t)cJSON_GetArrayItem(item, (int)i)->valuedouble;
    }
    if (depth)
        cJSON_SetNumberValue(cJSON_GetObjectItemCaseSensitive(config, "depth"), (double)depth);
    int64_t ids[128];
    const cJSON *chans = cJSON_GetObjectItemCaseSensitive(config, "chans_id");
    synth_options options = {.seed = (uint64_t)number(config, "seed", 0),
                             .tails = cJSON_IsTrue(cJSON_GetObjectItem(config, "tails")),
                             .chans_id = ids};
    cJSON_ArrayForEach(item, chans) ids[options.chans_id_count++] = (int64_t)item->valuedouble;
    char *text = cJSON_PrintUnformatted(config);
    psgvit_error err;
    psgvit_weights *table = NULL;
    if (pv_weights_from_table(&table, rows, count, text, &err) ||
        synth_model_image(table, &options, &c->image, &c->image_size, &err))
        fail_msg("%s: %s", c->name, err.message);
    psgvit_weights_close(&table);
    free(text);
    free(rows);
}

void vector_open(vector_case *c, const char *folder, const char *name, size_t depth)
{
    char path[512];
    psgvit_error err;
    *c = (vector_case){0};
    snprintf(c->name, sizeof c->name, "%s", name);
    snprintf(path, sizeof path, "%s/%s.safetensors", folder, name);
    if (psgvit_weights_open(&c->file, path, NULL, &err))
        fail_msg("%s", err.message);
    cJSON *config = cJSON_Parse(psgvit_weights_metadata(c->file, "config"));
    assert_non_null(config);
    const cJSON *torch = cJSON_GetObjectItemCaseSensitive(config, "pytorch_f32_error");
    c->eegpt = !strcmp(cJSON_GetObjectItem(config, "model")->valuestring, "eegpt");
    const uint64_t *shape = psgvit_weights_find(c->file, "input")->shape;
    c->epochs = (size_t)shape[0];
    c->channels = (size_t)shape[1];
    c->samples = (size_t)shape[2];
    size_t ignored;
    c->input = vector_tensor(c, "input", &ignored);
    for (size_t i = 0; i < (c->eegpt ? 2u : 3u); i++) {
        vector_output *o = &c->outputs[c->output_count];
        o->name = c->eegpt ? names_eegpt[i] : names_osf[i];
        const psgvit_tensor *t = psgvit_weights_find(c->file, o->name);
        if (!t)
            continue;
        o->width = (size_t)t->shape[t->rank - 1];
        const cJSON *own = cJSON_GetObjectItemCaseSensitive(torch, o->name);
        o->torch_max = number(own, "max", -1);
        o->torch_mean = number(own, "mean", -1);
        assert_true(o->torch_max > 0 && o->torch_mean > 0);
        o->truth = vector_tensor(c, o->name, &o->count);
        c->output_count++;
    }
    make_model(c, config, depth);
    cJSON_Delete(config);
}

void vector_close(vector_case *c)
{
    for (size_t i = 0; i < c->output_count; i++)
        free(c->outputs[i].truth);
    free(c->input);
    free(c->image);
    psgvit_weights_close(&c->file);
}

void vector_encoder_open_as(vector_encoder *e, const vector_case *c, psgvit_device *device,
                            psgvit_precision precision)
{
    osf_encoder_params osf = {.struct_size = sizeof osf, .precision = precision};
    eegpt_encoder_params eegpt = {.struct_size = sizeof eegpt, .precision = precision};
    psgvit_error err;
    *e = (vector_encoder){0};
    psgvit_status status = c->eegpt ? eegpt_encoder_open_memory(&e->eegpt, device, c->image,
                                                                c->image_size, &eegpt, &err)
                                    : osf_encoder_open_memory(&e->osf, device, c->image,
                                                              c->image_size, &osf, &err);
    if (status)
        fail_msg("%s: %s", c->name, err.message);
}

void vector_encoder_open(vector_encoder *e, const vector_case *c, psgvit_device *device)
{
    vector_encoder_open_as(e, c, device, PSGVIT_F32);
}

void vector_encoder_close(vector_encoder *e)
{
    osf_encoder_close(&e->osf);
    eegpt_encoder_close(&e->eegpt);
}

psgvit_status vector_encode(const vector_encoder *e, const vector_case *c, size_t first,
                            size_t count, size_t batch, float *const outputs[VECTOR_OUTPUTS],
                            psgvit_error *err)
{
    const float *signal = c->input + first * c->channels * c->samples;
    size_t room[VECTOR_OUTPUTS] = {0};
    for (size_t i = 0; i < c->output_count; i++)
        room[i] = c->outputs[i].count;
    if (c->eegpt) {
        eegpt_job job = {.struct_size = sizeof job,
                         .signal = signal,
                         .epochs = count,
                         .samples = c->samples,
                         .features = outputs[0],
                         .features_capacity = room[0],
                         .logits = outputs[1],
                         .logits_capacity = room[1],
                         .batch = batch};
        return eegpt_encode(e->eegpt, &job, err);
    }
    osf_job job = {.struct_size = sizeof job,
                   .signal = signal,
                   .epochs = count,
                   .samples = c->samples,
                   .cls = outputs[0],
                   .cls_capacity = room[0],
                   .patches = outputs[1],
                   .patches_capacity = room[1],
                   .mean = outputs[2],
                   .mean_capacity = room[2],
                   .batch = batch};
    return osf_encode(e->osf, &job, err);
}

void vector_compare(const float *found, const float *truth, size_t count, double *max, double *mean)
{
    double sum = 0;
    *max = 0;
    for (size_t i = 0; i < count; i++) {
        double d = fabs((double)found[i] - (double)truth[i]);
        if (!isfinite(d)) {
            *max = *mean = INFINITY;
            return;
        }
        sum += d;
        *max = d > *max ? d : *max;
    }
    *mean = sum / (double)count;
}

double vector_least_cosine(const float *found, const vector_output *o)
{
    double least = 1;
    for (size_t first = 0; first < o->count; first += o->width) {
        double product = 0, a = 0, b = 0;
        for (size_t i = first; i < first + o->width; i++) {
            product += (double)found[i] * (double)o->truth[i];
            a += (double)found[i] * (double)found[i];
            b += (double)o->truth[i] * (double)o->truth[i];
        }
        double cosine = product / sqrt(a * b);
        if (!(cosine >= -1)) /* NaN */
            return -1;
        least = cosine < least ? cosine : least;
    }
    return least;
}

bool vector_promise(const vector_output *o, double max, double mean)
{
    return mean <= fmax(2e-7, 1.75 * o->torch_mean) && max <= fmax(1e-6, 4 * o->torch_max);
}
