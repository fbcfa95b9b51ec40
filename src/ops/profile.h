/* SPDX-License-Identifier: MIT */
/*
 * What the ops of a plan are and how long each took, for plans that are to tell: a table in front
 * of the backend's notes every op before that one records it. Backends add the kernel and, run by
 * run, the time. Plans that have no profile don't pass through here.
 */
#ifndef PV_OPS_PROFILE_H
#define PV_OPS_PROFILE_H

#include "ops/ops.h"

/* An op as ops.h has it; fields as in psgvit_op_time. */
typedef struct pv_timed_op {
    const char *name;
    char shape[64], kernel[96];
    double flops, bytes;
    double seconds; /* of the last run */
} pv_timed_op;

/* The ops of a plan in the order of recording. */
struct pv_profile {
    pv_timed_op *ops;
    size_t count, room;
};

psgvit_status pv_profile_create(pv_profile **profile, psgvit_error *err);
void pv_profile_destroy(pv_profile *profile); /* NULL is allowed */

/* The op that is being recorded: what a backend's record function adds to is the last one. */
static inline size_t pv_profile_current(const pv_profile *profile)
{
    return profile->count - 1;
}

/* All seconds become 0: a run begins. */
void pv_profile_reset(pv_profile *profile);

/* Each notes itself, then calls that of the plan's own backend. */
extern const pv_ops pv_profiled_ops;

#endif
