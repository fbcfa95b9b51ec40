/* SPDX-License-Identifier: MIT */
/* Aligned memory, in huge pages where it is large, and arrays that grow. */
#define _DEFAULT_SOURCE /* madvise */
#include "base/memory.h"

#include <stdlib.h>
#include <sys/mman.h>

enum { HUGE_PAGE = 2 << 20 };

void *pv_alloc(size_t bytes)
{
    void *memory = NULL;
    size_t align = bytes >= HUGE_PAGE ? HUGE_PAGE : PV_ALIGN;
    if (posix_memalign(&memory, align, bytes ? bytes : 1))
        return NULL;
    /* 341 MB in 4 KiB pages are 83,000 faults, a tenth of a second; a refusal does no harm. */
    if (bytes >= HUGE_PAGE)
        (void)madvise(memory, bytes, MADV_HUGEPAGE);
    return memory;
}

void pv_free(void *memory)
{
    free(memory);
}

void *pv_grow(void *array, size_t *room, size_t count, size_t each, const char *what,
              psgvit_error *err)
{
    if (count < *room)
        return array;
    size_t more = *room ? 2 * *room : 64;
    void *moved = realloc(array, more * each);
    if (moved)
        *room = more;
    else
        (void)pv_fail_memory(err, what, more * each);
    return moved;
}
