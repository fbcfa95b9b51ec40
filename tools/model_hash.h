/* SPDX-License-Identifier: MIT */
/*
 * SHA-256 of the model file, read through a descriptor of its own on a thread of its own, while the
 * encoder is opened. If the file changes meanwhile, the hash is unknown rather than of something
 * that was never loaded.
 */
#ifndef TOOLS_MODEL_HASH_H
#define TOOLS_MODEL_HASH_H

#include "cli.h"

typedef struct model_hash model_hash;

enum { MODEL_HASH_TEXT = 65 }; /* 64 hex digits and a NUL */

/* Opens the file, which must be a regular one, and starts the thread. Returns 0, or CLI_MODEL or
 * CLI_MEMORY with the failure filled in. */
int model_hash_start(model_hash **hash, const char *path, cli_failure *failure);
/* Called once the encoder is open: does the path still name the file that is being hashed? */
void model_hash_loaded(model_hash *hash);
/* Waits for the end. True: `text` is the hash; false: it is "unknown", and `reason` says why. */
bool model_hash_finish(model_hash *hash, char text[MODEL_HASH_TEXT], const char **reason);
/* Ends the thread, if it still runs, and frees; sets it to NULL. NULL is allowed. */
void model_hash_close(model_hash **hash);

#endif
