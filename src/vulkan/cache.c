/* SPDX-License-Identifier: MIT */
/*
 * Compiled shaders in a file of the caller's choice. What a driver reads back must be what it
 * wrote: drivers trust it, so who made it and a sum over it stand in front, and a file of another
 * device or driver, or one that differs in a bit, is not used. No fault here is the caller's: a
 * line in the log, and the shaders are compiled.
 */
#define _GNU_SOURCE /* mkostemp */
#include "vulkan/vulkan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_BYTES = 256 << 20 };

typedef struct cache_header {
    char magic[8];
    vk_maker maker;
    uint64_t bytes, sum;
} cache_header;

static const char MAGIC[8] = "psgvitS";

/* FNV-1a, 64 bits. */
static uint64_t sum_of(const unsigned char *bytes, size_t count)
{
    uint64_t sum = 0xcbf29ce484222325u;
    for (size_t i = 0; i < count; i++)
        sum = (sum ^ bytes[i]) * 0x100000001b3u;
    return sum;
}

static void say(const vk_device *d, psgvit_log_level level, const char *what)
{
    pv_log_line(&d->base.log, level, "%s: %s", d->cache_path, what);
}

/* With the reason that errno has. */
static void say_errno(const vk_device *d, const char *what)
{
    psgvit_error why;
    pv_fail_errno(&why, PSGVIT_E_DEVICE, d->cache_path, what);
    pv_log_line(&d->base.log, PSGVIT_LOG_WARNING, "%s", why.message);
}

/* What is in the file, freed by free(); NULL with *bytes = 0 if it can't be used. */
static unsigned char *read_file(const vk_device *d, FILE *file, size_t *bytes)
{
    cache_header header;
    *bytes = 0;
    if (fread(&header, sizeof header, 1, file) != 1 ||
        memcmp(header.magic, MAGIC, sizeof MAGIC) != 0 || header.bytes > MOST_BYTES) {
        say(d, PSGVIT_LOG_WARNING, "is no cache of shaders, and will be replaced");
        return NULL;
    }
    if (memcmp(&header.maker, &d->maker, sizeof d->maker) != 0) {
        say(d, PSGVIT_LOG_INFO, "is of another device or driver, and will be replaced");
        return NULL;
    }
    unsigned char *data = malloc(header.bytes ? (size_t)header.bytes : 1);
    if (!data) {
        say(d, PSGVIT_LOG_WARNING, "is not used: out of memory");
        return NULL;
    }
    if (fread(data, 1, (size_t)header.bytes, file) == header.bytes &&
        sum_of(data, (size_t)header.bytes) == header.sum) {
        *bytes = (size_t)header.bytes;
        return data;
    }
    free(data);
    say(d, PSGVIT_LOG_WARNING, "is damaged, and will be replaced");
    return NULL;
}

psgvit_status pv_vk_cache_open(vk_device *d, const char *path, psgvit_error *err)
{
    unsigned char *data = NULL;
    size_t bytes = 0;
    if (path && !(d->cache_path = strdup(path)))
        return pv_fail_memory(err, "the path of the cache of shaders", strlen(path) + 1);
    /* O_NONBLOCK: a FIFO is no file to wait for. */
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) : -1;
    FILE *file = fd >= 0 ? fdopen(fd, "rb") : NULL;
    if (file) {
        data = read_file(d, file, &bytes);
        fclose(file);
    } else if (fd >= 0) {
        say_errno(d, "the cache of shaders can't be read");
        close(fd);
    } else if (path && errno != ENOENT) {
        say_errno(d, "the cache of shaders can't be read");
    }
    VkPipelineCacheCreateInfo info = {.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO,
                                      .initialDataSize = bytes,
                                      .pInitialData = data};
    VkResult result = d->api.CreatePipelineCache(d->device, &info, NULL, &d->pipelines.cache);
    free(data);
    PV_VK_TRY(d, result, "creating a pipeline cache", err);
    /* What the driver took of the file, not what the file has: after an update of the driver a new
     * cache may be the smaller one, and is still to be written. */
    if (bytes && d->api.GetPipelineCacheData(d->device, d->pipelines.cache,
                                             &d->pipelines.cache_bytes, NULL) != VK_SUCCESS)
        d->pipelines.cache_bytes = 0;
    return PSGVIT_OK;
}

/* Beside the file, then in its place: a reader sees the whole file or none. */
static bool write_file(const vk_device *d, const unsigned char *data, size_t bytes)
{
    cache_header header = {.maker = d->maker, .bytes = bytes, .sum = sum_of(data, bytes)};
    memcpy(header.magic, MAGIC, sizeof MAGIC);
    size_t room = strlen(d->cache_path) + 8;
    char *name = malloc(room);
    if (!name)
        return false; /* errno is ENOMEM */
    snprintf(name, room, "%s.XXXXXX", d->cache_path);
    int fd = mkostemp(name, O_CLOEXEC);
    FILE *file = fd >= 0 ? fdopen(fd, "wb") : NULL;
    bool written = file && fwrite(&header, sizeof header, 1, file) == 1 &&
                   fwrite(data, 1, bytes, file) == bytes;
    if (file)
        written = fclose(file) == 0 && written;
    else if (fd >= 0)
        close(fd);
    written = written && rename(name, d->cache_path) == 0;
    int number = errno;
    if (!written && fd >= 0)
        unlink(name);
    free(name);
    errno = number;
    return written;
}

static void save(const vk_device *d)
{
    size_t bytes = 0;
    if (d->api.GetPipelineCacheData(d->device, d->pipelines.cache, &bytes, NULL) != VK_SUCCESS ||
        bytes <= d->pipelines.cache_bytes || bytes > MOST_BYTES)
        return;
    unsigned char *data = malloc(bytes);
    if (!data ||
        d->api.GetPipelineCacheData(d->device, d->pipelines.cache, &bytes, data) != VK_SUCCESS)
        say(d, PSGVIT_LOG_WARNING, "is not written: the driver doesn't give its shaders");
    else if (!write_file(d, data, bytes))
        say_errno(d, "the cache of shaders can't be written");
    free(data);
}

void pv_vk_cache_close(vk_device *d)
{
    if (d->cache_path && d->pipelines.cache && !atomic_load(&d->lost))
        save(d);
    d->api.DestroyPipelineCache(d->device, d->pipelines.cache, NULL);
    free(d->cache_path);
}
