/* SPDX-License-Identifier: MIT */
/*
 * EDF files from hostile bytes: the header, the onsets, all samples and annotations. What the
 * reader promises of an opened file is looked at, too.
 */
#include "recording/physical.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void promise(bool kept)
{
    if (!kept)
        __builtin_trap();
}

static void hear(void *user, psgvit_log_level level, const char *line)
{
    (void)user;
    promise(level >= PSGVIT_LOG_ERROR && !strncmp(line, "fuzz: ", 6));
}

static void check_layout(const pv_edf *edf)
{
    size_t records = 0;
    promise(edf->data + (uint64_t)edf->records * edf->record_bytes <= edf->source->size);
    for (size_t i = 0; i < edf->segments; i++) {
        promise(edf->segment[i].first == records && edf->segment[i].count > 0);
        promise(i == 0 || edf->segment[i].onset > edf->segment[i - 1].onset);
        records += edf->segment[i].count;
    }
    promise(records == edf->records);
}

static void read_signal(const pv_edf *edf, size_t i, const unsigned char *bytes, size_t count)
{
    size_t n = count * edf->signal[i].per_record;
    float *physical = malloc(n * sizeof *physical + 1);
    int32_t *digital = malloc(n * sizeof *digital + 1);
    promise(physical && digital);
    pv_edf_digital(edf, i, bytes, count, digital);
    edf_physical(edf, i, digital, count, physical);
    for (size_t k = 0; k < n; k++)
        promise(isfinite(physical[k]) && digital[k] >= -0x800000 && digital[k] < 0x800000);
    free(physical);
    free(digital);
}

static void use(const pv_edf *edf)
{
    psgvit_error err;
    size_t annotations;
    check_layout(edf);
    promise(pv_edf_count_annotations(edf, &annotations, &err) == PSGVIT_OK);
    promise(annotations <= edf->source->size);
    /* Exact, so that one byte too far is seen. */
    unsigned char *bytes = malloc(edf->records * edf->record_bytes + 1);
    promise(bytes && pv_edf_read(edf, 0, edf->records, bytes, &err) == PSGVIT_OK);
    for (size_t i = 0; i < edf->signals; i++)
        read_signal(edf, i, bytes, edf->records);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char name[] = "fuzz";
    psgvit_error err;
    pv_edf *edf;
    const pv_log log = {hear, NULL};
    unsigned char *copy = malloc(size ? size : 1);
    if (!copy)
        return 0;
    memcpy(copy, data, size);
    pv_source source = {.name = name, .fd = -1, .memory = copy, .size = size};
    psgvit_status status = pv_edf_open(&edf, &source, &log, &err);
    promise((status == PSGVIT_OK) == (edf != NULL));
    promise(status == PSGVIT_OK || status == PSGVIT_E_INPUT);
    if (edf)
        use(edf);
    pv_edf_close(edf);
    free(copy);
    return 0;
}
