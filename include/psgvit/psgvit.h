/* SPDX-License-Identifier: MIT */
/*
 * libpsgvit: embeddings of sleep and EEG recordings, from the foundation models OSF and EEGPT.
 *
 * This header has what both models share: status and errors, the log, devices. The models are in
 * psgvit/osf.h and psgvit/eegpt.h, model files in psgvit/weights.h, signal files in
 * psgvit/recording.h. A complete program, which lists the devices that can compute:
 *
 *     #include <psgvit/psgvit.h>
 *     #include <stdio.h>
 *
 *     int main(void)
 *     {
 *         psgvit_error err;
 *         psgvit_device_list *list = NULL;
 *         if (psgvit_device_list_open(&list, &err)) {
 *             fprintf(stderr, "%s\n", err.message);
 *             return 1;
 *         }
 *         for (size_t i = 0; i < psgvit_device_list_count(list); i++)
 *             printf("%zu %s\n", i, psgvit_device_list_at(list, i)->name);
 *         psgvit_device_list_close(&list);
 *         return 0;
 *     }
 *
 * Rules that hold everywhere:
 * - The library never prints, exits or aborts, and changes no state of the process: no locale, no
 *   floating-point mode, no signal handler, no thread setting of OpenMP or BLAS. One thing it has
 *   to ask for: opening an encoder on a CPU with AMX makes Linux let the process use the tiles
 *   (arch_prctl, ARCH_REQ_XCOMP_PERM), unless `isa` rules them out; alternate signal stacks must be
 *   larger then.
 * - The shared library stays once it is loaded, whatever dlclose() says: OpenMP's threads live on.
 * - A function that can fail returns a psgvit_status and takes a psgvit_error (NULL is allowed). On
 *   failure the handle it was to make is NULL.
 * - A struct of options begins with `struct_size`, which the caller sets to sizeof the struct; all
 *   other fields may be zero, which is the default. A params pointer may be NULL: all defaults.
 * - A params struct and the strings in it need only live until the call returns; a device must
 *   outlive its encoders.
 */
#ifndef PSGVIT_PSGVIT_H
#define PSGVIT_PSGVIT_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define PSGVIT_API __attribute__((visibility("default")))
#else
#define PSGVIT_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define PSGVIT_VERSION_MAJOR 0
#define PSGVIT_VERSION_MINOR 1
#define PSGVIT_VERSION_PATCH 0

/* The version of the library that is linked, "0.1.0". Lives for ever. Thread-safety: safe. */
PSGVIT_API const char *psgvit_version(void);

/* ---- status ---------------------------------------------------------------------------------- */

typedef enum psgvit_status {
    PSGVIT_OK = 0,
    PSGVIT_E_ARGUMENT,  /* the caller's mistake: a NULL handle, a bad option, too little room */
    PSGVIT_E_INPUT,     /* the signal: unreadable, of the wrong shape, or not finite */
    PSGVIT_E_MODEL,     /* the model file or its config: unreadable, inconsistent, or lacking */
    PSGVIT_E_DEVICE,    /* the device: none, lost, or unable to do what was asked for */
    PSGVIT_E_MEMORY,    /* memory of the host or of the device ran out */
    PSGVIT_E_CANCELLED, /* the job's cancel callback said so */
} psgvit_status;

/* A short English name of the status, such as "model error". Lives for ever; never NULL. */
PSGVIT_API const char *psgvit_status_name(psgvit_status status);

/* What went wrong, in the caller's memory. Written by every call that takes one: on success code is
 * PSGVIT_OK and message is empty. The message is one sentence in UTF-8 that names the file, tensor,
 * channel or argument, what was expected and what was found; if too long, cut in its middle. */
typedef struct psgvit_error {
    psgvit_status code;
    char message[1020];
} psgvit_error;

/* ---- log ------------------------------------------------------------------------------------- */

typedef enum psgvit_log_level {
    PSGVIT_LOG_ERROR = 1,
    PSGVIT_LOG_WARNING,
    PSGVIT_LOG_INFO,
    PSGVIT_LOG_DEBUG,
} psgvit_log_level;

/* Takes one line without its newline. May be called from any thread that calls the library, never
 * from two at once for the same call; must not call back into the library. */
typedef void (*psgvit_log_fn)(void *user, psgvit_log_level level, const char *line);

/* ---- devices --------------------------------------------------------------------------------- */

