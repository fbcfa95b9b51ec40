/* SPDX-License-Identifier: MIT */
/*
 * Opens signal files and hands out their epochs. A regular file is read where it lies, by pread, so
 * that a night never has to fit in memory; what can't be sought in is read to its end first.
 */
#define _POSIX_C_SOURCE 200809L
#include "recording/recording.h"

#include "base/checked.h"
#include "base/leads.h"
#include "base/status.h"
#include "recording/prepare.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "samples are taken as they lie in the file: little-endian"
#endif

enum { MOST_AT_ONCE = 1 << 30 }; /* bytes of one read(), which can't do 2 GiB */

/* The bytes that a file has now, of which one read up to `end` found no more. */
static uint64_t size_below(const pv_source *source, uint64_t end)
{
    struct stat st;
    if (fstat(source->fd, &st) != 0)
        return end;
    uint64_t size = (uint64_t)st.st_size > source->base ? (uint64_t)st.st_size - source->base : 0;
    return size < end ? size : end;
}

psgvit_status pv_source_read(const pv_source *source, uint64_t offset, void *memory, size_t bytes,
                             psgvit_error *err)
{
    if (source->fd < 0) {
        memcpy(memory, source->memory + offset, bytes);
        return PSGVIT_OK;
    }
    for (size_t done = 0; done < bytes;) {
        size_t part = bytes - done < MOST_AT_ONCE ? bytes - done : MOST_AT_ONCE;
        ssize_t n =
            pread(source->fd, (char *)memory + done, part, (off_t)(source->base + offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return pv_fail_errno(err, PSGVIT_E_INPUT, source->name, "cannot be read");
        if (n == 0)
            return pv_fail(err, PSGVIT_E_INPUT,
                           "%s: has become shorter while it was read: expected %llu bytes, found "
                           "%llu",
                           source->name, (unsigned long long)source->size,
                           (unsigned long long)size_below(source, offset + done));
        done += (size_t)n;
    }
    return PSGVIT_OK;
}

/* Doubles *memory. An endless stream must end in a sentence, not in the kernel's hands. */
static psgvit_status grow(pv_source *source, size_t *capacity, psgvit_error *err)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    size_t most = SIZE_MAX, larger;
    if (pages <= 0 || page <= 0 || !pv_mul((size_t)pages, (size_t)page, &most))
        most = SIZE_MAX;
    if (!pv_mul(*capacity ? *capacity : 1 << 19, 2, &larger))
        larger = SIZE_MAX;
    unsigned char *moved = larger <= most ? realloc(source->memory, larger) : NULL;
    if (!moved)
        return pv_fail(err, PSGVIT_E_MEMORY,
                       "%s: out of memory: it can't be sought in and has more than %zu bytes",
                       source->name, *capacity);
    source->memory = moved;
    *capacity = larger;
    return PSGVIT_OK;
}

/* read(), but what a descriptor that does not block has not got yet is waited for. */
static ssize_t read_some(int fd, void *memory, size_t bytes)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    for (;;) {
        ssize_t n = read(fd, memory, bytes);
        if (n >= 0 || (errno != EINTR && errno != EAGAIN))
            return n;
        if (errno == EAGAIN && poll(&ready, 1, -1) < 0 && errno != EINTR)
            return -1;
    }
}

static psgvit_status read_all(pv_source *source, psgvit_error *err)
{
    size_t capacity = 0, size = 0;
    for (;;) {
        if (size == capacity)
            PV_TRY(grow(source, &capacity, err));
        size_t part = capacity - size < MOST_AT_ONCE ? capacity - size : MOST_AT_ONCE;
        ssize_t n = read_some(source->fd, source->memory + size, part);
        if (n < 0)
            return pv_fail_errno(err, PSGVIT_E_INPUT, source->name, "cannot be read");
        if (n == 0)
            break;
        size += (size_t)n;
    }
    source->size = size;
    return PSGVIT_OK;
}

/* Sets base and size of a file that can be sought in, else reads all. */
static psgvit_status look(pv_source *source, psgvit_error *err)
{
    struct stat st;
    if (fstat(source->fd, &st) != 0)
        return pv_fail_errno(err, PSGVIT_E_INPUT, source->name, "cannot be inspected");
    if (S_ISDIR(st.st_mode))
        return pv_fail(err, PSGVIT_E_INPUT, "%s: expected a file or a pipe, found a folder",
                       source->name);
    if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))
        return pv_fail(err, PSGVIT_E_INPUT, "%s: expected a file or a pipe, found a device",
                       source->name);
    if (S_ISREG(st.st_mode)) {
        off_t at = source->borrowed ? lseek(source->fd, 0, SEEK_CUR) : 0;
        source->base = at > 0 ? (uint64_t)at : 0;
        uint64_t end = (uint64_t)st.st_size;
        source->size = end > source->base ? end - source->base : 0;
        return PSGVIT_OK;
    }
    psgvit_status status = read_all(source, err);
    if (!source->borrowed)
        close(source->fd);
    source->fd = -1;
    return status;
}

