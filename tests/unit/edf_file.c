/* SPDX-License-Identifier: MIT */
/* Small EDF files in memory. */
#include "unit/edf_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char name[] = "night.edf";
static const size_t width[] = {8, 80, 80, 8, 8, 8, 44, 8, 8, 4, 16, 80, 8, 8, 8, 8, 8, 80, 8};

void edf_file_set(edf_file *file, enum edf_field field, size_t i, const char *text)
{
    size_t at = 0, length = strlen(text);
    for (size_t f = 0; f < (size_t)field; f++)
        at += width[f] * (f < EDF_LABEL ? 1 : file->signals);
    if (field >= EDF_LABEL)
        at += width[field] * i;
    assert_true(length <= width[field] && at + width[field] <= file->source.size);
    memset(file->source.memory + at, ' ', width[field]);
    memcpy(file->source.memory + at, text, length);
}

static void set_number(edf_file *file, enum edf_field field, size_t i, size_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%zu", value);
    edf_file_set(file, field, i, text);
}

int32_t edf_sample(const edf_file *file, size_t i, size_t r, size_t k)
{
    uint32_t bits = (uint32_t)(i * 7919 + r * 104729 + k * 2654435761u);
    return file->sample == 2 ? (int16_t)(uint16_t)bits : (int32_t)(bits & 0xFFFFFF) - 0x800000;
}

unsigned char *edf_file_at(edf_file *file, size_t i, size_t r)
{
    size_t size = file->per_record * file->sample;
    return file->source.memory + 256 * (file->signals + 1) + (r * file->signals + i) * size;
}

static void fill_samples(edf_file *file)
{
    for (size_t r = 0; r < file->records; r++)
        for (size_t i = 0; i < file->signals; i++) {
            unsigned char *at = edf_file_at(file, i, r);
            for (size_t k = 0; k < file->per_record; k++) {
                uint32_t value = (uint32_t)edf_sample(file, i, r, k);
                for (size_t b = 0; b < file->sample; b++)
                    *at++ = (unsigned char)(value >> 8 * b);
            }
        }
}

void edf_file_make(edf_file *file, bool bdf, size_t signals, size_t per_record, size_t records)
{
    *file = (edf_file){.signals = signals, .per_record = per_record, .records = records};
    file->sample = bdf ? 3 : 2;
    file->source.name = name;
    file->source.fd = -1;
    size_t header = 256 * (signals + 1);
    file->source.size = header + signals * per_record * records * file->sample;
    file->source.memory = malloc((size_t)file->source.size);
    assert_non_null(file->source.memory);
    memset(file->source.memory, ' ', header);
    edf_file_set(file, EDF_VERSION, 0, bdf ? "\377BIOSEMI" : "0");
    edf_file_set(file, EDF_PATIENT, 0, "X F X X");
    edf_file_set(file, EDF_RECORDING, 0, "a night");
    edf_file_set(file, EDF_DATE, 0, "03.02.01");
    edf_file_set(file, EDF_TIME, 0, "22.30.59");
    set_number(file, EDF_HEADER_BYTES, 0, header);
    edf_file_set(file, EDF_RESERVED, 0, bdf ? "24BIT" : "");
    set_number(file, EDF_RECORDS, 0, records);
    edf_file_set(file, EDF_SECONDS, 0, "1");
    set_number(file, EDF_SIGNALS, 0, signals);
    for (size_t i = 0; i < signals; i++) {
        char label[24];
        snprintf(label, sizeof label, "S%zu", i);
        edf_file_set(file, EDF_LABEL, i, label);
        edf_file_set(file, EDF_TRANSDUCER, i, "AgAgCl");
        edf_file_set(file, EDF_UNIT, i, "uV");
        edf_file_set(file, EDF_PHYSICAL_MIN, i, "-1000");
        edf_file_set(file, EDF_PHYSICAL_MAX, i, "1000");
        edf_file_set(file, EDF_DIGITAL_MIN, i, bdf ? "-8388608" : "-32768");
        edf_file_set(file, EDF_DIGITAL_MAX, i, bdf ? "8388607" : "32767");
        edf_file_set(file, EDF_PREFILTER, i, "HP:0.1Hz");
        set_number(file, EDF_PER_RECORD, i, per_record);
    }
    fill_samples(file);
}

void edf_file_plus(edf_file *file, size_t i, char kind)
{
    char reserved[8];
    snprintf(reserved, sizeof reserved, "%cDF+%c", file->sample == 3 ? 'B' : 'E', kind);
    edf_file_set(file, EDF_RESERVED, 0, reserved);
    edf_file_set(file, EDF_LABEL, i, file->sample == 3 ? "BDF Annotations" : "EDF Annotations");
    for (size_t r = 0; r < file->records; r++)
        memset(edf_file_at(file, i, r), 0, file->per_record * file->sample);
}

void edf_file_resize(edf_file *file, size_t size)
{
    unsigned char *memory = malloc(size ? size : 1); /* exact, so that ASan sees one byte more */
    assert_non_null(memory);
    memset(memory, 0x41, size);
    memcpy(memory, file->source.memory, file->source.size < size ? file->source.size : size);
    free(file->source.memory);
    file->source.memory = memory;
    file->source.size = size;
}

void edf_file_free(edf_file *file)
{
    free(file->source.memory);
}

static void take_line(void *user, psgvit_log_level level, const char *line)
{
    edf_file *file = user;
    size_t length = strlen(file->log);
    assert_true(level == PSGVIT_LOG_WARNING || level == PSGVIT_LOG_INFO);
    assert_non_null(strstr(line, name));
    snprintf(file->log + length, sizeof file->log - length, "%s\n", line);
}

psgvit_status edf_file_open(pv_edf **edf, edf_file *file, psgvit_error *err)
{
    pv_log log = {take_line, file};
    file->log[0] = '\0';
    return pv_edf_open(edf, &file->source, &log, err);
}
