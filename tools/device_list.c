/* SPDX-License-Identifier: MIT */
/* The index in front is what --device takes. */
#include "device_list.h"

#include "cli.h"
#include "json_out.h"

#include <stdio.h>

static const char *type_name(psgvit_device_type type)
{
    static const char *const names[] = {"cpu", "discrete", "integrated", "virtual", "software"};
    return (size_t)type < sizeof names / sizeof *names ? names[type] : "?";
}

static void put_precisions(const psgvit_device_info *info, const char *before, const char *after)
{
    static const psgvit_precision all[] = {PSGVIT_F32, PSGVIT_F16, PSGVIT_BF16};
    bool first = true;
    for (size_t i = 0; i < 3; i++) {
        if (!(info->precisions & (1u << all[i])))
            continue;
        printf("%s%s%s%s", first ? "" : ", ", before, psgvit_precision_name(all[i]), after);
        first = false;
    }
}

static void put_field(const char *key, const char *value)
{
    printf(", \"%s\": ", key);
    json_put_string(stdout, value);
}

static void put_json(size_t index, const psgvit_device_info *info)
{
    printf("%s\n  {\"index\": %zu", index ? "," : "", index);
    put_field("name", info->name);
    put_field("backend", psgvit_backend_name(info->backend));
    put_field("type", type_name(info->type));
    put_field("driver", info->driver);
    put_field("uuid", info->uuid);
    put_field("isa", psgvit_isa_name(info->isa));
    printf(", \"memory_bytes\": %llu, \"threads\": %d, \"precisions\": [",
           (unsigned long long)info->memory_bytes, info->threads);
    put_precisions(info, "\"", "\"");
    printf("], \"usable\": %s", info->usable ? "true" : "false");
    put_field("reason", info->reason);
    putchar('}');
}

static void put_line(size_t index, const psgvit_device_info *info)
{
    printf("%zu  %s (%s, %s", index, info->name, psgvit_backend_name(info->backend),
           type_name(info->type));
    if (info->backend == PSGVIT_BACKEND_CPU)
        printf(", %s, %d threads", psgvit_isa_name(info->isa), info->threads);
    printf(", %.1f GiB, %s): ", (double)info->memory_bytes / (1 << 30), info->driver);
    if (info->usable)
        put_precisions(info, "", "");
    else
        printf("can't be used: %s", info->reason);
    if (info->uuid[0])
        printf(" %s", info->uuid);
    putchar('\n');
}

/* Why there is no GPU, which the list itself doesn't say. */
static void note_missing(const psgvit_device_list *list)
{
    int verbosity = 1;
    psgvit_error err;
    psgvit_device *device = NULL;
    psgvit_device_params params = {.struct_size = sizeof params, .backend = PSGVIT_BACKEND_VULKAN};
    if (psgvit_device_list_count(list) > 1)
        return;
    if (psgvit_device_open(&device, &params, &err))
        cli_log(&verbosity, PSGVIT_LOG_INFO, err.message);
    psgvit_device_close(&device);
}

int device_list_print(bool json)
{
    psgvit_error err;
    psgvit_device_list *list = NULL;
    if (psgvit_device_list_open(&list, &err))
        return cli_error(cli_exit_code(err.code), "%s", err.message);
    if (json)
        putchar('[');
    for (size_t i = 0; i < psgvit_device_list_count(list); i++)
        (json ? put_json : put_line)(i, psgvit_device_list_at(list, i));
    if (json)
        puts("\n]");
    note_missing(list);
    psgvit_device_list_close(&list);
    return cli_end_output();
}
