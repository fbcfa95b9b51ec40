/* SPDX-License-Identifier: MIT */
/*
 * THE contract between the models and the backends. A model prepares its weights in a store,
 * records its forward pass into a plan by the functions below, each a step of the papers, and
 * runs the plan as often as it likes. The CPU and Vulkan implement pv_backend; ops.c checks
 * every precondition once, for both. All data is float32, all matrices are row-major.
 *
 * Sizes, here and in the models: B epochs, N tokens, D width, H heads, d head dimension, C
 * channels, T samples, P time patches, S sequences.
 */
#ifndef PV_OPS_OPS_H
#define PV_OPS_OPS_H

#include "base/log.h"
#include "base/status.h"
#include "ops/tensor.h"

typedef struct pv_backend pv_backend;
typedef struct pv_profile pv_profile; /* ops/profile.h */

enum { PV_MOST_IN_FLIGHT = 2 };

/* A device: each backend has more behind it. */
struct psgvit_device {
    const pv_backend *backend;
    psgvit_device_info info;
    pv_log log;
    size_t batch_rows; /* rows of a batch's matrices from which on more don't make it faster, */
    size_t most_rows;  /* and from which on they make it slower, whoever asks for them */
    int threads_asked; /* most threads of a call; 0: what OpenMP would use for the caller */
    size_t in_flight;  /* batches under way that keep it busy, to PV_MOST_IN_FLIGHT; each has its
                          own memory */
    unsigned spares;   /* bit of each precision in which a model may have more and smaller ops to
                          save products; in those pv_operand leaves all as it is */
};

/* Weights of one encoder in the layout of one device. */
typedef struct pv_store {
    psgvit_device *device;
    psgvit_precision precision;
} pv_store;

/* The weight of a linear layer, W [N, K], packed as the backend likes. Belongs to its store. */
typedef struct pv_matrix {
    size_t rows;  /* N */
    size_t cols;  /* K */
    size_t bytes; /* packed */
} pv_matrix;

/* Where a matrix comes from: writes rows [first, first + count) as float32 to `values`
 * [count, cols]. Called from many threads at once, for disjoint rows. */
typedef struct pv_rows {
    size_t rows, cols;
    void (*read)(const void *source, size_t first, size_t count, float *values);
    const void *source;
    bool exact; /* to be multiplied in float32 even in a store of bf16 */
} pv_rows;

typedef struct pv_linear_weight {
    const pv_matrix *matrix; /* [N, K] */
    pv_tensor bias;          /* [1, N], or none */
} pv_linear_weight;

typedef struct pv_norm_weight {
    pv_tensor gamma, beta; /* [1, D] */
    float eps;
} pv_norm_weight;

typedef enum pv_epilogue {
    PV_PLAIN,
    PV_GELU, /* the exact one, by erf */
    PV_ADD,  /* adds to what y holds: the residual stream */
} pv_epilogue;

/* How patches lie in a signal [B, C, T]. Patch (g, p) is leads [g * group, +group) at samples
 * [p * stride, +length), lead-major; samples past T are 0. */
typedef struct pv_patch_shape {
    size_t epochs, channels, samples; /* B, C, T */
    size_t group;                     /* leads of a patch; divides C */
    size_t length, stride;            /* samples */
    size_t count;                     /* P, patches along time */
    int time_major;                   /* tokens of an epoch: p * groups + g, else g * P + p */
} pv_patch_shape;

typedef struct pv_attention_shape {
    size_t sequences; /* S */
    size_t queries;   /* rows of q a sequence */
    size_t keys;      /* rows of k and v a sequence */
    size_t heads;     /* H */
    size_t dim;       /* d */
    float scale;
} pv_attention_shape;

/* Rows [first, first + count) of every group of `group` rows. */
typedef struct pv_row_range {
    size_t group, first, count;
} pv_row_range;

/* A recorded pass. The first failure while recording is kept in `error`; what follows it does
 * nothing, and pv_plan_finish returns it. */
typedef struct pv_plan {
    psgvit_device *device;
    psgvit_error error;
    int exact;           /* set before recording: no op may be one that can leave the plan stale */
    pv_profile *profile; /* set before recording: ops are noted there and timed at each run; NULL:
                            nobody wants to know, and it costs nothing */
    double device_ms;    /* that the last run took by the device's own clock, from its first op to
                            its last: a discrete GPU's copies from and to the host not counted; 0:
                            it has none */
    int stale;           /* the last run gave no results: numbers were too large for a fast op, and
                            the same has to be recorded anew, exact */
} pv_plan;

/* ---- memory and weights ---- */

/* `floats` of device memory, content unspecified. PV_HOST: `host` is set, too. */
enum { PV_DEVICE = 0, PV_HOST = 1 };
psgvit_status pv_buffer_create(psgvit_device *device, size_t floats, int kind, pv_buffer **buffer,
                               psgvit_error *err);
