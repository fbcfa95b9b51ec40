/* SPDX-License-Identifier: MIT */
/* The report of --json: one object a run. */
#include "infer.h"

#include "json_out.h"

#include <stdio.h>
#include <string.h>

static void put_text(const char *key, const char *value)
{
    printf(",\n  \"%s\": ", key);
    json_put_string(stdout, value);
}

static bool is_done(const infer_result *result)
{
    return result->started && result->code == CLI_DONE;
}

static void put_shapes(const infer_result *result)
{
    fputs(", \"shapes\": {", stdout);
    for (size_t k = 0; k < result->tensor_count; k++) {
        const writer_tensor *t = &result->tensors[k];
        printf("%s\"%s\": [", k ? ", " : "", t->name);
        for (size_t d = 0; d < t->rank; d++)
            printf("%s%zu", d ? ", " : "", t->shape[d]);
        putchar(']');
    }
    putchar('}');
}

static void put_input(const infer_session *s, size_t index)
{
    const infer_result *result = &s->results[index];
    const sample *input = infer_sample(s, index);
    fputs(index ? ",\n    {\"id\": " : "\n    {\"id\": ", stdout);
    json_put_string(stdout, input->id);
    fputs(", \"input\": ", stdout);
    json_put_string(stdout, input->path);
    printf(", \"status\": \"%s\", \"exit_code\": %d",
           result->complete   ? "skipped"
           : !result->started ? "not started"
           : result->code     ? "failed"
                              : "done",
           result->code);
    printf(", \"epochs\": %zu, \"samples\": %zu, \"dropped_samples\": %zu, \"seconds\": %.6f",
           result->epochs, result->samples, result->dropped, result->seconds);
    put_shapes(result);
    fputs(", \"output\": ", stdout);
    json_put_string(stdout, is_done(result) || result->complete
                                ? targets_path(&s->targets, TARGET_EMBEDDINGS, index)
                                : NULL);
    if (result->recording)
        printf(", \"recording\": {%s}", result->recording);
    fputs(", \"error\": ", stdout);
    json_put_string(stdout, result->error);
    putchar('}');
}

static void put_model(const infer_session *s)
{
    const psgvit_device_info *device = psgvit_device_get_info(s->device);
    put_text("model", s->options.model);
    put_text("model_sha256", s->sha256[0] ? s->sha256 : NULL);
    put_text("variant", s->facts.variant);
    put_text("precision", psgvit_precision_name(s->options.precision));
    put_text("backend", psgvit_backend_name(device->backend));
    put_text("device", device->name);
    put_text("driver", device->driver);
    put_text("isa", psgvit_isa_name(device->isa));
    printf(",\n  \"threads\": %d,\n  \"channels\": %zu,\n  \"outputs\": [", device->threads,
           s->facts.channels);
    bool first = true;
    for (size_t i = 0; i < WRITER_TENSORS; i++) {
        if (!s->wanted[i])
            continue;
        printf("%s\"%s\"", first ? "" : ", ", s->kind->syntax.outputs[i]);
        first = false;
    }
    putchar(']');
}

static void put_timings(const infer_timings *t, size_t epochs)
{
    printf(",\n  \"timings\": {\"load_ms\": %.3f, \"read_ms\": %.3f, \"compute_ms\": %.3f, ",
           t->load, t->read, t->compute);
    printf("\"write_ms\": %.3f, \"total_ms\": %.3f}", t->write, t->total);
    printf(",\n  \"epochs\": %zu,\n  \"epochs_per_s\": ", epochs);
    json_put_double(stdout, t->compute > 0 ? (double)epochs / t->compute * 1e3 : 0);
    /* The share of the time since the first input that went into computing. */
    printf(",\n  \"busy\": %.4f", t->run > 0 ? t->compute / t->run : 0);
}

int infer_report(const infer_session *s, int code)
{
    size_t epochs = 0;
    for (size_t i = 0; i < s->count; i++)
        epochs += is_done(&s->results[i]) ? s->results[i].epochs : 0;
    fputs("{\n  \"program\": ", stdout);
    json_put_string(stdout, s->kind->syntax.program);
    put_text("version", psgvit_version());
    printf(",\n  \"exit_code\": %d", code);
    put_model(s);
    put_timings(&s->timings, epochs);
    if (s->options.shard_given)
        printf(",\n  \"shard\": %zu,\n  \"shards\": %zu", s->options.shard.index,
               s->options.shard.count);
    fputs(",\n  \"inputs\": [", stdout);
    for (size_t i = 0; i < s->count; i++)
        put_input(s, i);
    puts("\n  ]\n}");
    return cli_end_output();
}
