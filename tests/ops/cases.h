/* SPDX-License-Identifier: MIT */
/* Every op of the contract against a double-precision reference, at odd sizes, on any device. */
#ifndef TESTS_OPS_CASES_H
#define TESTS_OPS_CASES_H

#include "ops/ops.h"

/* Groups of cmocka tests; each returns how many failed. */
int cases_run(psgvit_device *device);
/* Linear layers alone, and whether a row's bits depend on the others. */
int cases_run_linear(psgvit_device *device, psgvit_precision precision);

#endif
