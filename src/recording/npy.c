/* SPDX-License-Identifier: MIT */
/*
 * NPY files: a strict parser of the header, a Python dictionary literal of three keys, and what of
 * it a recording may be: '<f4' in C order, [E, C, T] or [C, L]. Source: numpy/lib/format.py.
 */
#include "recording/recording.h"

#include "base/checked.h"
#include "base/status.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* A position in the header's text. Parsing stops at the first thing that is not expected. */
typedef struct cursor {
    const unsigned char *start, *at, *end;
    const char *wanted; /* what was expected where it stopped */
} cursor;

static bool refuse(cursor *c, const char *wanted)
{
    c->wanted = wanted;
    return false;
}

static void skip_blanks(cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\n' || *c->at == '\r'))
        c->at++;
}

static bool take(cursor *c, char wanted)
{
    skip_blanks(c);
    if (c->at == c->end || *c->at != (unsigned char)wanted)
        return false;
    c->at++;
    return true;
}

static bool take_word(cursor *c, const char *word)
{
    size_t length = strlen(word);
    if ((size_t)(c->end - c->at) < length || memcmp(c->at, word, length) != 0)
        return false;
    c->at += length;
    return true;
}

/* A quoted string without escapes, as NumPy writes them. */
static bool take_string(cursor *c, char *text, size_t capacity)
{
    skip_blanks(c);
    if (c->at == c->end || (*c->at != '\'' && *c->at != '"'))
        return refuse(c, "a quoted string");
    unsigned char quote = *c->at++;
    size_t length = 0;
    for (; c->at < c->end && *c->at != quote; c->at++) {
        if (*c->at < ' ' || *c->at > '~' || *c->at == '\\')
            return refuse(c, "a plain character in a string");
        if (length + 1 == capacity)
            return refuse(c, "a shorter string");
        text[length++] = (char)*c->at;
    }
    if (c->at == c->end)
        return refuse(c, "the end of a string");
    c->at++;
    text[length] = '\0';
    return true;
}

/* A structured type is a list of tuples, which no recording has: its text is skipped by counting
 * brackets, so that the message can say what it is. */
static bool skip_structured(cursor *c)
{
    size_t depth = 0;
    for (; c->at < c->end; c->at++) {
        if (*c->at == '[' || *c->at == '(')
            depth++;
        else if ((*c->at == ']' || *c->at == ')') && --depth == 0) {
            c->at++;
            return true;
        }
    }
    return refuse(c, "the end of a structured dtype");
}

static bool take_size(cursor *c, size_t *value)
{
    skip_blanks(c);
    size_t sum = 0;
    const unsigned char *first = c->at;
    for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++)
        if (!pv_mul(sum, 10, &sum) || !pv_add(sum, (size_t)(*c->at - '0'), &sum))
            return refuse(c, "a dimension that fits 64 bits");
    if (c->at == first || (*first == '0' && c->at > first + 1))
        return refuse(c, "a whole number");
    *value = sum;
    return true;
}

/* "()", "(5,)", "(2, 3)", "(2, 3,)"; "(5)" is no tuple. */
static bool take_shape(cursor *c, pv_npy_header *header)
{
    if (!take(c, '('))
        return refuse(c, "'(' of the shape");
    header->rank = 0;
    bool comma = true; /* may another number follow? */
    while (!take(c, ')')) {
        if (!comma)
            return refuse(c, "',' or ')' in the shape");
        if (header->rank == PV_NPY_RANK)
            return refuse(c, "at most 32 dimensions");
        if (!take_size(c, &header->shape[header->rank++]))
            return false;
        comma = take(c, ',');
    }
    if (header->rank == 1 && !comma)
        return refuse(c, "',' after the only dimension");
    return true;
}

