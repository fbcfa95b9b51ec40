/* SPDX-License-Identifier: MIT */
/* What the tests of ops have in common: tensors of random numbers between guards, plans that must
 * run, weights in a store of their own, and comparisons that fail the test. */
#ifndef TESTS_OPS_OPS_FIXTURE_H
#define TESTS_OPS_OPS_FIXTURE_H

#include "ops/ops.h"

#include <stdbool.h>
#include <stddef.h>

enum { GUARD = 40 }; /* floats in front of a tensor and behind it */

/* Of the group that runs. */
extern psgvit_device *device;
extern psgvit_precision precision;
extern psgvit_error err;

/* [rows, cols] of random numbers with `gap` floats between rows, NaN there and around. */
pv_tensor random_rows(size_t rows, size_t cols, size_t gap);
/* The same with NaN everywhere. */
pv_tensor poisoned_rows(size_t rows, size_t cols, size_t gap);
float at(pv_tensor t, size_t row, size_t col);
void release(pv_tensor t);
/* Is everything outside of t's elements still NaN? */
void check_guards(pv_tensor t);
/* The same of one that may be an operand: nothing in front of its tiles or behind them. */
void check_around(pv_tensor t);

pv_plan *begin(void);
/* Finishes the plan, runs it, more than once if it must not use itself up, and destroys it. */
void run(pv_plan *plan, int times);
/* Runs the plan once and destroys it: has it to be recorded again, exact, which it must not be? */
bool wants_exact(pv_plan *plan);

/* Elements of a matrix [rows, cols] that a search through a part of it would miss: the corners, the
 * middle, the last rows of tiles, and one in each sixteenth of the columns, of each remainder of 8.
 */
enum { PLACES = 23 };
typedef struct place {
    size_t row, col;
} place;
place place_of(size_t index, size_t rows, size_t cols);

void near(float found, double truth, double tolerance, const char *what, size_t i, size_t j);
void same_bits(pv_tensor a, pv_tensor b, const char *what);
/* The exact GELU, x Phi(x). */
double gelu(double x);
/* Twice the largest relative error of a number of the precision. */
double rounding(void);

/* A weight [n, k] and bias in a store of their own. */
typedef struct weight {
    pv_store *store;
    pv_tensor rows, bias;
    pv_linear_weight linear;
} weight;

weight make_weight(size_t n, size_t k, bool bias);
/* With a bias, and to be multiplied in float32 in any precision. */
weight make_exact(size_t n, size_t k);
/* A linear layer that changes nothing, so that an operand can be seen. */
weight make_identity(size_t n);
void free_weight(weight *w);

#endif