static psgvit_status open_source(pv_source *source, const char *path, psgvit_error *err)
{
    source->fd = -1;
    source->borrowed = !strcmp(path, "-");
    const char *name = source->borrowed ? "standard input" : path;
    source->name = malloc(strlen(name) + 1);
    if (!source->name)
        return pv_fail_memory(err, "the name of the recording", strlen(name) + 1);
    memcpy(source->name, name, strlen(name) + 1);
    if (source->borrowed)
        source->fd = STDIN_FILENO;
    else
        do /* a FIFO blocks here until somebody writes to it */
            source->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        while (source->fd < 0 && errno == EINTR);
    if (source->fd < 0)
        return pv_fail_errno(err, PSGVIT_E_INPUT, path, "cannot be opened");
    return look(source, err);
}

static void close_source(pv_source *source)
{
    if (source->fd >= 0 && !source->borrowed)
        close(source->fd);
    free(source->memory);
    free(source->name);
}

void pv_recording_cut(psgvit_recording_info *info, size_t length)
{
    info->length = length;
    info->epochs = info->samples ? length / info->samples : 0;
    info->dropped = info->samples ? length % info->samples : 0;
}

/* ASCII only: a locale must not decide what a suffix is. */
static bool ends_in(const char *name, const char *suffix)
{
    size_t length = strlen(name), tail = strlen(suffix);
    if (length < tail)
        return false;
    for (size_t i = 0; i < tail; i++) {
        char c = name[length - tail + i];
        if ((c >= 'A' && c <= 'Z' ? (char)(c + 32) : c) != suffix[i])
            return false;
    }
    return true;
}

/* The format by content; a name that promises another content is an error. */
static psgvit_status detect(const pv_source *source, psgvit_format *format, psgvit_error *err)
{
    unsigned char head[8] = {0};
    size_t size = source->size < sizeof head ? (size_t)source->size : sizeof head;
    PV_TRY(pv_source_read(source, 0, head, size, err));
    bool edf = size == 8 && (!memcmp(head, "0       ", 8) || !memcmp(head, "\377BIOSEMI", 8));
    bool npy = size >= 6 && !memcmp(head, "\x93NUMPY", 6);
    *format = edf ? PSGVIT_FORMAT_EDF : npy ? PSGVIT_FORMAT_NPY : PSGVIT_FORMAT_RAW;
    if (ends_in(source->name, ".npy") && *format != PSGVIT_FORMAT_NPY)
        return pv_fail(err, PSGVIT_E_INPUT,
                       "%s: expected an NPY file by its name, found no \\x93NUMPY at its start",
                       source->name);
    if ((ends_in(source->name, ".edf") || ends_in(source->name, ".bdf")) &&
        *format != PSGVIT_FORMAT_EDF)
        return pv_fail(err, PSGVIT_E_INPUT,
                       "%s: expected an EDF or BDF file by its name, found no such header at its "
                       "start",
                       source->name);
    return PSGVIT_OK;
}

/* Finds, measures and lays out the channels of an EDF; without a geometry, its header alone. */
static psgvit_status describe_edf(psgvit_recording *recording,
                                  const psgvit_recording_params *params, psgvit_error *err)
{
    psgvit_recording_info *info = &recording->info;
    pv_log log = {params->log, params->log_user};
    PV_TRY(pv_edf_open(&recording->edf, &recording->source, &log, err));
    info->format = PSGVIT_FORMAT_EDF;
    info->layout = PSGVIT_LAYOUT_CHANNELS;
    info->start = recording->edf->start;
    if (!params->channels || (!params->samples && !params->default_samples))
        return PSGVIT_OK;
    if (!params->names && params->channels != PV_OSF_LEADS)
        return pv_fail(err, PSGVIT_E_ARGUMENT,
                       "params.names is NULL, expected the names of %zu channels",
                       params->channels);
    const char *const *names = params->names ? params->names : pv_osf_leads;
    for (size_t i = 0; i < params->channels; i++)
        if (!names[i])
            return pv_fail(err, PSGVIT_E_ARGUMENT, "params.names[%zu] is NULL", i);
    recording->montage = calloc(1, sizeof *recording->montage);
    if (!recording->montage)
        return pv_fail_memory(err, "the channels of a recording", sizeof *recording->montage);
    PV_TRY(
        pv_montage_make(recording->montage, recording->edf, names, params->channels, params, err));
    return pv_prepare_open(&recording->prepare, recording->edf, recording->montage, params, info,
                           err);
}

static psgvit_status describe(psgvit_recording *recording, const psgvit_recording_params *params,
                              psgvit_error *err)
{
    psgvit_format format = params->format;
    recording->info.start = "";
    if (format == PSGVIT_FORMAT_AUTO)
        PV_TRY(detect(&recording->source, &format, err));
    if (format == PSGVIT_FORMAT_EDF)
        return describe_edf(recording, params, err);
    return format == PSGVIT_FORMAT_NPY ? pv_npy_describe(recording, params, err)
                                       : pv_bin_describe(recording, params, err);
}

