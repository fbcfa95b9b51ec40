/* SPDX-License-Identifier: MIT */
/* Devices of the public interface: names of enums, the list, and which backend opens what. */
#include "api/choose.h"
#include "ops/ops.h"

#include <stdlib.h>

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
    pv_vulkan *vulkan; /* NULL: there is none */
};

static const psgvit_device_info *info_at(const psgvit_device *cpu, const pv_vulkan *vulkan,
                                         size_t index)
{
    if (index)
        return pv_vulkan_at(vulkan, index - 1);
    return cpu ? &cpu->info : NULL;
}

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
    if (!status && pv_vulkan_find(&l->vulkan, err) == PSGVIT_E_MEMORY)
        status = PSGVIT_E_MEMORY; /* any other failure: no such devices */
    if (status) {
        psgvit_device_list_close(&l);
        return status;
    }
    *list = l;
    return pv_ok(err);
}

size_t psgvit_device_list_count(const psgvit_device_list *list)
{
    return list ? 1 + pv_vulkan_count(list->vulkan) : 0;
}

const psgvit_device_info *psgvit_device_list_at(const psgvit_device_list *list, size_t index)
{
    return list ? info_at(list->cpu, list->vulkan, index) : NULL;
}

void psgvit_device_list_close(psgvit_device_list **list)
{
    if (!list || !*list)
        return;
    psgvit_device_close(&(*list)->cpu);
    pv_vulkan_forget((*list)->vulkan);
    free(*list);
    *list = NULL;
}

/* ---- opening ---- */

static psgvit_status check_params(const psgvit_device_params *params, psgvit_error *err)
{
    if (params->backend < PSGVIT_BACKEND_AUTO || params->backend > PSGVIT_BACKEND_VULKAN)
        return pv_fail(err, PSGVIT_E_ARGUMENT, "params.backend is %d, expected 0 to %d",
                       (int)params->backend, (int)PSGVIT_BACKEND_VULKAN);
    if (params->isa < PSGVIT_ISA_AUTO || params->isa > PSGVIT_ISA_AMX)
        return pv_fail(err, PSGVIT_E_ARGUMENT, "params.isa is %d, expected 0 to %d",
                       (int)params->isa, (int)PSGVIT_ISA_AMX);
    if (params->threads < 0 || params->threads > PV_MAX_THREADS)
        return pv_fail(err, PSGVIT_E_ARGUMENT, "params.threads is %d, expected 0 to %d",
                       params->threads, PV_MAX_THREADS);
    return PSGVIT_OK;
}

/* Chooses params->device among the CPU and Vulkan's devices, either of which may be NULL, by its
 * index in the list. */
static psgvit_status choose(const psgvit_device *cpu, const pv_vulkan *vulkan,
                            const psgvit_device_params *params, size_t *index, psgvit_error *err)
{
    size_t count = 1 + pv_vulkan_count(vulkan);
    const psgvit_device_info **infos = calloc(count, sizeof *infos);
    if (!infos)
        return pv_fail_memory(err, "a device list", count * sizeof *infos);
    for (size_t i = 0; i < count; i++)
        infos[i] = info_at(cpu, vulkan, i);
    psgvit_status status = pv_choose(infos, count, params->device, index, err);
    free(infos);
    return status;
}

static psgvit_status open_cpu(psgvit_device **device, const psgvit_device_params *params,
                              psgvit_error *err)
{
    size_t index;
    PV_TRY(pv_cpu_open(device, params, err));
    psgvit_status status = params->device ? choose(*device, NULL, params, &index, err) : PSGVIT_OK;
    if (status)
        psgvit_device_close(device);
    return status;
}

/* The first that can be used, of the best type; with a word about each that was passed over, and
 * about one that only runs on the CPU. */
static psgvit_status first_usable(const pv_vulkan *vulkan, const pv_log *log, size_t *index,
                                  psgvit_error *err)
{
    const psgvit_device_info *info = NULL;
    for (int type = PSGVIT_DEVICE_DISCRETE; type <= PSGVIT_DEVICE_SOFTWARE; type++)
        for (*index = 0; (info = pv_vulkan_at(vulkan, *index)); ++*index) {
            if ((int)info->type != type)
                continue;
            if (info->usable && type == PSGVIT_DEVICE_SOFTWARE)
                pv_log_line(log, PSGVIT_LOG_WARNING,
                            "backend vulkan: there is no GPU, %s computes on the CPU", info->name);
            if (info->usable)
                return PSGVIT_OK;
            pv_log_line(log, PSGVIT_LOG_WARNING, "%s: can't be used: %s", info->name,
                        info->reason);
        }
    info = pv_vulkan_at(vulkan, 0);
    return pv_fail(err, PSGVIT_E_DEVICE,
                   "backend vulkan: none of the %zu devices can be used; %s: %s",
                   pv_vulkan_count(vulkan), info->name, info->reason);
}

