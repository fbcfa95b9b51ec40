/* SPDX-License-Identifier: MIT */
/* The facts are made by hand: what a recording says is another test's business. */
#define _GNU_SOURCE 1
#include "night_fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const double starts[EPOCHS] = {0, 30, 90.5, 120.5, 150.5};
static const double left_out[] = {60};
static const psgvit_channel channels[CHANNELS] = {
    {"ECG", PSGVIT_CHANNEL_FOUND, "EKG", "mV", 256, 0.25, 0, ""},
    {"EMG_Chin", PSGVIT_CHANNEL_MISSING, "", "", 0, 0, 0, "no label fits"},
    {"EEG_C3_A2", PSGVIT_CHANNEL_DERIVED, "C3 - <M2> & \"x\"", "uV", 512, 0, 0.5, "inverted"},
    {"EEG_C4_A1", PSGVIT_CHANNEL_FOUND, "C4-M1", "uV", 512, 0, 0, ""},
};

const night_facts gap_night = {
    .source = "nights/<a>&\"b\".edf",
    .clock = true,
    .start = "2001-02-03T22:30:00",
    .epoch_seconds = 30,
    .epochs = EPOCHS,
    .epoch_start_s = starts,
    .skipped = 1,
    .skipped_start_s = left_out,
    .channels = CHANNELS,
    .channel = channels,
    .channels_json = "[]",
    .entries = {{"source", "nights/<a>&\"b\".edf"}, {"start", "2001-02-03T22:30:00"}},
    .entry_count = 2,
};

const char *const stage_labels[CLASSES] = {"W", "N2", "a,\"b|c"};
static float probabilities[EPOCHS * CLASSES] = {
    0.5f, 0.25f, 0.25f, 0.125f, 0.75f, 0.125f, 0.1f, 0.2f, 0.7f, NAN, NAN, NAN, 0, 1, 0,
};
static int32_t stages[EPOCHS] = {0, 1, 2, -1, 1};
static float confidence[EPOCHS] = {0.5f, 0.75f, 0.7f, NAN, 1};
const head_scores scores = {probabilities, stages, confidence};

const char *write_head(const char *dtype, size_t element, size_t classes, size_t width,
                       const void *weight, const void *bias, const char *labels)
{
    char *metadata = NULL, *header = NULL;
    size_t bytes = classes * width * element;
    if (labels) /* as JSON in JSON */
        assert_true(asprintf(&metadata, "\"__metadata__\": {\"labels\": \"%s\"}, ", labels) > 0);
    assert_true(asprintf(&header,
                         "{%s\"head.weight\": {\"dtype\": \"%s\", \"shape\": [%zu, %zu], "
                         "\"data_offsets\": [0, %zu]}, \"head.bias\": {\"dtype\": \"%s\", "
                         "\"shape\": [%zu], \"data_offsets\": [%zu, %zu]}}",
                         metadata ? metadata : "", dtype, classes, width, bytes, dtype, classes,
                         bytes, bytes + classes * element) > 0);
    const char *path = path_of("head.st");
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    uint64_t length = strlen(header);
    fwrite(&length, 8, 1, f);
    fputs(header, f);
    fwrite(weight, 1, bytes, f);
    fwrite(bias, element, classes, f);
    fclose(f);
    free(metadata);
    free(header);
    return path;
}

linear_head *open_head(void)
{
    static const float weight[CLASSES * WIDTH] = {1, 0, 0, 0, 1, 0, 0, 0, 1}, bias[CLASSES];
    cli_failure failure = {0};
    linear_head *h = NULL;
    const char *path = write_head("F32", 4, CLASSES, WIDTH, weight, bias,
                                  "[\\\"W\\\", \\\"N2\\\", \\\"a,\\\\\\\"b|c\\\"]");
    if (head_open(&h, path, WIDTH, &failure))
        fail_msg("%s", failure.message);
    unlink(path);
    return h;
}