/* What is a choice, whatever the file is. The numbers are checked where they are used. */
static psgvit_status check_params(const psgvit_recording_params *params, psgvit_error *err)
{
    const struct {
        const char *name;
        int value, most;
    } fields[] = {
        {"format", (int)params->format, PSGVIT_FORMAT_EDF},
        {"layout", (int)params->layout, PSGVIT_LAYOUT_CHANNELS},
        {"cohort", (int)params->cohort, PSGVIT_COHORTS - 1},
        {"prep", (int)params->prep, PSGVIT_PREPS - 1},
        {"unit", (int)params->unit, PSGVIT_UNIT_UV},
        {"reref", (int)params->reref, PSGVIT_REREF_AVERAGE},
        {"resample", (int)params->resample, PSGVIT_RESAMPLE_POLYPHASE},
        {"threads", params->threads, INT_MAX},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (fields[i].value < 0 || fields[i].value > fields[i].most)
            return pv_fail(err, PSGVIT_E_ARGUMENT, "params.%s is %d, expected 0 to %d",
                           fields[i].name, fields[i].value, fields[i].most);
    return PSGVIT_OK;
}

psgvit_status psgvit_recording_open(psgvit_recording **recording, const char *path,
                                    const psgvit_recording_params *params, psgvit_error *err)
{
    if (!recording)
        return pv_fail(err, PSGVIT_E_ARGUMENT, "recording is NULL");
    *recording = NULL;
    if (!path)
        return pv_fail(err, PSGVIT_E_ARGUMENT, "path is NULL");
    psgvit_recording_params own;
    PV_TRY(pv_take_params(&own, sizeof own, params, "params", err));
    PV_TRY(check_params(&own, err));
    psgvit_recording *made = calloc(1, sizeof *made);
    if (!made)
        return pv_fail_memory(err, "the recording", sizeof *made);
    psgvit_status status = open_source(&made->source, path, err);
    if (!status)
        status = describe(made, &own, err);
    if (status) {
        psgvit_recording_close(&made);
        return status;
    }
    *recording = made;
    return pv_ok(err);
}

const psgvit_recording_info *psgvit_recording_get_info(const psgvit_recording *recording)
{
    return recording ? &recording->info : NULL;
}

/* Epochs [next, next + count) of [C, L]: each is C runs of T samples, L apart. */
static psgvit_status gather(const psgvit_recording *recording, float *signal, size_t count,
                            psgvit_error *err)
{
    const psgvit_recording_info *info = &recording->info;
    size_t run = info->samples;
    for (size_t c = 0; c < info->channels; c++)
        for (size_t e = 0; e < count; e++) {
            uint64_t first = (uint64_t)c * info->length + (uint64_t)(recording->next + e) * run;
            PV_TRY(pv_source_read(&recording->source, recording->data + first * sizeof(float),
                                  signal + (e * info->channels + c) * run, run * sizeof(float),
                                  err));
        }
    return PSGVIT_OK;
}

psgvit_status psgvit_recording_read(psgvit_recording *recording, float *signal, size_t capacity,
                                    size_t *epochs, psgvit_error *err)
{
    if (!recording || !signal || !epochs)
        return pv_fail(err, PSGVIT_E_ARGUMENT, "%s is NULL",
                       !recording ? "recording"
                       : !signal  ? "signal"
                                  : "epochs");
    const psgvit_recording_info *info = &recording->info;
    *epochs = 0;
    if (!info->channels || !info->samples)
        return pv_fail(err, PSGVIT_E_ARGUMENT,
                       "%s: its channels or samples are unknown (%zu x %zu): it can't be cut into "
                       "epochs",
                       recording->source.name, info->channels, info->samples);
    if (recording->prepare) {
        PV_TRY(pv_prepare_read(recording->prepare, signal, capacity, epochs, err));
        return pv_ok(err);
    }
    size_t left = info->epochs - recording->next;
    size_t count = capacity < left ? capacity : left;
    size_t epoch = info->channels * info->samples * sizeof(float); /* fits: the file has as many */
    PV_TRY(info->layout == PSGVIT_LAYOUT_CHANNELS
               ? gather(recording, signal, count, err)
               : pv_source_read(&recording->source, recording->data + recording->next * epoch,
                                signal, count * epoch, err));
    recording->next += count;
    *epochs = count;
    return pv_ok(err);
}

double psgvit_recording_epoch_start(const psgvit_recording *recording, size_t index)
{
    return recording && recording->prepare ? pv_prepare_start(recording->prepare, index) : 0.0;
}

double psgvit_recording_skipped_start(const psgvit_recording *recording, size_t i)
{
    return recording && recording->prepare ? pv_prepare_skipped(recording->prepare, i) : 0.0;
}

void psgvit_recording_close(psgvit_recording **recording)
{
    if (!recording || !*recording)
        return;
    pv_prepare_close((*recording)->prepare);
    if ((*recording)->montage)
        pv_montage_free((*recording)->montage);
    free((*recording)->montage);
    pv_edf_close((*recording)->edf);
    close_source(&(*recording)->source);
    free(*recording);
    *recording = NULL;
}
