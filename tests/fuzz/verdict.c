/* SPDX-License-Identifier: MIT */
/*
 * Verdicts on safetensors files, for differential.py: reads cases from standard input, each 4 bytes
 * of little-endian length and the bytes of a file, and answers each by a line: the status as a
 * number, a blank, and for an error its sentence.
 */
#include <psgvit/weights.h>

#include <stdio.h>
#include <stdlib.h>

static psgvit_status verdict(const unsigned char *data, size_t size, psgvit_error *err)
{
    psgvit_weights *weights = NULL;
    psgvit_weights_params params = {.struct_size = sizeof params};
    psgvit_status status = psgvit_weights_open_memory(&weights, data, size, &params, err);
    psgvit_weights_close(&weights);
    return status;
}

int main(void)
{
    unsigned char length[4];
    while (fread(length, 1, sizeof length, stdin) == sizeof length) {
        size_t size = (size_t)length[0] | (size_t)length[1] << 8 | (size_t)length[2] << 16 |
                      (size_t)length[3] << 24;
        unsigned char *data = malloc(size ? size : 1);
        if (!data || fread(data, 1, size, stdin) != size) {
            fputs("verdict: a case is cut short, or memory is\n", stderr);
            free(data);
            return 1;
        }
        psgvit_error err;
        psgvit_status status = verdict(data, size, &err);
        printf("%d %s\n", (int)status, err.message);
        free(data);
        if (fflush(stdout))
            return 1;
    }
    return 0;
}