static bool take_value(cursor *c, const char *key, pv_npy_header *header, unsigned *seen)
{
    static const char *const keys[] = {"descr", "fortran_order", "shape"};
    unsigned which = 0;
    while (which < 3 && strcmp(key, keys[which]) != 0)
        which++;
    if (which == 3)
        return refuse(c, "one of the keys 'descr', 'fortran_order' and 'shape'");
    if (*seen & (1u << which))
        return refuse(c, "each key once");
    *seen |= 1u << which;
    skip_blanks(c);
    if (which == 2)
        return take_shape(c, header);
    if (which == 1) {
        header->fortran_order = take_word(c, "True");
        return header->fortran_order || take_word(c, "False") || refuse(c, "True or False");
    }
    header->descr[0] = '\0';
    return c->at < c->end && *c->at == '[' ? skip_structured(c)
                                           : take_string(c, header->descr, sizeof header->descr);
}

static bool take_dictionary(cursor *c, pv_npy_header *header)
{
    unsigned seen = 0;
    if (!take(c, '{'))
        return refuse(c, "'{'");
    bool comma = true; /* may another key follow? */
    while (!take(c, '}')) {
        char key[16];
        if (!comma)
            return refuse(c, "',' or '}'");
        if (!take_string(c, key, sizeof key))
            return false;
        if (!take(c, ':'))
            return refuse(c, "':'");
        if (!take_value(c, key, header, &seen))
            return false;
        comma = take(c, ',');
    }
    if (seen != 7)
        return refuse(c, "the keys 'descr', 'fortran_order' and 'shape'");
    skip_blanks(c);
    return c->at == c->end || refuse(c, "nothing but blanks after '}'");
}

psgvit_status pv_npy_parse(pv_npy_header *header, const unsigned char *bytes, size_t size,
                           const char *name, psgvit_error *err)
{
    memset(header, 0, sizeof *header);
    if (size < 10 || memcmp(bytes, "\x93NUMPY", 6) != 0)
        return pv_fail(err, PSGVIT_E_INPUT, "%s: is no NPY file: it does not begin with \\x93NUMPY",
                       name);
    if (bytes[6] < 1 || bytes[6] > 3 || bytes[7] != 0)
        return pv_fail(err, PSGVIT_E_INPUT, "%s: expected NPY version 1.0, 2.0 or 3.0, found %u.%u",
                       name, bytes[6], bytes[7]);
    size_t prefix = bytes[6] == 1 ? 10 : PV_NPY_PREFIX;
    if (size < prefix)
        return pv_fail(err, PSGVIT_E_INPUT, "%s: the file ends inside its NPY header", name);
    size_t length = (size_t)bytes[8] | (size_t)bytes[9] << 8;
    if (prefix == PV_NPY_PREFIX)
        length |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
    if (length > PV_NPY_MAX_HEADER)
        return pv_fail(err, PSGVIT_E_INPUT, "%s: the NPY header has %zu bytes, expected at most %d",
                       name, length, PV_NPY_MAX_HEADER);
    if (length > size - prefix)
        return pv_fail(err, PSGVIT_E_INPUT, "%s: the file ends inside its NPY header of %zu bytes",
                       name, length);
    header->data = prefix + length;
    cursor c = {bytes + prefix, bytes + prefix, bytes + header->data, ""};
    if (!take_dictionary(&c, header))
        return pv_fail(err, PSGVIT_E_INPUT, "%s: byte %zu of the NPY header: expected %s", name,
                       (size_t)(c.at - c.start), c.wanted);
    return PSGVIT_OK;
}

/* Only what np.save writes for a contiguous float32 array is read: there is one way to get it
 * right, and each other way gets a sentence. */
