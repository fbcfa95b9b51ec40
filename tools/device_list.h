/* SPDX-License-Identifier: MIT */
/* --list-devices, the same for every tool. */
#ifndef TOOLS_DEVICE_LIST_H
#define TOOLS_DEVICE_LIST_H

#include <stdbool.h>

/* Prints every device on standard output, a line each or a JSON array of objects. Returns the exit
 * code. */
int device_list_print(bool json);

#endif
