/* SPDX-License-Identifier: MIT */
/* Devices of the public interface: names of enums, the list, and which backend opens what. */
#include "ops/ops.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *psgvit_isa_name(psgvit_isa isa)
{
    static const char *const names[] = {"", "c", "avx2", "avx512", "amx"};
    return isa >= PSGVIT_ISA_AUTO && isa <= PSGVIT_ISA_AMX ? names[isa] : "";
}

const char *psgvit_precision_name(psgvit_precision precision)
{
    static const char *const names[] = {"f32", "f16", "bf16"};
    return precision >= PSGVIT_F32 && precision <= PSGVIT_BF16 ? names[precision] : "?";
}

const char *psgvit_backend_name(psgvit_backend backend)
{
    static const char *const names[] = {"auto", "cpu", "vulkan"};
    return backend >= PSGVIT_BACKEND_AUTO && backend <= PSGVIT_BACKEND_VULKAN ? names[backend]
                                                                              : "?";
}

/* ---- the list ---- */

struct psgvit_device_list {
    psgvit_device *cpu;
};

psgvit_status psgvit_device_list_open(psgvit_device_list **list, psgvit_error *err)
{
    if (!list)
        return pv_fail(err, PSGVIT_E_ARGUMENT, "list is NULL");
    *list = NULL;
    psgvit_device_list *l = calloc(1, sizeof *l);
    if (!l)
        return pv_fail_memory(err, "a device list", sizeof *l);
    psgvit_device_params params = {.struct_size = sizeof params};
    psgvit_status status = pv_cpu_open(&l->cpu, &params, err);
    if (status) {
        free(l);
        return status;
    }
    *list = l;
    return pv_ok(err);
}

size_t psgvit_device_list_count(const psgvit_device_list *list)
{
    return list ? 1 : 0;
}

const psgvit_device_info *psgvit_device_list_at(const psgvit_device_list *list, size_t index)
{
    return list && index == 0 ? &list->cpu->info : NULL;
}

void psgvit_device_list_close(psgvit_device_list **list)
{
    if (!list || !*list)
        return;
    psgvit_device_close(&(*list)->cpu);
    free(*list);
    *list = NULL;
}

/* ---- opening ---- */

/* Does the CPU, whose place in the list is 0, answer to this index or part of a name? Digits alone
 * are an index: "1" must not find an "Epyc 7313". */
static int is_called(const psgvit_device *cpu, const char *wanted)
{
    size_t length = strlen(wanted);
    const char *name = cpu->info.name;
    if (length && strspn(wanted, "0123456789") == length)
        return strspn(wanted, "0") == length;
    for (; length && strlen(name) >= length; name++)
        if (!strncasecmp(name, wanted, length))
            return 1;
    return 0;
}

static psgvit_status open_cpu(psgvit_device **device, const psgvit_device_params *params,
                              psgvit_error *err)
{
    PV_TRY(pv_cpu_open(device, params, err));
    if (!params->device || is_called(*device, params->device))
        return PSGVIT_OK;
    psgvit_status status = pv_fail(err, PSGVIT_E_DEVICE,
                                   "device '%s': there is none of that index, UUID or name; the "
                                   "CPU is 0, '%s'",
                                   params->device, (*device)->info.name);
    psgvit_device_close(device);
    return status;
}

psgvit_status psgvit_device_open(psgvit_device **device, const psgvit_device_params *params,
                                 psgvit_error *err)
{
    if (!device)
        return pv_fail(err, PSGVIT_E_ARGUMENT, "device is NULL");
    *device = NULL;
    psgvit_device_params own;
    PV_TRY(pv_take_params(&own, sizeof own, params, "params", err));
    switch (own.backend) {
    case PSGVIT_BACKEND_AUTO: /* a GPU first, once a build has that backend */
    case PSGVIT_BACKEND_CPU: PV_TRY(open_cpu(device, &own, err)); break;
    case PSGVIT_BACKEND_VULKAN: PV_TRY(pv_vulkan_open(device, &own, err)); break;
    default:
        return pv_fail(err, PSGVIT_E_ARGUMENT, "params.backend is %d, expected 0 to %d",
                       (int)own.backend, (int)PSGVIT_BACKEND_VULKAN);
    }
    return pv_ok(err);
}

const psgvit_device_info *psgvit_device_get_info(const psgvit_device *device)
{
    return device ? &device->info : NULL;
}

void psgvit_device_close(psgvit_device **device)
{
    if (!device || !*device)
        return;
    (*device)->backend->device_close(*device);
    *device = NULL;
}