static psgvit_status check_type(const pv_npy_header *header, const char *name, psgvit_error *err)
{
    if (!header->descr[0])
        return pv_fail(err, PSGVIT_E_INPUT,
                       "%s: expected dtype '<f4' (little-endian float32), found a structured dtype",
                       name);
    if (strcmp(header->descr, "<f4") != 0)
        return pv_fail(err, PSGVIT_E_INPUT,
                       "%s: expected dtype '<f4' (little-endian float32), found '%s': save "
                       "x.astype('<f4')",
                       name, header->descr);
    if (header->fortran_order)
        return pv_fail(err, PSGVIT_E_INPUT,
                       "%s: expected C order, found fortran_order: save numpy.ascontiguousarray(x)",
                       name);
    if (header->rank != 2 && header->rank != 3)
        return pv_fail(err, PSGVIT_E_INPUT,
                       "%s: expected 3 dimensions [E, C, T] or 2 [C, L], found %zu", name,
                       header->rank);
    return PSGVIT_OK;
}

static psgvit_status check_size(const pv_npy_header *header, uint64_t size, const char *name,
                                psgvit_error *err)
{
    size_t bytes = sizeof(float);
    for (size_t i = 0; i < header->rank; i++)
        if (!pv_mul(bytes, header->shape[i], &bytes))
            return pv_fail(err, PSGVIT_E_INPUT, "%s: the shape in the NPY header overflows", name);
    if (bytes != size - header->data)
        return pv_fail(err, PSGVIT_E_INPUT,
                       "%s: the shape in the NPY header needs %zu bytes of data, found %llu", name,
                       bytes, (unsigned long long)(size - header->data));
    return PSGVIT_OK;
}

static psgvit_status fit_params(psgvit_recording_info *info, const pv_npy_header *header,
                                const psgvit_recording_params *params, const char *name,
                                psgvit_error *err)
{
    const size_t *shape = header->shape + (header->rank - 2);
    info->format = PSGVIT_FORMAT_NPY;
    info->layout = header->rank == 3 ? PSGVIT_LAYOUT_EPOCHS : PSGVIT_LAYOUT_CHANNELS;
    info->channels = shape[0];
    if (params->layout == PSGVIT_LAYOUT_CHANNELS && header->rank == 3)
        return pv_fail(err, PSGVIT_E_INPUT,
                       "%s: expected [C, L] by the layout 'channels', found 3 dimensions", name);
    if (params->channels && params->channels != info->channels)
        return pv_fail(err, PSGVIT_E_INPUT, "%s: expected %zu channels, found %zu", name,
                       params->channels, info->channels);
    if (header->rank == 2) {
        info->samples = params->samples ? params->samples : params->default_samples;
        pv_recording_cut(info, shape[1]);
        return PSGVIT_OK;
    }
    info->samples = shape[1];
    if (params->samples && params->samples != info->samples)
        return pv_fail(err, PSGVIT_E_INPUT, "%s: expected epochs of %zu samples, found %zu", name,
                       params->samples, info->samples);
    info->epochs = header->shape[0];
    if (!pv_mul(info->epochs, info->samples, &info->length)) /* where C is 0 */
        return pv_fail(err, PSGVIT_E_INPUT, "%s: the shape in the NPY header overflows", name);
    return PSGVIT_OK;
}

psgvit_status pv_npy_describe(psgvit_recording *recording, const psgvit_recording_params *params,
                              psgvit_error *err)
{
    const pv_source *source = &recording->source;
    size_t most = PV_NPY_PREFIX + PV_NPY_MAX_HEADER;
    size_t size = source->size < most ? (size_t)source->size : most;
    unsigned char *bytes = malloc(size ? size : 1);
    if (!bytes)
        return pv_fail_memory(err, "the NPY header", size);
    pv_npy_header header;
    psgvit_status status = pv_source_read(source, 0, bytes, size, err);
    if (!status)
        status = pv_npy_parse(&header, bytes, size, source->name, err);
    free(bytes);
    PV_TRY(status);
    PV_TRY(check_type(&header, source->name, err));
    PV_TRY(check_size(&header, source->size, source->name, err));
    recording->data = header.data;
    return fit_params(&recording->info, &header, params, source->name, err);
}
