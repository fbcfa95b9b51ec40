/* SPDX-License-Identifier: MIT */
/* osf-infer: embeddings of 12-channel polysomnography by OSF. */
#include "infer.h"
#include "infer_help.h"

#include <psgvit/osf.h>

#include <stdio.h>

enum { CLS, PATCHES, MEAN };

enum { RATE = 64 }; /* Hz, which the model's file does not tell */

static psgvit_status open_encoder(void **encoder, psgvit_device *device,
                                  const infer_options *options, psgvit_error *err)
{
    osf_encoder_params params = {
        .struct_size = sizeof params,
        .precision = options->precision,
        .flags = options->no_mmap ? PSGVIT_READ : 0,
        .config_path = options->config,
    };
    osf_encoder *made = NULL;
    psgvit_status status = osf_encoder_open(&made, device, options->model, &params, err);
    *encoder = made;
    return status;
}

static void close_encoder(void *encoder)
{
    osf_encoder *own = encoder;
    osf_encoder_close(&own);
}

static void describe(const void *encoder, infer_facts *facts)
{
    const osf_info *info = osf_encoder_info(encoder);
    *facts = (infer_facts){
        .variant = info->variant,
        .channels = info->leads,
        .samples = info->samples,
        .rate = RATE,
        .has = {[CLS] = true, [PATCHES] = true, [MEAN] = true},
        .usual = CLS,
        .vector = CLS,
        .vector_width = info->width,
    };
}

static int fit(const void *encoder, size_t samples, const bool *wanted, cli_failure *failure)
{
    const osf_info *info = osf_encoder_info(encoder);
    (void)wanted;
    if (osf_patch_count(encoder, samples))
        return CLI_DONE;
    return cli_fail(failure, CLI_INPUT,
                    "expected epochs of a multiple of %zu samples, at most %zu, found %zu",
                    info->patch_samples, info->samples, samples);
}

static void shape(const void *encoder, size_t output, size_t samples, writer_tensor *tensor)
{
    size_t width = osf_encoder_info(encoder)->width;
    tensor->rank = output == PATCHES ? 3 : 2;
    tensor->shape[1] = output == PATCHES ? osf_patch_count(encoder, samples) : width;
    tensor->shape[2] = width;
}

static psgvit_status encode(void *encoder, const infer_job *job, psgvit_error *err)
{
    osf_job own = {
        .struct_size = sizeof own,
        .signal = job->signal,
        .epochs = job->epochs,
        .samples = job->samples,
        .cls = job->outputs[CLS],
        .cls_capacity = job->capacities[CLS],
        .patches = job->outputs[PATCHES],
        .patches_capacity = job->capacities[PATCHES],
        .mean = job->outputs[MEAN],
        .mean_capacity = job->capacities[MEAN],
        .batch = job->batch,
        .no_clamp = job->no_clamp,
        .nan = job->nan,
        .first_epoch = job->first_epoch,
        .progress = job->progress,
        .cancel = job->cancel,
        .user = job->user,
    };
    return osf_encode(encoder, &own, err);
}

static const char *const help[] = {
    "Usage: osf-infer -m MODEL.safetensors [-c config.json] -o OUT [options] INPUT...\n"
    "\n"
    "Embeds 30 s epochs of 12-channel polysomnography (64 Hz, z-scored) by the model OSF.\n"
    "\n"
    "INPUT is a file or a pipe, - is standard input: EDF, BDF or NPY by its content, else raw\n"
    "little-endian float32. Of an EDF the channels are found by their names and prepared. Raw is\n"
    "[E,12,T]; NPY (float32, C order) is [E,12,T] or one whole recording [12,L], both prepared.\n"
    "Channels: ECG, EMG chin, EMG left leg, EMG right leg, abdomen, thorax, nasal pressure,\n"
    "snoring, EOG E1-A2, EOG E2-A1, EEG C3-A2, EEG C4-A1; a missing one is zeros.\n"
    "\n",
    "  -m MODEL               the weights, a regular file\n"
    "  -c config.json         a config that must agree with the weights\n" INFER_HELP_OUT,
    "      --outputs LIST     of cls [E,D] (default), patches [E,N,D], mean [E,D]; .npy holds\n"
    "                         one, .csv holds cls or mean\n"
    "      --input-format F   raw, npy or edf, whatever name and content say\n"
    "      --samples T        samples of an epoch (default: the model's, 1920): a multiple of 64\n"
    "      --layout LAYOUT    epochs (default), or channels: raw data is one recording [12,L],\n"
    "                         cut into epochs; a last, partial epoch is dropped\n" INFER_HELP_NAN
    "      --no-clamp         don't clamp samples to [-6, 6]\n" INFER_HELP_EDF
    "      --prep PRESET      how an EDF is prepared: osf-train (default; as the training data\n"
    "                         was), osf-clean (the same intent, better filters) or none\n",
    INFER_HELP_BESIDE,
    INFER_HELP_MANY,
    INFER_HELP_DEVICE("epochs"),
    INFER_HELP_TALK,
    INFER_HELP_CODES,
    "\nExample: the embeddings of a night as a table\n"
    "    osf-infer -m osf-base.safetensors -o night.csv night.edf\n",
    NULL,
};

int main(int argc, char **argv)
{
    static const infer_kind osf = {
        .syntax = {.program = "osf-infer",
                   .tool = INFER_OSF,
                   .outputs = {[CLS] = "cls", [PATCHES] = "patches", [MEAN] = "mean"},
                   .flat = {[CLS] = true, [MEAN] = true},
                   .help = help},
        .lacking = "the model lacks an output that is wanted",
        .open = open_encoder,
        .close = close_encoder,
        .describe = describe,
        .fit = fit,
        .shape = shape,
        .encode = encode,
    };
    return infer_main(&osf, argc, argv);
}
