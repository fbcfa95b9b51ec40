/* SPDX-License-Identifier: MIT */
/* UTF-8, which headers of model files must be and messages are. */
#ifndef PV_BASE_UTF8_H
#define PV_BASE_UTF8_H

#include <stddef.h>

/* Is this UTF-8 by RFC 3629 (no overlong form, surrogate or code above U+10FFFF)? Returns `size`,
 * or the index of the first byte of the first bad sequence. */
size_t pv_utf8_check(const char *text, size_t size);

#endif