typedef enum psgvit_backend {
    PSGVIT_BACKEND_AUTO = 0, /* a discrete GPU, then an integrated one, else the CPU; what was
                                passed over is in the log; with an `isa` the CPU at once */
    PSGVIT_BACKEND_CPU,
    PSGVIT_BACKEND_VULKAN,   /* discrete, integrated, virtual, then software */
} psgvit_backend;

/* Instruction sets of the CPU, each a ceiling: every op takes its best kernel at or below it. */
typedef enum psgvit_isa {
    PSGVIT_ISA_AUTO = 0, /* all that the machine has */
    PSGVIT_ISA_C,        /* portable C */
    PSGVIT_ISA_AVX2,     /* AVX2 and FMA */
    PSGVIT_ISA_AVX512,   /* AVX-512 F, BW, DQ, VL */
    PSGVIT_ISA_AMX,      /* AMX tiles with bf16 */
} psgvit_isa;

/* Precision is a promise about the error against the float64 truth, not about instructions. */
typedef enum psgvit_precision {
    PSGVIT_F32 = 0, /* mean error within 1.75 times PyTorch's own float32 */
    PSGVIT_F16,     /* cosine of every embedding with the truth at least 0.9999 */
    PSGVIT_BF16,    /* the same, with bfloat16's range */
} psgvit_precision;

typedef enum psgvit_device_type {
    PSGVIT_DEVICE_CPU = 0,
    PSGVIT_DEVICE_DISCRETE,
    PSGVIT_DEVICE_INTEGRATED,
    PSGVIT_DEVICE_VIRTUAL,
    PSGVIT_DEVICE_SOFTWARE, /* a Vulkan driver that runs on the CPU, such as lavapipe */
} psgvit_device_type;

/* What is known of a device. Belongs to the list or device it came from. */
typedef struct psgvit_device_info {
    psgvit_backend backend;
    psgvit_device_type type;
    const char *name;      /* as the CPU or the driver calls itself */
    const char *driver;    /* driver and version; on the CPU what multiplies matrices; never NULL */
    const char *uuid;      /* 32 hex digits; "" on the CPU, and under Vulkan 1.0 */
    uint64_t memory_bytes; /* of the device; on the CPU of the host */
    psgvit_isa isa;        /* the level in force; AUTO (0) on Vulkan */
    int threads;           /* most threads of a call; 0 on Vulkan, where none compute */
    unsigned precisions;   /* bit (1u << psgvit_precision) is set where supported */
    int usable;            /* 0: `reason` says why it can't be used */
    const char *reason;    /* "" if usable */
} psgvit_device_info;

/* "c", "avx2", "avx512", "amx"; "" for PSGVIT_ISA_AUTO and for no level. */
PSGVIT_API const char *psgvit_isa_name(psgvit_isa isa);
/* "f32", "f16", "bf16"; "?" for no precision. */
PSGVIT_API const char *psgvit_precision_name(psgvit_precision precision);
/* "auto", "cpu", "vulkan"; "?" for no backend. */
PSGVIT_API const char *psgvit_backend_name(psgvit_backend backend);

/* All devices of this machine, the CPU first, usable or not. An index here is what
 * psgvit_device_params.device takes. Thread-safety: opening is safe; a list is read-only. */
typedef struct psgvit_device_list psgvit_device_list;
PSGVIT_API psgvit_status psgvit_device_list_open(psgvit_device_list **list, psgvit_error *err);
PSGVIT_API size_t psgvit_device_list_count(const psgvit_device_list *list);
/* NULL if the index is too large. */
PSGVIT_API const psgvit_device_info *psgvit_device_list_at(const psgvit_device_list *list,
                                                           size_t index);
/* Frees the list and sets it to NULL; NULL and a pointer to NULL are allowed. */
PSGVIT_API void psgvit_device_list_close(psgvit_device_list **list);

