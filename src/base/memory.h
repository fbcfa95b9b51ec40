/* SPDX-License-Identifier: MIT */
/* Aligned memory for numbers. Small objects use malloc and free themselves. */
#ifndef PV_BASE_MEMORY_H
#define PV_BASE_MEMORY_H

#include <stddef.h>

enum { PV_ALIGN = 64 }; /* bytes: a cache line, and a vector of AVX-512 */

/* `bytes` of memory aligned to PV_ALIGN (2 MiB and asked to be of huge pages if it is that large),
 * content unspecified; NULL if there is none. 0 bytes give a valid pointer. Free with pv_free. */
void *pv_alloc(size_t bytes);
void pv_free(void *memory);

#endif
