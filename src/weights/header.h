/* SPDX-License-Identifier: MIT */
/* The header of a safetensors file: JSON text in, a checked table out. */
#ifndef PV_WEIGHTS_HEADER_H
#define PV_WEIGHTS_HEADER_H

#include "weights/table.h"

/* Reads `size` bytes of header, followed in the file by `data_bytes` of data, and checks every rule
 * of the format. `file` is what messages call the file. The text must not change meanwhile, so it
 * is not read from a mapping; it is not needed later. On failure the table may hold memory already.
 */
psgvit_status pv_header_parse(pv_table *table, const char *text, size_t size, uint64_t data_bytes,
                              const char *file, psgvit_error *err);

#endif