void pv_buffer_destroy(psgvit_device *device, pv_buffer *buffer);

psgvit_status pv_store_create(psgvit_device *device, psgvit_precision precision, pv_store **store,
                              psgvit_error *err);
/* Packs a matrix. The source is not needed afterwards. */
psgvit_status pv_store_matrix(pv_store *store, const pv_rows *source, const pv_matrix **matrix,
                              psgvit_error *err);
/* Copies rows * cols values: biases, norms, positions. */
psgvit_status pv_store_tensor(pv_store *store, const float *values, size_t rows, size_t cols,
                              pv_tensor *tensor, psgvit_error *err);
/* Frees the store and all that is in it. NULL is allowed. */
void pv_store_destroy(pv_store *store);

/* ---- plans ---- */

psgvit_status pv_plan_begin(psgvit_device *device, pv_plan **plan, psgvit_error *err);
/* Ends recording. */
psgvit_status pv_plan_finish(pv_plan *plan, psgvit_error *err);
/* Starts it: what host buffers hold now is what it reads. From one thread at a time, and not again
 * before it was waited for. If it fails, nothing is under way. */
psgvit_status pv_plan_start(pv_plan *plan, psgvit_error *err);
/* Waits for what was started. Host buffers hold its results afterwards. */
psgvit_status pv_plan_wait(pv_plan *plan, psgvit_error *err);
/* Both. */
psgvit_status pv_plan_submit(pv_plan *plan, psgvit_error *err);
void pv_plan_destroy(pv_plan *plan);

/* ---- ops: y is always the result ---- */

/* t for numbers that nothing but linear layers of this store will read, in the form that the
 * backend multiplies: written once by layernorm, attention or linear (not PV_ADD), which would
 * otherwise be converted by each of many readers. Where that gains nothing, t has gaps or no room
 * for whole tiles of rows behind it (PV_FORM_TILE), t as it is. All other tensors, but those of the
 * next two, are float32.
 * There is memory behind t, unless it has gaps, for one of PV_FORM_GAP floats after each row. */
pv_tensor pv_operand(const pv_plan *plan, const pv_store *store, pv_tensor t);
/* The same for a residual stream: what assemble or select_rows write, linear layers of this store
 * add to, and nothing but layernorm, select_rows and linear layers read. A backend keeps it in a
 * form of its own only where that has digits enough to add up in. */
pv_tensor pv_stream(const pv_plan *plan, const pv_store *store, pv_tensor t);
/* The same for q, k and v side by side in the columns of t, which linear layers write and nothing
 * but attentions of this shape, with any number of queries and sequences, will read. */
pv_tensor pv_attention_operand(const pv_plan *plan, const pv_store *store, pv_tensor t,
                               const pv_attention_shape *shape);

/* y[b, o, :] = bias[o] + sum over c of weight[o, c] * x[b, c, :].
 * x [B*C, T], weight [C', C], bias [1, C'], y [B*C', T]. */
void pv_mix_channels(pv_plan *plan, pv_tensor x, pv_tensor weight, pv_tensor bias, pv_tensor y);

/* x [B*C, T] without gaps -> y [B*groups*P, group*length]. */
void pv_patchify(pv_plan *plan, pv_tensor x, const pv_patch_shape *shape, pv_tensor y);

/* y = epilogue(x W^T + bias), or y += x W^T + bias; x [M, K], y [M, N]. */
void pv_linear(pv_plan *plan, pv_tensor x, const pv_linear_weight *weight, pv_epilogue epilogue,
               pv_tensor y);

/* Tokens of a sequence: y[s, i] = table[i], plus x[s, i - first] where i - first is one of x's
 * tokens. x [S*n, D], table [N, D], y [S*N, D]; first + n <= N. */
void pv_assemble(pv_plan *plan, pv_tensor x, pv_tensor table, size_t first, pv_tensor y);

/* y = LN(x) by row; y may be x, unless that is an operand. [M, D] */
void pv_layernorm(pv_plan *plan, pv_tensor x, const pv_norm_weight *weight, pv_tensor y);

/* y = softmax(scale * q k^T) v for each sequence and head; heads lie side by side in the columns.
 * q, y [S*queries, H*d], k, v [S*keys, H*d]; y is none of the others, and an operand only if
 * 4 | d. Where q, k and v are operands, y is one, too. */
void pv_attention(pv_plan *plan, pv_tensor q, pv_tensor k, pv_tensor v,
                  const pv_attention_shape *shape, pv_tensor y);

/* y = the rows of the range, of every group: x [S*group, D] -> y [S*count, D]. */
void pv_select_rows(pv_plan *plan, pv_tensor x, pv_row_range range, pv_tensor y);

