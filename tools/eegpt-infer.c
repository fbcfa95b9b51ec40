/* SPDX-License-Identifier: MIT */
/* eegpt-infer: features or logits of EEG windows by EEGPT. */
#include "infer.h"
#include "infer_help.h"

#include <psgvit/eegpt.h>

#include <stdio.h>

enum { FEATURES, LOGITS };

static psgvit_status open_encoder(void **encoder, psgvit_device *device,
                                  const infer_options *options, psgvit_error *err)
{
    eegpt_encoder_params params = {
        .struct_size = sizeof params,
        .precision = options->precision,
        .flags = options->no_mmap ? PSGVIT_READ : 0,
        .config_path = options->config,
    };
    eegpt_encoder *made = NULL;
    psgvit_status status = eegpt_encoder_open(&made, device, options->model, &params, err);
    *encoder = made;
    return status;
}

static void close_encoder(void *encoder)
{
    eegpt_encoder *own = encoder;
    eegpt_encoder_close(&own);
}

static void describe(const void *encoder, infer_facts *facts)
{
    const eegpt_info *info = eegpt_encoder_info(encoder);
    *facts = (infer_facts){
        .variant = "eegpt",
        .channels = info->channels,
        .samples = info->samples,
        .has = {[FEATURES] = true, [LOGITS] = info->outputs > 0},
        .usual = info->outputs > 0 ? LOGITS : FEATURES,
    };
}

static int fit(const void *encoder, size_t samples, const bool *wanted, cli_failure *failure)
{
    const eegpt_info *info = eegpt_encoder_info(encoder);
    size_t patches = eegpt_patch_count(encoder, samples);
    if (patches == 0)
        return cli_fail(failure, CLI_INPUT, "expected windows of at least %zu samples, found %zu",
                        info->patch_samples, samples);
    if (wanted[LOGITS] && patches != info->probe_patches)
        return cli_fail(failure, CLI_INPUT,
                        "windows of %zu samples have %zu patches, but the probe that gives the "
                        "logits expects %zu; --outputs features takes any",
                        samples, patches, info->probe_patches);
    return CLI_DONE;
}

static void shape(const void *encoder, size_t output, size_t samples, writer_tensor *tensor)
{
    const eegpt_info *info = eegpt_encoder_info(encoder);
    tensor->rank = output == LOGITS ? 2 : 4;
    tensor->shape[1] = output == LOGITS ? info->outputs : eegpt_patch_count(encoder, samples);
    tensor->shape[2] = info->summary_tokens;
    tensor->shape[3] = info->width;
}

static psgvit_status encode(void *encoder, const infer_job *job, psgvit_error *err)
{
    eegpt_job own = {
        .struct_size = sizeof own,
        .signal = job->signal,
        .epochs = job->epochs,
        .samples = job->samples,
        .features = job->outputs[FEATURES],
        .features_capacity = job->capacities[FEATURES],
        .logits = job->outputs[LOGITS],
        .logits_capacity = job->capacities[LOGITS],
        .batch = job->batch,
        .nan = job->nan,
        .first_epoch = job->first_epoch,
        .progress = job->progress,
        .cancel = job->cancel,
        .user = job->user,
    };
    return eegpt_encode(encoder, &own, err);
}

static const char *const help[] = {
    "Usage: eegpt-infer -m MODEL.safetensors [-c config.json] -o OUT [options] INPUT...\n"
    "\n"
    "Embeds windows of EEG by the model EEGPT: features of every patch, or the logits of the\n"
    "model's probe.\n"
    "\n"
    "INPUT is a file or a pipe, - is standard input: NPY by its content, else raw little-endian\n"
    "float32. Raw is [B,C,T]; NPY (float32, C order) is [B,C,T] or one whole recording [C,L]. C\n"
    "and T are those of the model's config.\n"
    "\n",
    "  -m MODEL               the weights, a regular file\n"
    "  -c config.json         the model's config, in braindecode's form (default: that of the\n"
    "                         metadata in MODEL)\n" INFER_HELP_OUT,
    "      --outputs LIST     of features [B,P,4,D] and logits [B,n]; default: logits if the\n"
    "                         model has a probe, else features; .npy holds one, .csv logits\n"
    "      --input-format F   raw, npy or edf (not read yet), whatever name and content say\n"
    "      --channels C       channels, which must be the model's\n"
    "      --samples T        samples of a window (default: the model's); logits need as many\n"
    "                         patches as the probe was made for\n"
    "      --layout LAYOUT    epochs (default), or channels: raw data is one recording [C,L],\n"
    "                         cut into windows; a last, partial window is dropped\n" INFER_HELP_NAN,
    INFER_HELP_DEVICE,
    INFER_HELP_TALK,
    INFER_HELP_CODES,
    "\nExample: the features of a recording from a pipe\n"
    "    zcat eeg.bin.gz | eegpt-infer -m eegpt.safetensors --outputs features -o eeg.npy -\n",
    NULL,
};

int main(int argc, char **argv)
{
    static const infer_kind eegpt = {
        .syntax = {.program = "eegpt-infer",
                   .outputs = {[FEATURES] = "features", [LOGITS] = "logits"},
                   .flat = {[LOGITS] = true},
                   .channels = true,
                   .help = help},
        .lacking = "the model has no probe (final_layer.*), which the logits need",
        .open = open_encoder,
        .close = close_encoder,
        .describe = describe,
        .fit = fit,
        .shape = shape,
        .encode = encode,
    };
    return infer_main(&eegpt, argc, argv);
}
