/* SPDX-License-Identifier: MIT */
/* Aligned memory for numbers, and arrays that grow. Small objects use malloc and free. */
#ifndef PV_BASE_MEMORY_H
#define PV_BASE_MEMORY_H

#include "base/status.h"

#include <stddef.h>

enum { PV_ALIGN = 64 }; /* bytes: a cache line, and a vector of AVX-512 */

/* `bytes` of memory aligned to PV_ALIGN (2 MiB and asked to be of huge pages if it is that large),
 * content unspecified; NULL if there is none. 0 bytes give a valid pointer. Free with pv_free. */
void *pv_alloc(size_t bytes);
void pv_free(void *memory);

/* `array`, which has room for *room elements of `each` bytes and holds `count`, with room for one
 * more: it is malloc's, NULL if *room is 0, and may move. NULL, with a sentence that names `what`,
 * if there is no memory; `array` stays as it was then. */
void *pv_grow(void *array, size_t *room, size_t count, size_t each, const char *what,
              psgvit_error *err);

#endif
