/* SPDX-License-Identifier: MIT */
/* Which device an index, a UUID or a part of a name means. */
#define _DEFAULT_SOURCE /* strncasecmp */
#include "api/choose.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { UUID_DIGITS = 32 };

typedef bool (*answers_fn)(const psgvit_device_info *info, const char *wanted);

static bool has_uuid(const psgvit_device_info *info, const char *wanted)
{
    return !strcasecmp(info->uuid, wanted);
}

static bool has_name(const psgvit_device_info *info, const char *wanted)
{
    return !strcasecmp(info->name, wanted);
}

static bool has_part(const psgvit_device_info *info, const char *wanted)
{
    size_t length = strlen(wanted);
    for (const char *name = info->name; strlen(name) >= length; name++)
        if (!strncasecmp(name, wanted, length))
            return true;
    return false;
}

/* How many answer; *index becomes the first of them. */
static size_t count_those(const psgvit_device_info *const *infos, size_t count, answers_fn answers,
                          const char *wanted, size_t *index)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++)
        if (infos[i] && answers(infos[i], wanted) && !found++)
            *index = i;
    return found;
}

/* The digits of a UUID without its dashes, or false. */
static bool take_uuid(const char *wanted, char uuid[UUID_DIGITS + 1])
{
    size_t length = 0;
    for (; *wanted; wanted++) {
        if (*wanted == '-')
            continue;
        if (!isxdigit((unsigned char)*wanted) || length == UUID_DIGITS)
            return false;
        uuid[length++] = *wanted;
    }
    uuid[length] = '\0';
    return length == UUID_DIGITS;
}

static bool take_index(const char *wanted, size_t count, size_t *index)
{
    size_t value = 0;
    for (; *wanted; wanted++) {
        value = value * 10 + (size_t)(*wanted - '0');
        if (value >= count)
            return false;
    }
    *index = value;
    return true;
}

/* "1 'NVIDIA H200' (<uuid>), 2 ..." of those that answer to `wanted` (NULL: all), cut if it is too
 * long. */
static void name_those(const psgvit_device_info *const *infos, size_t count, answers_fn answers,
                       const char *wanted, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < count && used < size; i++)
        if (infos[i] && (!wanted || answers(infos[i], wanted))) {
            const char *uuid = infos[i]->uuid;
            int length = snprintf(text + used, size - used, "%s%zu '%s'%s%s%s", used ? ", " : "", i,
                                  infos[i]->name, *uuid ? " (" : "", uuid, *uuid ? ")" : "");
            used += length > 0 ? (size_t)length : 0;
        }
}

psgvit_status pv_choose(const psgvit_device_info *const *infos, size_t count, const char *wanted,
                        size_t *index, psgvit_error *err)
{
    char uuid[UUID_DIGITS + 1], names[800];
    const char *what = wanted;
    size_t found = 0;
    answers_fn answers = has_name;
    if (take_uuid(wanted, uuid)) {
        what = uuid;
        answers = has_uuid;
        found = count_those(infos, count, answers, what, index);
    } else if (*wanted && strspn(wanted, "0123456789") == strlen(wanted)) {
        found = take_index(wanted, count, index) && infos[*index];
    } else if (*wanted) {
        found = count_those(infos, count, answers, what, index);
        if (!found) {
            answers = has_part;
            found = count_those(infos, count, answers, what, index);
        }
    }
    if (found == 1)
        return PSGVIT_OK;
    name_those(infos, count, answers, found ? what : NULL, names, sizeof names);
    if (found)
        return pv_fail(err, PSGVIT_E_DEVICE, "device '%.100s': %zu answer to that: %s", wanted,
                       found, names);
    return pv_fail(err, PSGVIT_E_DEVICE,
                   "device '%.100s': there is none of that index, UUID or name; there are: %s",
                   wanted, names);
}
