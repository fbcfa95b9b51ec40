/* SPDX-License-Identifier: MIT */
/* The buffers of a pass, which owns them and the plan that is recorded over them. */
#include "model/pass.h"

#include "base/checked.h"
#include "ops/profile.h"

#include <stdlib.h>

void pv_pass_destroy(pv_pass *pass)
{
    if (!pass)
        return;
    pv_plan_destroy(pass->plan);
    pv_profile_destroy(pass->profile);
    pv_buffer_destroy(pass->device, pass->signal);
    pv_buffer_destroy(pass->device, pass->work);
    for (int i = 0; i < PV_OUTPUTS; i++)
        pv_buffer_destroy(pass->device, pass->output[i]);
    free(pass);
}

static psgvit_status host_buffer(pv_pass *pass, size_t floats_each, pv_buffer **buffer,
                                 psgvit_error *err)
{
    size_t floats;
    if (!pv_mul(floats_each, pass->shape.epochs, &floats))
        return pv_fail(err, PSGVIT_E_MEMORY, "out of memory: a batch of %zu epochs is too large",
                       pass->shape.epochs);
    return pv_buffer_create(pass->device, floats, PV_HOST, buffer, err);
}

static psgvit_status buffers_create(pv_pass *pass, size_t signal_floats, size_t work_floats,
                                    psgvit_error *err)
{
    PV_TRY(host_buffer(pass, signal_floats, &pass->signal, err));
    PV_TRY(pv_buffer_create(pass->device, work_floats, PV_DEVICE, &pass->work, err));
    for (int i = 0; i < PV_OUTPUTS; i++)
        if (pass->shape.wanted & (1u << i))
            PV_TRY(host_buffer(pass, pass->output_floats[i], &pass->output[i], err));
    PV_TRY(pv_plan_begin(pass->device, &pass->plan, err));
    pass->plan->exact = pass->shape.exact;
    if (pass->shape.profiled)
        PV_TRY(pv_profile_create(&pass->profile, err));
    pass->plan->profile = pass->profile;
    return PSGVIT_OK;
}

psgvit_status pv_pass_create(pv_pass **pass, psgvit_device *device, const pv_pass_shape *shape,
                             size_t signal_floats, size_t work_floats,
                             const size_t output_floats[PV_OUTPUTS], psgvit_error *err)
{
    *pass = NULL;
    pv_pass *p = calloc(1, sizeof *p);
    if (!p)
        return pv_fail_memory(err, "a pass", sizeof *p);
    p->device = device;
    p->shape = *shape;
    for (int i = 0; i < PV_OUTPUTS; i++)
        p->output_floats[i] = output_floats[i];
    psgvit_status status = buffers_create(p, signal_floats, work_floats, err);
    if (status) {
        pv_pass_destroy(p);
        return status;
    }
    *pass = p;
    return PSGVIT_OK;
}

psgvit_status pv_pass_finish(pv_pass **pass, psgvit_error *err)
{
    psgvit_status status = pv_plan_finish((*pass)->plan, err);
    if (status) {
        pv_pass_destroy(*pass);
        *pass = NULL;
    }
    return status;
}

bool pv_lay(pv_tensor *view, pv_buffer *buffer, size_t *floats, size_t rows, size_t cols)
{
    size_t end;
    if (!pv_mul(rows, cols, &end) || !pv_add(*floats, end, &end))
        return false;
    *view = pv_view(buffer, *floats, rows, cols);
    *floats = end;
    return true;
}