typedef struct psgvit_device_params {
    size_t struct_size;
    psgvit_backend backend;
    const char *device; /* a UUID, an index in the list (digits alone), a whole name or a part of
                           one, upper or lower case; PSGVIT_E_DEVICE unless exactly one device
                           answers to it; NULL: the first fit */
    psgvit_isa isa;     /* CPU: a level that the machine lacks is PSGVIT_E_DEVICE. Of no
                           effect on Vulkan, and a warning there */
    int threads;        /* most threads of a call, to 1024, which on Vulkan pack weights and copy;
                           0: what OpenMP would use. OMP_STACKSIZE, where it is set, must leave
                           each 256 KiB: with less OpenMP may end the process, which can't start
                           a thread then, or a thread run off its stack */
    psgvit_log_fn log;  /* for this device and its encoders; NULL: silence */
    void *log_user;
    const char *shader_cache; /* Vulkan: a file that keeps compiled shaders for the next process,
                                 read here, replaced when the device is closed; what is wrong with
                                 it goes to the log. Drivers trust it: let nobody else write it.
                                 NULL: there is none */
} psgvit_device_params;

/* A place to compute: a team of CPU threads, or a GPU. Holds no threads while no call runs.
 * Thread-safety: safe; many encoders and threads may share one. Inside an OpenMP parallel region of
 * the caller a call uses one thread. So it does in a child of fork() if the thread that forked had
 * computed before, since OpenMP's threads don't live on there; a GPU is of no use in a child. */
typedef struct psgvit_device psgvit_device;

/* Fails with PSGVIT_E_DEVICE if what was asked for is missing; never falls back silently. A Vulkan
 * device has to compute attention and a block's layers right before it is taken; in f16 and bf16,
 * before its first encoder of that precision is opened, which fails else. If one is lost or hangs
 * later, the call that meets it says so, every call after it fails at once, and closing works,
 * though a device that never ends its work keeps the memory: open an encoder on another device, or
 * on a new handle of the same one. */
PSGVIT_API psgvit_status psgvit_device_open(psgvit_device **device,
                                            const psgvit_device_params *params, psgvit_error *err);
/* Belongs to the device. */
PSGVIT_API const psgvit_device_info *psgvit_device_get_info(const psgvit_device *device);
/* Frees the device and sets it to NULL; close its encoders first. NULL is allowed. */
PSGVIT_API void psgvit_device_close(psgvit_device **device);

/* ---- what the jobs of both models share ------------------------------------------------------ */

/* What to do with samples that are NaN or infinite. */
typedef enum psgvit_nan_policy {
    PSGVIT_NAN_REFUSE = 0, /* PSGVIT_E_INPUT that names epoch, channel and sample */
    PSGVIT_NAN_ZERO,       /* computes with 0 in their place, as OSF's own loader does with NaN */
    PSGVIT_NAN_PROPAGATE,  /* computes with them; an epoch never touches its neighbours */
} psgvit_nan_policy;

/* After each batch: epochs done of all epochs of the job. */
typedef void (*psgvit_progress_fn)(void *user, size_t done, size_t total);
/* Before each batch is started: nonzero ends the job with PSGVIT_E_CANCELLED. On a GPU the batch
 * before it is still under way then, and is waited for. */
typedef int (*psgvit_cancel_fn)(void *user);

/* A step of a model in one batch, and how long it took: by the clock of a GPU, or as the first
 * thread of the CPU's team saw it. Its strings live until the callback returns. */
typedef struct psgvit_op_time {
    const char *op;     /* "linear", "layernorm", "attention", "patchify" ... */
    const char *shape;  /* "1456x2304x768": rows, columns, and what is summed over; of attention
                           sequences, heads, queries, keys, dimension */
    const char *kernel; /* what computed it: an instruction set, "openblas", or a shader with its
                           constants */
    double flops;       /* that the formula needs: 2 for each product that is summed */
    double bytes;       /* to read and write if everything is touched once */
    double seconds;     /* 0 on a GPU without a clock */
} psgvit_op_time;

/* After each batch, for every step in the order of computing, in the thread that encodes. */
typedef void (*psgvit_profile_fn)(void *user, const psgvit_op_time *time);

/* Flags of how a model file is read. */
enum {
    PSGVIT_READ = 1u << 0, /* read() instead of a mapping: where the file may be cut while open */
};

/* How an encoder of either model is opened. */
typedef struct psgvit_encoder_params {
    size_t struct_size;
    psgvit_precision precision; /* one that the device lacks is PSGVIT_E_DEVICE */
    unsigned flags;             /* PSGVIT_READ */
    const char *config_path;    /* config.json; NULL: `config` in the file's metadata, if any */
    const char *config_json;    /* the same as text; at most one of the two */
} psgvit_encoder_params;

#ifdef __cplusplus
}
#endif
#endif
