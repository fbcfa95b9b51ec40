/* SPDX-License-Identifier: MIT */
/* eegpt-infer: features or logits of EEG windows by EEGPT. */
#include "infer.h"
#include "infer_help.h"

#include <psgvit/eegpt.h>

#include <stdio.h>

enum { FEATURES, LOGITS };

enum { RATE = 256 }; /* Hz of pre-training, for a config that has none */

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
        .rate = info->sample_rate > 0 ? info->sample_rate : RATE,
        .has = {[FEATURES] = true, [LOGITS] = info->outputs > 0},
        .usual = info->outputs > 0 ? LOGITS : FEATURES,
        .vector = FEATURES,
        .vector_width = info->width,
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

static const char *channel_name(const void *encoder, size_t index)
{
    return eegpt_channel_name(encoder, index);
}

/* The mean of all summary tokens of all patches. */
static void reduce(const float *values, size_t epochs, const writer_tensor *tensor, float *vectors)
{
    size_t tokens = tensor->shape[1] * tensor->shape[2], width = tensor->shape[3];
    for (size_t e = 0; e < epochs; e++, vectors += width)
        for (size_t d = 0; d < width; d++) {
            double sum = 0;
            for (size_t t = 0; t < tokens; t++)
                sum += (double)values[(e * tokens + t) * width + d];
            vectors[d] = (float)(sum / (double)tokens);
        }
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
    "INPUT is a file or a pipe, - is standard input: EDF, BDF or NPY by its content, else raw\n"
    "little-endian float32. Of an EDF the channels are found by the names in the model's config\n"
    "and prepared. Raw is [B,C,T]; NPY (float32, C order) is [B,C,T] or one whole recording\n"
    "[C,L], both prepared. C and T are those of the model's config.\n"
    "\n",
    "  -m MODEL               the weights, a regular file\n"
    "  -c config.json         the model's config, in braindecode's form (default: that of the\n"
    "                         metadata in MODEL)\n" INFER_HELP_OUT,
    "      --outputs LIST     of features [B,P,4,D] and logits [B,n]; default: logits if the\n"
    "                         model has a probe, else features; .npy holds one, .csv logits\n"
    "      --input-format F   raw, npy or edf, whatever name and content say\n"
    "      --channels C       channels, which must be the model's\n"
    "      --samples T        samples of a window (default: the model's); logits need as many\n"
    "                         patches as the probe was made for\n"
    "      --layout LAYOUT    epochs (default), or channels: raw data is one recording [C,L],\n"
    "                         cut into windows; a last, partial window is dropped\n" INFER_HELP_NAN,
    INFER_HELP_EDF
    "      --prep PRESET      how an EDF is prepared: eegpt-pretrain (default), eegpt-p300,\n"
    "                         eegpt-sleep, eegpt-tueg or none\n"
    "      --unit UNIT        V, mV or uV that the model is to see (default: the preset's)\n"
    "      --reref R          none, or average over the channels (default: the preset's)\n"
    "      --resample R       nearest or polyphase (default: the preset's)\n"
    "      --window SECONDS   length of a window, as --samples\n"
    "      --stride SECONDS   from one window of an EDF to the next (default: windows touch)\n",
    INFER_HELP_BESIDE,
    INFER_HELP_MANY,
    INFER_HELP_DEVICE("windows"),
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
                   .tool = INFER_EEGPT,
                   .outputs = {[FEATURES] = "features", [LOGITS] = "logits"},
                   .flat = {[LOGITS] = true},
                   .help = help},
        .lacking = "the model has no probe (final_layer.*), which the logits need",
        .open = open_encoder,
        .close = close_encoder,
        .describe = describe,
        .channel_name = channel_name,
        .fit = fit,
        .shape = shape,
        .encode = encode,
        .reduce = reduce,
    };
    return infer_main(&eegpt, argc, argv);
}
