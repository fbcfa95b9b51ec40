/* SPDX-License-Identifier: MIT */
/* UTF-8 by RFC 3629. */
#include "base/utf8.h"

/* Bytes of the sequence that `lead` begins, and the range of its second byte (RFC 3629, section 4);
 * 0 for a byte that begins none. */
static size_t utf8_length(unsigned char lead, unsigned char *low, unsigned char *high)
{
    *low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    *high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (lead < 0x80)
        return 1;
    if (lead < 0xC2 || lead > 0xF4)
        return 0;
    return lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
}

size_t pv_utf8_check(const char *text, size_t size)
{
    const unsigned char *bytes = (const unsigned char *)text;
    size_t i = 0;
    while (i < size) {
        unsigned char low, high;
        size_t length = utf8_length(bytes[i], &low, &high);
        if (length == 0 || length > size - i)
            return i;
        if (length > 1 && (bytes[i + 1] < low || bytes[i + 1] > high))
            return i;
        for (size_t k = 2; k < length; k++)
            if ((bytes[i + k] & 0xC0) != 0x80)
                return i;
        i += length;
    }
    return size;
}
