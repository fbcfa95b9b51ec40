/* SPDX-License-Identifier: MIT */
/*
 * The tensors that a model must hold, row by row: the same list checks a file, is counted,
 * verified, and becomes the table of a variant. Rows come in the order of the reference's
 * state_dict.
 */
#ifndef PV_WEIGHTS_ROWS_H
#define PV_WEIGHTS_ROWS_H

#include "weights/config.h"
#include "weights/json.h"

/* One tensor. */
typedef struct pv_row {
    pv_table_row table; /* the name lives until the callback returns */
    bool used;          /* false: the model computes without it, so it may be missing */
} pv_row;

/* Anything but PSGVIT_OK ends the list and is its result. */
typedef psgvit_status (*pv_row_fn)(void *user, const pv_row *row, psgvit_error *err);

psgvit_status pv_osf_rows(const pv_osf_config *config, pv_row_fn fn, void *user, psgvit_error *err);
/* `id_rank` is the rank of chans_id: 1, or 2 where the reference made it of names; in a file either
 * may stand. */
psgvit_status pv_eegpt_rows(const pv_eegpt_config *config, size_t id_rank, pv_row_fn fn, void *user,
                            psgvit_error *err);

/* Hands rows to fn, each named by `prefix` and a format. The sizes of a shape end with a 0. */
typedef struct pv_row_list {
    pv_row_fn fn;
    void *user;
    psgvit_error *err;
    const char *prefix;
    psgvit_dtype dtype;   /* of the rows that follow */
    bool unused;          /* these too */
    psgvit_status status; /* the first that was not PSGVIT_OK: the rest is skipped */
} pv_row_list;
void pv_row_add(pv_row_list *rows, const uint64_t shape[4], const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* "[12, 64]" into `text` of PV_SHAPE_TEXT bytes, which is returned; long shapes are cut. */
enum { PV_SHAPE_TEXT = 200 };
const char *pv_shape_text(char *text, const uint64_t *shape, size_t rank);

/* A size that several tensors tell: the value that most of them give, so that of tensors that
 * disagree the odd one is blamed. Of a draw the first wins. */
typedef struct pv_vote {
    uint64_t values[8];
    size_t count;
} pv_vote;
/* Size `dim` of the tensor, if its rank is `rank`, as a multiple of `unit`: from 1 to PV_SIZE_MAX,
 * else it has no vote. */
void pv_vote_add(pv_vote *vote, const psgvit_weights *weights, size_t rank, size_t dim,
                 uint64_t unit, const char *name);
/* Without any vote PSGVIT_E_MODEL about the tensor `name`, whose shape should be `expected`. */
psgvit_status pv_vote_result(const pv_vote *vote, const psgvit_weights *weights, const char *name,
                             const char *expected, size_t *value, psgvit_error *err);

/* The tensor, or PSGVIT_E_MODEL: missing, not of this rank, or a size beyond 1 to PV_SIZE_MAX. */
psgvit_status pv_tensor_need(const psgvit_weights *weights, const char *name, size_t rank,
                             const char *expected, const psgvit_tensor **tensor, psgvit_error *err);
/* PSGVIT_E_MODEL that names tensor, expected and found shape. */
psgvit_status pv_tensor_wrong_shape(const psgvit_weights *weights, const psgvit_tensor *tensor,
                                    const char *expected, psgvit_error *err);

/* Depth: how many blocks there are, whose tensors begin with `stem` and their index and a dot, from
 * 0 without a gap. At most PV_DEPTH_MAX. */
enum { PV_DEPTH_MAX = 1024 };
psgvit_status pv_count_blocks(const psgvit_weights *weights, const char *stem, size_t *depth,
                              psgvit_error *err);

/* Every tensor of a list against the file: pv_check_begin, then the list with pv_check_row, then
 * pv_check_end, which logs what the file holds beyond the list, but for `known` names behind
 * `prefix`: whole names, or beginnings that end in a dot; NULL ends them. pv_check_end frees, also
 * after a failure (log NULL). */
typedef struct pv_check {
    const psgvit_weights *weights;
    const psgvit_tensor **found;
    size_t count, capacity;
} pv_check;
psgvit_status pv_check_begin(pv_check *check, const psgvit_weights *weights, psgvit_error *err);
psgvit_status pv_check_row(void *check, const pv_row *row, psgvit_error *err);
void pv_check_end(pv_check *check, const char *prefix, const char *const *known, const pv_log *log);

/* A value of the config against what the shape of a tensor says; nothing if the key is absent. */
psgvit_status pv_confirm(const pv_json *json, const char *key, size_t value,
                         const psgvit_weights *weights, const char *tensor, psgvit_error *err);
/* "config says width = 512, but tensor 'cls_token' of shape [1, 1, 768] says 768". */
psgvit_status pv_contradiction(const pv_json *json, const char *key, size_t said, size_t value,
                               const psgvit_weights *weights, const char *tensor,
                               psgvit_error *err);

/* PSGVIT_E_MODEL if the file holds the other kind of model. A file that is neither passes: what it
 * lacks is said later. */
psgvit_status pv_expect_kind(const psgvit_weights *weights, const char *kind, psgvit_error *err);

/* PSGVIT_E_MODEL if the key `model` says that the config is the other kind's. What else it says is
 * nobody's business: other programs write configs, too. */
psgvit_status pv_confirm_kind(const pv_json *json, const char *kind, psgvit_error *err);

/* The config of a file, of that kind: `text`, or NULL for `config` of its metadata, if any. Close
 * it also after a failure. */
psgvit_status pv_config_open(pv_json *json, const psgvit_weights *weights, const char *kind,
                             const char *text, psgvit_error *err);

/* What a variant's own config ("nano", ...) and `text` (NULL: nothing more) make together: the
 * config, and it as JSON, to be freed with cJSON_free. */
psgvit_status pv_osf_variant(pv_osf_config *config, const char *variant, const char *text,
                             char **json, psgvit_error *err);
/* Free the config with pv_eegpt_config_free. */
psgvit_status pv_eegpt_variant(pv_eegpt_config *config, const char *text, size_t *id_rank,
                               char **json, psgvit_error *err);

#endif
