/* SPDX-License-Identifier: MIT */
/*
 * Each channel is a small sum of rhythms: noise through resonators for the brain, noise gated by
 * bursts for muscles, phases that advance for heart and breath. Units are deviations of the channel
 * (the night) or millivolts (the EEG); rates are per sample.
 */
#include "synth_signal.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define RATE 64.0 /* Hz, of the night */
static const double PI = 3.14159265358979323846;

/* ---- noise, resonators, bursts --------------------------------------------------------------- */

typedef struct noise {
    uint64_t state;
} noise;

static uint64_t noise_bits(noise *n)
{
    uint64_t z = n->state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/* In [0, 1). */
static double noise_uniform(noise *n)
{
    return (double)(noise_bits(n) >> 11) * 0x1p-53;
}

/* Mean 0, deviation 1, nearly normal: four 16-bit uniforms, each of variance 1/12, never past 3.5.
 */
static double noise_normal(noise *n)
{
    uint64_t z = noise_bits(n);
    double sum = (double)(z & 0xFFFF) + (double)(z >> 16 & 0xFFFF) + (double)(z >> 32 & 0xFFFF) +
                 (double)(z >> 48);
    return (sum * 0x1p-16 - 2.0) * 1.7320508075688772;
}

/* Narrow-band noise of deviation 1: y[n] = a1 y[n-1] + a2 y[n-2] + gain * white. */
typedef struct rhythm {
    double a1, a2, gain;
    double y1, y2;
} rhythm;

static rhythm rhythm_make(double hertz, double bandwidth, double rate)
{
    double r = exp(-PI * bandwidth / rate);
    double w = 2.0 * PI * hertz / rate;
    rhythm f = {.a1 = 2.0 * r * cos(w), .a2 = -r * r};
    double variance = (1.0 - f.a2) / ((1.0 + f.a2) * ((1.0 - f.a2) * (1.0 - f.a2) - f.a1 * f.a1));
    f.gain = 1.0 / sqrt(variance);
    return f;
}

static double rhythm_next(rhythm *f, double white)
{
    double y = f->a1 * f->y1 + f->a2 * f->y2 + f->gain * white;
    f->y2 = f->y1;
    f->y1 = y;
    return y;
}

/* An event that comes after a random pause, lasts a random time, and fades in and out. */
typedef struct burst {
    double left; /* samples of the event or of the pause still to go */
    bool on;
    double level; /* 0 ... 1, follows `on` */
} burst;

/* Pause and length are means, in seconds; `open` false keeps an event from beginning. */
static double burst_next(burst *b, noise *n, double pause, double length, bool open, double rate)
{
    b->left -= 1.0;
    if (b->left <= 0.0) {
        b->on = !b->on && open;
        double mean = b->on ? length : pause;
        b->left = mean * (0.5 + noise_uniform(n)) * rate;
    }
    b->level += ((b->on ? 1.0 : 0.0) - b->level) * 8.0 / rate;
    return b->level;
}

/* ---- the night ------------------------------------------------------------------------------- */

enum { WAKE, N1, N2, N3, REM, STAGES };

/* Rhythms of the brain. */
enum { DELTA, THETA, ALPHA, SIGMA, RHYTHMS };

typedef struct brain {
    noise noise;
    rhythm rhythms[RHYTHMS];
    burst spindle;
} brain;

struct synth_night {
    size_t epochs;
    size_t next;           /* index of the next epoch */
    unsigned char *stages; /* [epochs] */
    noise noise;           /* of everything without one of its own */
    double beat;           /* phase of the heart, 0 ... 1 */
    double breath;         /* phase of the breath, in radians */
    double depth;          /* of the flow: 1, less in an apnoea */
    burst apnoea;
    burst leg[2];
    burst chin;
    double gaze; /* where the eyes look, after the amplifier's high-pass */
    double roll; /* phase of slow eye movements, in radians */
    burst glance;
    brain brains[3]; /* shared, C3, C4 */
};

/* Stage of a sleeper `p` (0 ... 1) through cycle `c`: deep sleep shrinks, REM grows over the night.
 */
static int cycle_stage(double p, size_t c)
{
    double deep = 0.22 + 0.38 / (double)(c + 1);
    double dream = 0.93 - 0.07 * (double)(c < 4 ? c + 1 : 5);
    if (p < 0.05)
        return N1;
    if (p >= dream && p < 0.97)
        return REM;
    return p >= 0.22 && p < deep ? N3 : N2;
}

static void make_hypnogram(synth_night *night)
{
    size_t lead = night->epochs / 80; /* awake before and after */
    size_t sleep = night->epochs - 2 * lead;
    size_t cycle = sleep < 180 ? sleep : 180; /* 90 minutes */
    for (size_t e = 0; e < night->epochs; e++) {
        size_t at = e - lead;
        bool up = e < lead || at >= sleep || noise_uniform(&night->noise) < 0.015;
        night->stages[e] =
            (unsigned char)(up ? WAKE
                               : cycle_stage((double)(at % cycle) / (double)cycle, at / cycle));
    }
}

static brain brain_make(uint64_t seed)
{
    return (brain){.noise = {seed},
                   .rhythms = {rhythm_make(1.2, 0.8, RATE), rhythm_make(5.5, 2.0, RATE),
                               rhythm_make(10.0, 1.5, RATE), rhythm_make(13.5, 1.0, RATE)}};
}

synth_night *synth_night_open(size_t epochs, uint64_t seed)
{
    synth_night *night = calloc(1, sizeof *night);
    if (!night)
        return NULL;
    night->epochs = epochs;
    night->noise.state = seed;
    night->depth = 1.0;
    night->stages = calloc(epochs + 1, 1);
    if (!night->stages) {
        synth_night_close(&night);
        return NULL;
    }
    make_hypnogram(night);
    for (size_t i = 0; i < 3; i++)
        night->brains[i] = brain_make(noise_bits(&night->noise));
    return night;
}

void synth_night_close(synth_night **night)
{
    if (*night)
        free((*night)->stages);
    free(*night);
    *night = NULL;
}

static double bump(double x, double centre, double width)
{
    double z = (x - centre) / width;
    return z * z > 50.0 ? 0.0 : exp(-0.5 * z * z);
}

/* P, R, S and T by the phase of the beat; 60 to 70 beats a minute, faster with each breath in. */
static void put_ecg(synth_night *night, int stage, double breath, float *ecg)
{
    double rate = (stage == REM ? 68.0 : stage == N3 ? 61.0 : 65.0) / 60.0 / RATE;
    for (size_t i = 0; i < SYNTH_PSG_SAMPLES; i++) {
        double lung = sin(breath + 2.0 * PI * 0.25 / RATE * (double)i);
        night->beat += rate * (1.0 + 0.04 * lung);
        night->beat -= floor(night->beat);
        double x = night->beat;
        double wave = 0.5 * bump(x, 0.2, 0.025) + 6.2 * bump(x, 0.36, 0.012) -
                      1.3 * bump(x, 0.39, 0.012) + 0.9 * bump(x, 0.62, 0.05);
        ecg[i] = (float)(wave - 0.29 + 0.05 * noise_normal(&night->noise));
    }
}

/* Tone of the chin falls with sleep and is gone in REM; legs kick every half minute in light sleep.
 */
static void put_emg(synth_night *night, int stage, float *chin, float *left, float *right)
{
    static const double tone[STAGES] = {1.7, 1.1, 0.8, 0.7, 0.25};
    bool kicks = stage == N1 || stage == N2;
    noise *n = &night->noise;
    for (size_t i = 0; i < SYNTH_PSG_SAMPLES; i++) {
        double twitch = burst_next(&night->chin, n, 40.0, 1.0, stage != N3, RATE);
        double kick = burst_next(&night->leg[0], n, 28.0, 1.5, kicks, RATE);
        double answer = burst_next(&night->leg[1], n, 55.0, 1.5, kicks, RATE);
        chin[i] = (float)((tone[stage] + 0.9 * twitch) * noise_normal(n));
        left[i] = (float)((0.8 + 2.2 * kick) * noise_normal(n));
        right[i] = (float)((0.8 + 2.2 * answer) * noise_normal(n));
    }
}

/* A quarter of a breath a second. In an obstructive apnoea no air flows while belly and chest go
 * on, against each other; deep breaths and a snore end it. Only light sleep and REM have them. */
static void put_breath(synth_night *night, int stage, float *abd, float *thx, float *flow,
                       float *snore)
{
    static const double snoring[STAGES] = {0.15, 0.6, 1.1, 1.5, 0.5};
    noise *n = &night->noise;
    bool open = stage == N1 || stage == N2 || stage == REM;
    double rate = 2.0 * PI * (stage == WAKE ? 0.28 : 0.25) / RATE;
    for (size_t i = 0; i < SYNTH_PSG_SAMPLES; i++) {
        double stop = burst_next(&night->apnoea, n, 70.0, 18.0, open, RATE);
        double wanted = night->apnoea.on ? 0.05 : 1.0;
        night->depth += (wanted - night->depth) * 0.4 / RATE;
        double effort = 1.0 + 0.6 * (1.0 - night->depth) - 0.7 * stop;
        night->breath += rate * (1.0 + 0.2 * noise_normal(n));
        double in = sin(night->breath);
        double air = effort * (1.0 - stop) + 0.05;
        abd[i] = (float)(1.3 * effort * in + 0.05 * noise_normal(n));
        thx[i] =
            (float)(1.3 * effort * sin(night->breath - 0.3 - 2.6 * stop) + 0.05 * noise_normal(n));
        flow[i] =
            (float)(1.35 * air * (in + 0.35 * sin(2.0 * night->breath)) + 0.06 * noise_normal(n));
        double rasp = in > 0.2 ? snoring[stage] * air * 1.6 * (in - 0.2) : 0.0;
        snore[i] = (float)((0.3 + rasp) * noise_normal(n));
    }
    night->breath = fmod(night->breath, 2.0 * PI);
}

/* Slow waves, theta, alpha, spindles and fast noise, in the stage's mixture. */
static double brain_next(brain *b, int stage)
{
    static const double mix[STAGES][RHYTHMS + 1] = {
        {0.35, 0.35, 0.9, 0.0, 0.4}, {0.5, 0.8, 0.3, 0.0, 0.3}, {0.9, 0.5, 0.15, 1.1, 0.25},
        {1.8, 0.4, 0.1, 0.5, 0.2},   {0.5, 0.8, 0.3, 0.0, 0.3},
    };
    double sum = mix[stage][RHYTHMS] * noise_normal(&b->noise);
    double gate = burst_next(&b->spindle, &b->noise, 9.0, 1.0, stage == N2 || stage == N3, RATE);
    for (int k = 0; k < RHYTHMS; k++) {
        double wave = rhythm_next(&b->rhythms[k], noise_normal(&b->noise));
        sum += mix[stage][k] * wave * (k == SIGMA ? gate : 1.0);
    }
    return sum;
}

/* The eyes move against each other (their poles turn together): slow rolls at the edge of sleep,
 * darts in REM and awake; the brain's waves reach both alike. */
static void put_eyes_and_brain(synth_night *night, int stage, float *e1, float *e2, float *c3,
                               float *c4)
{
    noise *n = &night->noise;
    bool darts = stage == WAKE || stage == REM;
    double rolling = stage == N1 ? 1.6 : stage == WAKE ? 0.6 : 0.1;
    for (size_t i = 0; i < SYNTH_PSG_SAMPLES; i++) {
        bool before = night->glance.on;
        burst_next(&night->glance, n, 1.2, 0.3, darts, RATE);
        if (before != night->glance.on)
            night->gaze += (noise_uniform(n) - 0.5) * 7.0;
        night->gaze *= 1.0 - 2.0 / RATE;
        night->roll += 2.0 * PI * 0.3 / RATE * (1.0 + 0.3 * noise_normal(n));
        double turn = night->gaze + rolling * sin(night->roll);
        double all = brain_next(&night->brains[0], stage);
        e1[i] = (float)(turn + 0.45 * all + 0.15 * noise_normal(n));
        e2[i] = (float)(-0.9 * turn + 0.45 * all + 0.15 * noise_normal(n));
        c3[i] = (float)(0.65 * all + 0.5 * brain_next(&night->brains[1], stage));
        c4[i] = (float)(0.65 * all + 0.5 * brain_next(&night->brains[2], stage));
    }
    night->roll = fmod(night->roll, 2.0 * PI);
}

void synth_night_next(synth_night *night, float *epoch)
{
    size_t last = night->epochs ? night->epochs - 1 : 0;
    int stage = night->stages[night->next < night->epochs ? night->next : last];
    float *ch[SYNTH_PSG_CHANNELS];
    for (size_t c = 0; c < SYNTH_PSG_CHANNELS; c++)
        ch[c] = epoch + c * SYNTH_PSG_SAMPLES;
    put_ecg(night, stage, night->breath, ch[0]);
    put_emg(night, stage, ch[1], ch[2], ch[3]);
    put_breath(night, stage, ch[4], ch[5], ch[6], ch[7]);
    put_eyes_and_brain(night, stage, ch[8], ch[9], ch[10], ch[11]);
    night->next++;
}

/* ---- EEG ------------------------------------------------------------------------------------- */

enum { SOURCES = 5 };

struct synth_eeg {
    size_t channels;
    noise noise;
    rhythm sources[SOURCES];
    burst blink;
    double *sample; /* [channels], one moment, before the reference is taken off */
};

synth_eeg *synth_eeg_open(size_t channels, uint64_t seed)
{
    static const double hertz[SOURCES][2] = {
        {2.0, 2.0}, {6.0, 2.0}, {9.5, 1.5}, {10.5, 1.5}, {20.0, 8.0}}; /* centre, bandwidth */
    synth_eeg *eeg = calloc(1, sizeof *eeg);
    if (!eeg)
        return NULL;
    eeg->channels = channels;
    eeg->noise.state = seed;
    for (size_t s = 0; s < SOURCES; s++)
        eeg->sources[s] = rhythm_make(hertz[s][0], hertz[s][1], SYNTH_EEG_RATE);
    eeg->sample = calloc(channels + 1, sizeof *eeg->sample);
    if (!eeg->sample)
        synth_eeg_close(&eeg);
    return eeg;
}

void synth_eeg_close(synth_eeg **eeg)
{
    if (*eeg)
        free((*eeg)->sample);
    free(*eeg);
    *eeg = NULL;
}

/* One moment of all channels: each sees every source by its place from front (0) to back (1). */
static void eeg_moment(synth_eeg *eeg)
{
    static const double size[SOURCES] = {0.012, 0.008, 0.012, 0.010, 0.004}; /* millivolts */
    double now[SOURCES];
    for (size_t s = 0; s < SOURCES; s++)
        now[s] = size[s] * rhythm_next(&eeg->sources[s], noise_normal(&eeg->noise));
    double lid = 0.06 * burst_next(&eeg->blink, &eeg->noise, 4.0, 0.2, true, SYNTH_EEG_RATE);
    double sum = 0.0;
    for (size_t c = 0; c < eeg->channels; c++) {
        double place = ((double)c + 0.5) / (double)eeg->channels;
        double v = lid * exp(-6.0 * place) + 0.006 * noise_normal(&eeg->noise);
        for (size_t s = 0; s < SOURCES; s++)
            v += now[s] * (0.3 + cos(PI * (place * (double)(s + 1) + 0.4 * (double)s)));
        eeg->sample[c] = v;
        sum += v;
    }
    double mean = eeg->channels > 1 ? sum / (double)eeg->channels : 0.0;
    for (size_t c = 0; c < eeg->channels; c++)
        eeg->sample[c] -= mean;
}

void synth_eeg_next(synth_eeg *eeg, size_t samples, float *window)
{
    for (size_t i = 0; i < samples; i++) {
        eeg_moment(eeg);
        for (size_t c = 0; c < eeg->channels; c++)
            window[c * samples + i] = (float)eeg->sample[c];
    }
}