static psgvit_status open_vulkan(psgvit_device **device, const psgvit_device_params *params,
                                 psgvit_error *err)
{
    pv_vulkan *vulkan;
    pv_log log = {params->log, params->log_user};
    size_t index = 0;
    PV_TRY(pv_vulkan_find(&vulkan, err));
    psgvit_status status;
    if (!params->device)
        status = first_usable(vulkan, &log, &index, err);
    else if (!(status = choose(NULL, vulkan, params, &index, err)))
        index--; /* the list's first is the CPU */
    if (!status)
        status = pv_vulkan_open(device, vulkan, index, params, err);
    pv_vulkan_forget(vulkan);
    return status;
}

/* A device by its name, whichever backend it is of. */
static psgvit_status open_named(psgvit_device **device, pv_vulkan *vulkan,
                                const psgvit_device_params *params, psgvit_error *err)
{
    psgvit_device *cpu;
    size_t index;
    PV_TRY(pv_cpu_open(&cpu, params, err));
    psgvit_status status = choose(cpu, vulkan, params, &index, err);
    if (!status && index == 0) {
        *device = cpu;
        return PSGVIT_OK;
    }
    psgvit_device_close(&cpu);
    return status ? status : pv_vulkan_open(device, vulkan, index - 1, params, err);
}

/* The best GPU that opens; *device stays NULL if none does, and the log has each reason. */
static void open_gpu(psgvit_device **device, pv_vulkan *vulkan, const psgvit_device_params *params,
                     const pv_log *log)
{
    static const psgvit_device_type types[] = {PSGVIT_DEVICE_DISCRETE, PSGVIT_DEVICE_INTEGRATED};
    psgvit_error why;
    const psgvit_device_info *info;
    for (size_t t = 0; t < sizeof types / sizeof *types; t++)
        for (size_t i = 0; (info = pv_vulkan_at(vulkan, i)); i++) {
            if (info->type != types[t])
                continue;
            if (!pv_vulkan_open(device, vulkan, i, params, &why))
                return;
            pv_log_line(log, PSGVIT_LOG_WARNING, "backend auto passes over a GPU: %s", why.message);
        }
}

static psgvit_status open_auto(psgvit_device **device, const psgvit_device_params *params,
                               psgvit_error *err)
{
    pv_vulkan *vulkan = NULL;
    psgvit_error why = {PSGVIT_OK, "no GPU"};
    pv_log log = {params->log, params->log_user};
    if (params->isa && !params->device) /* an instruction set is the CPU's */
        return open_cpu(device, params, err);
    if (pv_vulkan_find(&vulkan, &why) == PSGVIT_E_MEMORY)
        return pv_fail(err, PSGVIT_E_MEMORY, "%s", why.message);
    psgvit_status status = PSGVIT_OK;
    if (!params->device)
        open_gpu(device, vulkan, params, &log);
    else if ((status = open_named(device, vulkan, params, err)) && !vulkan)
        pv_log_line(&log, PSGVIT_LOG_WARNING, "%s", why.message);
    pv_vulkan_forget(vulkan);
    if (status || *device)
        return status;
    pv_log_line(&log, PSGVIT_LOG_INFO, "backend auto takes the CPU: %s",
                vulkan ? "there is no discrete or integrated GPU that works" : why.message);
    return open_cpu(device, params, err);
}

psgvit_status psgvit_device_open(psgvit_device **device, const psgvit_device_params *params,
                                 psgvit_error *err)
{
    if (!device)
        return pv_fail(err, PSGVIT_E_ARGUMENT, "device is NULL");
    *device = NULL;
    psgvit_device_params own;
    PV_TRY(pv_take_params(&own, sizeof own, params, "params", err));
    PV_TRY(check_params(&own, err));
    const pv_log log = {own.log, own.log_user};
    switch (own.backend) {
    case PSGVIT_BACKEND_CPU: PV_TRY(open_cpu(device, &own, err)); break;
    case PSGVIT_BACKEND_VULKAN: PV_TRY(open_vulkan(device, &own, err)); break;
    default: PV_TRY(open_auto(device, &own, err)); break;
    }
    const psgvit_device_info *info = &(*device)->info;
    if (own.isa && info->backend != PSGVIT_BACKEND_CPU)
        pv_log_line(&log, PSGVIT_LOG_WARNING,
                    "isa %s is a limit of the CPU: it has no effect on %s",
                    psgvit_isa_name(own.isa), info->name);
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
