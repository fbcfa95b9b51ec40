/* SPDX-License-Identifier: MIT */
/* A small text file, such as a config.json, as one string. */
#ifndef TOOLS_TEXT_FILE_H
#define TOOLS_TEXT_FILE_H

/* A config: at most 1 MiB, without a NUL inside; free with free(). Returns 0 (CLI_DONE), or says
 * what is wrong and returns CLI_MEMORY or, since a config belongs to its model, CLI_MODEL. */
int text_file_read(char **text, const char *path);
/* The same of another kind of text, such as "aliases", with the code that a fault of it has. */
int text_file_read_as(char **text, const char *path, const char *kind, int fault);

#endif
