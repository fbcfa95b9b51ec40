/* SPDX-License-Identifier: MIT */
/* Up to three writers that go the same way: open, put, finish, commit. */
#include "infer_outputs.h"

#include <stdlib.h>
#include <string.h>

int infer_outputs_open(infer_outputs *o, const infer_session *s, size_t index,
                       const infer_source *source, cli_failure *failure)
{
    const char *stages = targets_path(&s->targets, TARGET_HYPNOGRAM, index);
    const char *page = targets_path(&s->targets, TARGET_PAGE, index);
    *o = (infer_outputs){.inputs = infer_inputs_entry(s, index)};
    if (!o->inputs)
        return cli_fail(failure, CLI_MEMORY, "%s: out of memory: the metadata",
                        infer_name(s, index));
    memcpy(o->content.tensors, source->tensors, sizeof source->tensors);
    o->content.tensor_count = source->tensor_count;
    o->content.night = source->facts;
    o->content.head = s->head;
    infer_put_entries(s, &o->content, o->inputs, source->bytes);
    int code = writer_open(&o->writer, targets_path(&s->targets, TARGET_EMBEDDINGS, index),
                           s->options.format, &o->content, failure);
    if (!code && stages)
        code = hypnogram_open(&o->hypnogram, stages, s->options.hypnogram_format, source->facts,
                              s->head, failure);
    if (!code && page)
        code = night_page_open(&o->page, page, &o->content, s->facts.channels, source->samples,
                               s->facts.vector_width, failure);
    return code;
}

int infer_outputs_put(infer_outputs *o, const infer_rows *rows, cli_failure *failure)
{
    int code = writer_put(o->writer, rows->first, rows->count, rows->values, rows->scores, failure);
    if (!code && o->hypnogram)
        code = hypnogram_put(o->hypnogram, rows->first, rows->count, rows->scores, failure);
    if (!code && o->page)
        night_page_put(o->page, rows->first, rows->count, rows->signal, rows->vectors,
                       rows->scores);
    return code;
}

int infer_outputs_commit(infer_outputs *o, const char *hash, cli_failure *failure)
{
    int code = writer_finish(o->writer, hash, failure);
    if (!code && o->hypnogram)
        code = hypnogram_finish(o->hypnogram, failure);
    if (!code && o->page)
        code = night_page_finish(o->page, hash, failure);
    if (!code && o->hypnogram)
        code = hypnogram_commit(&o->hypnogram, failure);
    if (!code && o->page)
        code = night_page_commit(&o->page, failure);
    return code ? code : writer_commit(&o->writer, failure);
}

void infer_outputs_abort(infer_outputs *o)
{
    writer_abort(&o->writer);
    hypnogram_abort(&o->hypnogram);
    night_page_abort(&o->page);
    free(o->inputs);
    o->inputs = NULL;
}