/* y = the mean of the rows of the range, of every group: x [S*group, D] -> y [S, D]. */
void pv_mean_rows(pv_plan *plan, pv_tensor x, pv_row_range range, pv_tensor y);

/* ---- what a backend implements: the same, with the preconditions checked ---- */

/* Each returns what goes into the plan's error if it can't be recorded. */
typedef struct pv_ops {
    psgvit_status (*mix_channels)(pv_plan *plan, pv_tensor x, pv_tensor weight, pv_tensor bias,
                                  pv_tensor y, psgvit_error *err);
    psgvit_status (*patchify)(pv_plan *plan, pv_tensor x, const pv_patch_shape *shape, pv_tensor y,
                              psgvit_error *err);
    psgvit_status (*linear)(pv_plan *plan, pv_tensor x, const pv_linear_weight *weight,
                            pv_epilogue epilogue, pv_tensor y, psgvit_error *err);
    psgvit_status (*assemble)(pv_plan *plan, pv_tensor x, pv_tensor table, size_t first,
                              pv_tensor y, psgvit_error *err);
    psgvit_status (*layernorm)(pv_plan *plan, pv_tensor x, const pv_norm_weight *weight,
                               pv_tensor y, psgvit_error *err);
    psgvit_status (*attention)(pv_plan *plan, pv_tensor q, pv_tensor k, pv_tensor v,
                               const pv_attention_shape *shape, pv_tensor y, psgvit_error *err);
    psgvit_status (*select_rows)(pv_plan *plan, pv_tensor x, pv_row_range range, pv_tensor y,
                                 psgvit_error *err);
    psgvit_status (*mean_rows)(pv_plan *plan, pv_tensor x, pv_row_range range, pv_tensor y,
                               psgvit_error *err);
} pv_ops;

struct pv_backend {
    const pv_ops *ops;

    void (*device_close)(psgvit_device *device);

    psgvit_status (*buffer_create)(psgvit_device *device, size_t floats, int kind,
                                   pv_buffer **buffer, psgvit_error *err);
    void (*buffer_destroy)(psgvit_device *device, pv_buffer *buffer);

    psgvit_status (*store_create)(psgvit_device *device, psgvit_precision precision,
                                  pv_store **store, psgvit_error *err);
    psgvit_status (*store_matrix)(pv_store *store, const pv_rows *source, const pv_matrix **matrix,
                                  psgvit_error *err);
    psgvit_status (*store_tensor)(pv_store *store, const float *values, size_t rows, size_t cols,
                                  pv_tensor *tensor, psgvit_error *err);
    void (*store_destroy)(pv_store *store);

    psgvit_status (*plan_begin)(psgvit_device *device, pv_plan **plan, psgvit_error *err);
    psgvit_status (*plan_finish)(pv_plan *plan, psgvit_error *err);
    psgvit_status (*plan_start)(pv_plan *plan, psgvit_error *err);
    psgvit_status (*plan_wait)(pv_plan *plan, psgvit_error *err); /* or NULL: start has computed */
    void (*plan_destroy)(pv_plan *plan);
    pv_tensor (*operand)(const pv_plan *plan, const pv_store *store, pv_tensor t); /* or NULL */
    pv_tensor (*stream)(const pv_plan *plan, const pv_store *store, pv_tensor t); /* or NULL */
    pv_tensor (*attention_operand)(const pv_plan *plan, const pv_store *store, pv_tensor t,
                                   const pv_attention_shape *shape); /* or NULL */
};

enum { PV_MAX_THREADS = 1024 };

/* Threads of the team that a call forms now (base/team.h), and no more than the device's. */
int pv_device_team(const psgvit_device *device);

/* How a backend opens a device; the parameters are complete and in their ranges. */
psgvit_status pv_cpu_open(psgvit_device **device, const psgvit_device_params *params,
                          psgvit_error *err);

/* What Vulkan finds on this machine, in its own order, usable or not. */
typedef struct pv_vulkan pv_vulkan;
/* PSGVIT_E_DEVICE, with the reason, if there is no loader, no driver or no device. */
psgvit_status pv_vulkan_find(pv_vulkan **vulkan, psgvit_error *err);
size_t pv_vulkan_count(const pv_vulkan *vulkan); /* of NULL: 0 */
const psgvit_device_info *pv_vulkan_at(const pv_vulkan *vulkan, size_t index);
/* Opens one. The device takes over what it needs of `vulkan`, from which no other can be opened
 * then; after a failure it can. */
psgvit_status pv_vulkan_open(psgvit_device **device, pv_vulkan *vulkan, size_t index,
                             const psgvit_device_params *params, psgvit_error *err);
void pv_vulkan_forget(pv_vulkan *vulkan); /* NULL is allowed */

#endif
