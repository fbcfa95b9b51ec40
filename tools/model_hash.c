/* SPDX-License-Identifier: MIT */
/* SHA-256 by OpenSSL, which uses the SHA instructions of the CPU and is kept up. */
#define _GNU_SOURCE 1
#include "model_hash.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE = 1 << 20, SHA256_BYTES = 32 };

struct model_hash {
    int fd;
    char *path;
    struct stat before; /* as it was when it was opened */
    pthread_t thread;
    bool running; /* there is a thread to join */
    atomic_bool stop;
    bool replaced;       /* the path names another file, or one that has changed */
    const char *problem; /* why there is no hash, or NULL */
    unsigned char digest[SHA256_BYTES];
};

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static const char *digest_file(model_hash *hash, EVP_MD_CTX *context, unsigned char *piece)
{
    if (EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1)
        return "SHA-256 is not available";
    for (off_t at = 0; !atomic_load(&hash->stop);) {
        ssize_t n = pread(hash->fd, piece, PIECE, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return "the model could not be read a second time";
        if (n == 0)
            break;
        if (EVP_DigestUpdate(context, piece, (size_t)n) != 1)
            return "SHA-256 failed";
        at += n;
    }
    return EVP_DigestFinal_ex(context, hash->digest, NULL) == 1 ? NULL : "SHA-256 failed";
}

static void *run(void *user)
{
    model_hash *hash = user;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    unsigned char *piece = malloc(PIECE);
    hash->problem = context && piece ? digest_file(hash, context, piece) : "memory ran out";
    free(piece);
    EVP_MD_CTX_free(context);
    return NULL;
}

int model_hash_start(model_hash **made, const char *path, cli_failure *failure)
{
    *made = NULL;
    model_hash *hash = calloc(1, sizeof *hash);
    char *copy = strdup(path);
    if (!hash || !copy) {
        free(hash);
        free(copy);
        return cli_fail(failure, CLI_MEMORY, "out of memory: the name of the model");
    }
    hash->path = copy;
    /* Without O_NONBLOCK, a FIFO would wait here for a writer for ever. */
    hash->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    int code = CLI_DONE;
    if (hash->fd < 0 || fstat(hash->fd, &hash->before) != 0)
        code = cli_fail(failure, CLI_MODEL, "%s: the model can't be opened: %s", path,
                        strerror(errno));
    else if (!S_ISREG(hash->before.st_mode))
        code =
            cli_fail(failure, CLI_MODEL, "%s: the model must be a regular file, found a %s", path,
                     S_ISDIR(hash->before.st_mode)    ? "folder"
                     : S_ISFIFO(hash->before.st_mode) ? "pipe"
                                                      : "device or socket");
    if (code) {
        model_hash_close(&hash);
        return code;
    }
    hash->running = pthread_create(&hash->thread, NULL, run, hash) == 0;
    if (!hash->running)
        run(hash); /* no thread to be had: then it takes its time here */
    *made = hash;
    return CLI_DONE;
}

static void join(model_hash *hash)
{
    if (hash->running)
        pthread_join(hash->thread, NULL);
    hash->running = false;
}

void model_hash_loaded(model_hash *hash)
{
    struct stat now;
    hash->replaced = stat(hash->path, &now) != 0 || !same_file(&hash->before, &now);
}

bool model_hash_finish(model_hash *hash, char text[MODEL_HASH_TEXT], const char **reason)
{
    struct stat now;
    join(hash);
    strcpy(text, "unknown");
    *reason = hash->problem;
    if (hash->replaced || fstat(hash->fd, &now) != 0 || !same_file(&hash->before, &now))
        *reason = "the file changed while it was loaded";
    if (*reason)
        return false;
    for (size_t i = 0; i < SHA256_BYTES; i++)
        snprintf(text + 2 * i, 3, "%02x", hash->digest[i]);
    return true;
}

void model_hash_close(model_hash **hash)
{
    if (!hash || !*hash)
        return;
    atomic_store(&(*hash)->stop, true);
    join(*hash);
    if ((*hash)->fd >= 0)
        close((*hash)->fd);
    free((*hash)->path);
    free(*hash);
    *hash = NULL;
}
