/* SPDX-License-Identifier: MIT */
/* Which model a file holds, and the text of a config file. */
#define _POSIX_C_SOURCE 200809L /* open, fstat */

#include "weights/rows.h"

#include "base/status.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool begins(const char *name, const char *with)
{
    return strncmp(name, with, strlen(with)) == 0;
}

/* What the names of a file's tensors speak for: how many for OSF, how many for EEGPT. */
static const char *find_kind(const psgvit_weights *weights)
{
    size_t osf = 0, eegpt = 0;
    for (size_t i = 0; i < psgvit_weights_count(weights); i++) {
        const char *name = psgvit_weights_at(weights, i)->name;
        osf += strcmp(name, "cls_token") == 0 || strcmp(name, "pos_embedding") == 0 ||
               begins(name, "to_patch_embedding.") || begins(name, "block0.");
        eegpt += begins(name, "target_encoder.") || begins(name, "model.target_encoder.");
    }
    return osf > eegpt ? "osf" : eegpt ? "eegpt" : NULL;
}

const char *pv_model_kind(const psgvit_weights *weights, psgvit_error *err)
{
    const char *kind = find_kind(weights);
    if (!kind)
        pv_fail(err, PSGVIT_E_MODEL,
                "%s: no model: expected tensors of OSF ('cls_token' ...) or of EEGPT "
                "('target_encoder.summary_token' ...), found %zu others",
                pv_weights_name(weights), psgvit_weights_count(weights));
    return kind;
}

psgvit_status pv_expect_kind(const psgvit_weights *weights, const char *kind, psgvit_error *err)
{
    const char *found = find_kind(weights);
    if (!found || strcmp(found, kind) == 0)
        return PSGVIT_OK;
    bool osf = strcmp(kind, "osf") == 0;
    return pv_fail(err, PSGVIT_E_MODEL, "%s: expected a model of %s, found one of %s",
                   pv_weights_name(weights), osf ? "OSF" : "EEGPT", osf ? "EEGPT" : "OSF");
}

/* Up to PV_JSON_MAX + 1 bytes, so that one too many shows. */
static psgvit_status read_all(int fd, const char *path, char *text, size_t *size, psgvit_error *err)
{
    *size = 0;
    while (*size <= PV_JSON_MAX) {
        ssize_t got = read(fd, text + *size, PV_JSON_MAX + 1 - *size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return pv_fail_errno(err, PSGVIT_E_MODEL, path, "can't read the config");
        if (got == 0)
            break;
        *size += (size_t)got;
    }
    text[*size] = '\0';
    if (*size > PV_JSON_MAX)
        return pv_fail(err, PSGVIT_E_MODEL, "%s: config has more than %d bytes", path, PV_JSON_MAX);
    if (strlen(text) != *size)
        return pv_fail(err, PSGVIT_E_MODEL, "%s: config is not JSON: byte %zu is NUL", path,
                       strlen(text));
    return PSGVIT_OK;
}

static psgvit_status load(int fd, const char *path, char **json, psgvit_error *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return pv_fail_errno(err, PSGVIT_E_MODEL, path, "can't read the config");
    if (!S_ISREG(st.st_mode))
        return pv_fail(err, PSGVIT_E_MODEL, "%s: config is no regular file", path);
    size_t room = PV_JSON_MAX + 2, size = 0;
    char *text = malloc(room);
    if (!text)
        return pv_fail_memory(err, "the text of a config", room);
    psgvit_status status = read_all(fd, path, text, &size, err);
    if (status != PSGVIT_OK) {
        free(text);
        return status;
    }
    char *fitted = realloc(text, size + 1);
    *json = fitted ? fitted : text;
    return PSGVIT_OK;
}

psgvit_status pv_config_load(char **json, const char *path, psgvit_error *err)
{
    *json = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); /* never waits for a FIFO */
    if (fd < 0)
        return pv_fail_errno(err, PSGVIT_E_MODEL, path, "can't open the config");
    psgvit_status status = load(fd, path, json, err);
    close(fd);
    return status;
}
