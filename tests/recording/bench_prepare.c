/* SPDX-License-Identifier: MIT */
/*
 * What reading and preparing a night costs: makes an EDF of 12 leads of OSF, or of 30 EEG channels,
 * all at one rate, and prepares it.
 *
 *     bench_prepare FOLDER [hours=8] [rate=512] [channels=12] [prep=NAME] [threads=N] [runs=3]
 *                   [sparse=1]
 *
 * The file is written beforehand, once, and removed; a sparse one is a hole behind its header, for
 * what no disk has room for. Prints seconds of opening (the first pass) and
 * of reading all epochs, and the peak of memory.
 */
#define _POSIX_C_SOURCE 200809L
#include <psgvit/recording.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static const char *const leads[] = {"ECG", "Chin", "LLEG", "RLEG", "ABD",   "THX",
                                    "NP",  "SN",   "E1",   "E2",   "C3-A2", "C4-A1"};
static const char *const positions[] = {"FP1", "FPZ", "FP2", "F7",  "F3",  "FZ", "F4", "F8",
                                        "FC5", "FC1", "FC2", "FC6", "T7",  "C3", "CZ", "C4",
                                        "T8",  "CP5", "CP1", "CP2", "CP6", "P7", "P3", "PZ",
                                        "P4",  "P8",  "POZ", "O1",  "OZ",  "O2"};
static const char aliases[] =
    "ECG=ECG\nEMG_Chin=Chin\nEMG_LLeg=LLEG\nEMG_RLeg=RLEG\nABD=ABD\nTHX=THX\nNP=NP\nSN=SN\n"
    "EOG_E1_A2=E1\nEOG_E2_A1=E2\nEEG_C3_A2=C3-A2\nEEG_C4_A1=C4-A1\n";

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Of all threads. */
static double cpu(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void put(FILE *f, int width, const char *text)
{
    fprintf(f, "%-*s", width, text);
}

static void put_number(FILE *f, int width, long value)
{
    fprintf(f, "%-*ld", width, value);
}

static const char *label_of(size_t channel, size_t channels)
{
    return channels <= 12 ? leads[channel] : positions[channel % 30];
}

static void write_header(FILE *f, size_t channels, size_t rate, size_t seconds)
{
    put(f, 8, "0");
    put(f, 160, "");
    put(f, 16, "03.02.0122.30.00");
    put_number(f, 8, (long)(256 * (channels + 1)));
    put(f, 44, "");
    put_number(f, 8, (long)seconds);
    put(f, 8, "1");
    put_number(f, 4, (long)channels);
    for (size_t i = 0; i < channels; i++)
        put(f, 16, label_of(i, channels));
    put(f, (int)(80 * channels), "");
    for (size_t i = 0; i < channels; i++)
        put(f, 8, "uV");
    static const char *const limits[] = {"-3276.8", "3276.7", "-32768", "32767"};
    for (size_t k = 0; k < 4; k++)
        for (size_t i = 0; i < channels; i++)
            put(f, 8, limits[k]);
    put(f, (int)(80 * channels), "");
    for (size_t i = 0; i < channels; i++)
        put_number(f, 8, (long)rate);
    put(f, (int)(32 * channels), "");
}

/* Noise on a slow wave, other in every second; sparse: nothing, and its last record not quite
 * whole. */
static int write_file(const char *path, size_t channels, size_t rate, size_t seconds, int sparse)
{
    FILE *f = fopen(path, "wb");
    size_t count = channels * rate;
    int16_t *record = malloc(count * sizeof *record);
    if (!f || !record)
        return 1;
    write_header(f, channels, rate, seconds);
    if (sparse) {
        free(record);
        int cut = ftruncate(fileno(f), (off_t)(seconds * count * sizeof *record));
        return fclose(f) != 0 || cut != 0;
    }
    uint64_t state = 1;
    size_t written = 0;
    for (size_t s = 0; s < seconds; s++) {
        for (size_t i = 0; i < count; i++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            record[i] = (int16_t)((int)(state >> 53) - 1024 + (int)(s * 37 % 1000));
        }
        written += fwrite(record, sizeof *record, count, f);
    }
    free(record);
    return fclose(f) != 0 || written != seconds * count;
}

static int run(const char *path, const psgvit_recording_params *params)
{
    psgvit_error err;
    psgvit_recording *recording = NULL;
    double begin = now(), busy = cpu();
    if (psgvit_recording_open(&recording, path, params, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    double opened = now();
    const psgvit_recording_info *info = psgvit_recording_get_info(recording);
    float *signal = malloc(16 * info->channels * info->samples * sizeof *signal);
    size_t count = signal != NULL, epochs = 0;
    double sum = 0.0;
    while (count) {
        if (psgvit_recording_read(recording, signal, 16, &count, &err)) {
            fprintf(stderr, "%s\n", err.message);
            count = 0;
        }
        epochs += count;
        sum += count ? signal[count * info->channels * info->samples - 1] : 0.0;
    }
    double end = now();
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("%zu epochs: open %.3f s, read %.3f s, together %.3f s (%.3f s of CPU); peak %.1f MB "
           "(%g)\n",
           epochs, opened - begin, end - opened, end - begin, cpu() - busy,
           (double)usage.ru_maxrss / 1024.0, sum);
    free(signal);
    psgvit_recording_close(&recording);
    return 0;
}

int main(int argc, char **argv)
{
    double hours = 8.0, values[5] = {512, 12, 0, 3, 0};
    static const char *const keys[] = {"rate=", "channels=", "threads=", "runs=", "sparse="};
    psgvit_recording_params params = {.struct_size = sizeof params};
    if (argc < 2)
        return 2;
    for (int i = 2; i < argc; i++) {
        for (size_t k = 0; k < 5; k++)
            if (!strncmp(argv[i], keys[k], strlen(keys[k])))
                values[k] = strtod(argv[i] + strlen(keys[k]), NULL);
        if (!strncmp(argv[i], "hours=", 6))
            hours = strtod(argv[i] + 6, NULL);
        for (int prep = 0; !strncmp(argv[i], "prep=", 5) && prep < PSGVIT_PREPS; prep++)
            if (!strcmp(argv[i] + 5, psgvit_prep_name((psgvit_prep)prep)))
                params.prep = (psgvit_prep)prep;
    }
    size_t channels = (size_t)values[1], rate = (size_t)values[0];
    char path[512];
    snprintf(path, sizeof path, "%s/bench_prepare.edf", argv[1]);
    params.channels = channels <= 12 || params.prep == PSGVIT_PREP_OSF_TRAIN ||
                              params.prep == PSGVIT_PREP_OSF_CLEAN
                          ? 12
                          : 30;
    params.names = params.channels == 12 ? NULL : positions;
    params.samples = params.channels == 12 ? 1920 : 1024;
    params.aliases = params.channels == 12 ? aliases : NULL;
    params.threads = (int)values[2];
    int failed = write_file(path, channels, rate, (size_t)(hours * 3600.0), values[4] > 0.0);
    for (int i = 0; !failed && i < (int)values[3]; i++)
        failed = run(path, &params);
    remove(path);
    return failed;
}
