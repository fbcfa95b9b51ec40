/* SPDX-License-Identifier: MIT */
/* Every op of the contract against a double-precision reference, at odd sizes, on any device. */
#ifndef TESTS_OPS_CASES_H
#define TESTS_OPS_CASES_H

#include "ops/ops.h"

/* Groups of cmocka tests; each returns how many failed. */
int cases_run(psgvit_device *device);
int cases_run_attention(psgvit_device *device);
/* Attention whose result is an operand, by the first function; to the same bits by the second. */
typedef void (*cases_attend)(pv_plan *plan, pv_tensor q, pv_tensor k, pv_tensor v,
                             const pv_attention_shape *shape, pv_tensor y);
int cases_run_operand(psgvit_device *device, psgvit_precision precision, cases_attend attend,
                      cases_attend alone);
/* A norm and two layers, what goes from one to the next being operands. */
int cases_run_layers(psgvit_device *device, psgvit_precision precision);
/* Linear layers alone and behind each other, and whether a row's bits depend on the others. */
int cases_run_linear(psgvit_device *device, psgvit_precision precision);
/* A layer that is float32 in any precision. */
int cases_run_exact(psgvit_device *device, psgvit_precision precision);

#endif
