/* SPDX-License-Identifier: MIT */
/*
 * A parity case: a signal and the outputs of the Python originals, computed in float64 with
 * synthetic weights and rounded to float32, from a file of tests/vectors. Its metadata entry
 * `config` has the model's configuration, its tensors' shapes, the seed of the weights and the
 * error of PyTorch's own float32. The model itself is made in memory from that.
 */
#ifndef TESTS_PARITY_VECTOR_H
#define TESTS_PARITY_VECTOR_H

#include <psgvit/eegpt.h>
#include <psgvit/osf.h>
#include <psgvit/weights.h>

#include <stdbool.h>
#include <stddef.h>

enum { VECTOR_OUTPUTS = 3 };

/* One output: the truth, and how far PyTorch's own float32 is from it. */
typedef struct vector_output {
    const char *name; /* "cls" ... */
    float *truth;
    size_t count, width; /* of all vectors, and of one */
    double torch_max, torch_mean;
} vector_output;

typedef struct vector_case {
    char name[64];
    bool eegpt;
    size_t epochs, channels, samples;
    float *input; /* [epochs, channels, samples] */
    vector_output outputs[VECTOR_OUTPUTS];
    size_t output_count;
    unsigned char *image; /* the model as a safetensors file */
    size_t image_size;
    psgvit_weights *file; /* the vector file: other tensors, such as stage.* */
} vector_case;

/* Reads <folder>/<name>.safetensors and makes its model; depth > 0 makes one of that many blocks.
 * Fails the running test with a message if anything is amiss. */
void vector_open(vector_case *c, const char *folder, const char *name, size_t depth);
void vector_close(vector_case *c);

/* A tensor of the vector file by name, all of it, freed by free(). */
float *vector_tensor(const vector_case *c, const char *name, size_t *count);

/* The model of a case on a device, whichever it is. */
typedef struct vector_encoder {
    osf_encoder *osf;
    eegpt_encoder *eegpt;
} vector_encoder;

void vector_encoder_open(vector_encoder *e, const vector_case *c, psgvit_device *device);
void vector_encoder_open_as(vector_encoder *e, const vector_case *c, psgvit_device *device,
                            psgvit_precision precision);
void vector_encoder_close(vector_encoder *e);

/* Encodes epochs [first, first + count) into `outputs` (NULL: not wanted), room for all epochs. */
psgvit_status vector_encode(const vector_encoder *e, const vector_case *c, size_t first,
                            size_t count, size_t batch, float *const outputs[VECTOR_OUTPUTS],
                            psgvit_error *err);

/* Largest and mean absolute difference; a NaN anywhere makes both infinite. */
void vector_compare(const float *found, const float *truth, size_t count, double *max,
                    double *mean);

/* The smallest cosine of a vector with its truth; -1 if a NaN is among them. */
double vector_least_cosine(const float *found, const vector_output *output);

/* The promise of f32: mean error at most max(2e-7, 1.75 times PyTorch's own), largest at most
 * max(1e-6, 4 times its own). */
bool vector_promise(const vector_output *output, double max, double mean);

#endif
