/* SPDX-License-Identifier: MIT */
/*
 * Times ops on a Vulkan device by the device's own clock, in the shapes of OSF-base and EEGPT:
 * linear layers in every class of tiles (the one that would be chosen has a star), attention in
 * every team (f: of fragments, 0 x 1 of all queries), in f32 by threads (0 x 0), too, and
 * LayerNorm. Not a test.
 *
 *     bench_vulkan [--device NAME] [--precision f32|f16|bf16] [--only TEXT] [--rows FROM-TO]
 *                  [--tile BM,BN,BK,TM,TN,SPLIT,CHUNK]...
 *
 * --only: cases whose name has TEXT in it; --rows: with so many rows; --tile: more classes to
 * try, beside those of the library.
 */
#define _POSIX_C_SOURCE 200809L

#include "vulkan/attention.h"
#include "vulkan/linear.h"
#include "vulkan/vulkan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { COPIES = 12, RUNS = 5, RUN_MS = 20, WARM_MS = 700, TILE_MS = 40, MOST_TILES = 512 };

typedef struct bench {
    vk_device *device;
    psgvit_precision precision;
    vk_layout layout;
    const char *only;
    size_t least_rows, most_rows;
    vk_tile tiles[MOST_TILES];
    size_t tile_count;
} bench;

static psgvit_error err;

static void must(psgvit_status status)
{
    if (status) {
        fprintf(stderr, "bench_vulkan: %s\n", err.message);
        exit(1);
    }
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* Never zeros: they cost a GPU less power, and so less time. */
static float number(size_t i)
{
    return (float)((uint32_t)i * 2654435761u >> 8) * 0x1p-23f - 1.0f;
}

static void read_rows(const void *source, size_t first, size_t count, float *values)
{
    size_t cols = *(const size_t *)source;
    for (size_t i = 0; i < count * cols; i++)
        values[i] = number(first * cols + i) * 0.05f;
}

static pv_tensor random_tensor(const bench *b, size_t rows, size_t cols)
{
    const size_t floats = (rows + PV_FORM_TILE - 1) / PV_FORM_TILE * PV_FORM_TILE * cols;
    pv_buffer *host, *buffer;
    must(pv_buffer_create(&b->device->base, floats, PV_HOST, &host, &err));
    must(pv_buffer_create(&b->device->base, floats, PV_DEVICE, &buffer, &err));
    for (size_t i = 0; i < floats; i++)
        host->host[i] = number(i);
    pv_plan *plan;
    must(pv_plan_begin(&b->device->base, &plan, &err));
    pv_select_rows(plan, pv_view(host, 0, rows, cols), (pv_row_range){1, 0, 1},
                   pv_view(buffer, 0, rows, cols));
    must(pv_plan_finish(plan, &err));
    must(pv_plan_submit(plan, &err));
    pv_plan_destroy(plan);
    pv_buffer_destroy(&b->device->base, host);
    return pv_view(buffer, 0, rows, cols);
}

/* The same as a norm leaves it for linear layers. */
static pv_tensor random_operand(const bench *b, const pv_store *store, size_t rows, size_t cols)
{
    pv_tensor x = random_tensor(b, rows, cols), gamma = random_tensor(b, 1, cols);
    pv_tensor y = random_tensor(b, rows, cols);
    pv_norm_weight norm = {gamma, gamma, 1e-5f};
    pv_plan *plan;
    must(pv_plan_begin(&b->device->base, &plan, &err));
    y = pv_operand(plan, store, y);
    pv_layernorm(plan, x, &norm, y);
    must(pv_plan_finish(plan, &err));
    must(pv_plan_submit(plan, &err));
    pv_plan_destroy(plan);
    pv_buffer_destroy(&b->device->base, x.buffer);
    pv_buffer_destroy(&b->device->base, gamma.buffer);
    return y;
}

/* After a pause, which making weights is, a GPU's clock takes its time. */
static void warm_up(bench *b, pv_tensor t)
{
    pv_plan *plan;
    must(pv_plan_begin(&b->device->base, &plan, &err));
    for (int i = 0; i < COPIES; i++)
        pv_select_rows(plan, t, (pv_row_range){1, 0, 1}, t);
    must(pv_plan_finish(plan, &err));
    for (double begin = now(); now() - begin < WARM_MS;)
        must(pv_plan_submit(plan, &err));
    pv_plan_destroy(plan);
}

/* The best of some runs, ms; destroys the plan. Making its pipeline is a pause, too: without runs
 * before those that count the last tiles of a list took up to four times as long. */
static double time_plan(pv_plan *plan)
{
    double best = 1e30;
    must(pv_plan_finish(plan, &err));
    for (double begin = now(); now() - begin < TILE_MS;)
        must(pv_plan_submit(plan, &err));
    double begin = now();
    for (int i = 0; i < RUNS || now() - begin < RUN_MS; i++) {
        double start = now();
        must(pv_plan_submit(plan, &err));
        double ms = plan->device_ms > 0.0 ? plan->device_ms : now() - start;
        best = ms < best ? ms : best;
    }
    pv_plan_destroy(plan);
    return best;
}

/* ---- linear layers ---- */

typedef struct linear_shape {
    const char *name;
    size_t m, n, k;
    pv_epilogue epilogue;
} linear_shape;

static void bench_tile(bench *b, const linear_shape *s, const vk_tile *tile, pv_tensor x,
                       const pv_linear_weight weights[COPIES], pv_tensor y)
{
    pv_plan *plan;
    if (!pv_vk_tile_runs(b->device, b->layout, tile))
        return;
    bool chosen = tile == pv_vk_tile_for(b->device, b->layout, s->epilogue, s->m, s->n, s->k);
    must(pv_plan_begin(&b->device->base, &plan, &err));
    for (int i = 0; i < COPIES; i++) {
        ((vk_matrix *)weights[i].matrix)->tile = tile;
        pv_linear(plan, x, &weights[i], s->epilogue, y);
    }
    double ms = time_plan(plan) / COPIES;
    printf("%-16s %6zu %5zu %5zu  %3ux%3ux%3u %ux%u split %u chunk %2u%s", s->name, s->m,
           s->n, s->k, tile->bm, tile->bn, tile->bk, tile->tm, tile->tn, tile->split, tile->chunk,
           chosen ? "*" : " ");
    printf(" %8.1f us %6.2f TFLOP/s\n", ms * 1e3,
           2e-9 * (double)s->m * (double)s->n * (double)s->k / ms);
    fflush(stdout);
}

static void bench_linear(bench *b, const linear_shape *s)
{
    if (s->m < b->least_rows || s->m > b->most_rows || (b->only && !strstr(s->name, b->only)))
        return;
    pv_store *store;
    pv_linear_weight weights[COPIES] = {{0}};
    pv_rows source = {s->n, s->k, read_rows, &s->k, false};
    float *bias = calloc(s->n, sizeof *bias);
    must(pv_store_create(&b->device->base, b->precision, &store, &err));
    for (int i = 0; i < COPIES; i++) {
        must(pv_store_matrix(store, &source, &weights[i].matrix, &err));
        must(pv_store_tensor(store, bias, 1, s->n, &weights[i].bias, &err));
    }
    pv_tensor x = random_operand(b, store, s->m, s->k), y = random_tensor(b, s->m, s->n);
    warm_up(b, y);
    pv_plan *plan;
    must(pv_plan_begin(&b->device->base, &plan, &err));
    if (s->epilogue == PV_ADD) /* as in a block */
        y = pv_stream(plan, store, y);
    else if (s->epilogue == PV_GELU || strstr(s->name, "qkv"))
        y = pv_operand(plan, store, y);
    pv_plan_destroy(plan);
    const vk_tiles tiles = pv_vk_tiles(b->device, b->layout);
    for (size_t i = 0; i < tiles.count; i++)
        bench_tile(b, s, &tiles.at[i], x, weights, y);
    for (size_t i = 0; i < b->tile_count; i++)
        bench_tile(b, s, &b->tiles[i], x, weights, y);
    pv_buffer_destroy(&b->device->base, x.buffer);
    pv_buffer_destroy(&b->device->base, y.buffer);
    pv_store_destroy(store);
    free(bias);
}

/* ---- the others ---- */

typedef struct attention_case {
    const char *name;
    pv_attention_shape shape;
    pv_tensor qkv, y;
} attention_case;

/* With attention.comp where there is no team. */
static void bench_team(const bench *b, const attention_case *c, const vk_team *team)
{
    const pv_attention_shape *s = &c->shape;
    const size_t width = s->heads * s->dim;
    pv_tensor q = pv_columns(c->qkv, 0, width), k = pv_columns(c->qkv, width, width);
    pv_tensor v = pv_columns(c->qkv, 2 * width, width);
    pv_plan *plan;
    q.rows = s->sequences * s->queries;
    must(pv_plan_begin(&b->device->base, &plan, &err));
    for (int i = 0; i < COPIES; i++)
        must(pv_vk_record_team(plan, q, k, v, s, team, c->y, &err));
    double ms = time_plan(plan) / COPIES;
    bool chosen = team == pv_vk_team_for(b->device, (vk_layout)c->y.form, s);
    printf("%-16s %zu sequences, %zu queries, %zu keys  team %ux%u%s%s  %8.1f us %6.2f TFLOP/s\n",
           c->name, s->sequences, s->queries, s->keys, team ? team->down : 0,
           team ? team->across : 0, team && team->fragments ? "f" : " ", chosen ? "*" : " ",
           ms * 1e3,
           4e-9 * (double)(s->sequences * s->queries * s->keys) * (double)width / ms);
    fflush(stdout);
}

static void bench_attention(bench *b, const char *name, pv_attention_shape s)
{
    static const vk_team others[] = {{.down = 2, .across = 1, .fragments = true},
                                     {.down = 3, .across = 1, .fragments = true},
                                     {.down = 4, .across = 1, .fragments = true},
                                     {.down = 1, .across = 2}, {.down = 2, .across = 2},
                                     {.down = 2, .across = 1}, {.down = 3, .across = 2},
                                     {.down = 3, .across = 1}, {.down = 6, .across = 1},
                                     {.down = 6, .across = 2}};
    size_t width = s.heads * s.dim, rows = s.sequences * s.keys;
    if (rows < b->least_rows || rows > b->most_rows || (b->only && !strstr(name, b->only)))
        return;
    pv_store *store;
    must(pv_store_create(&b->device->base, b->precision, &store, &err));
    const bool ready = b->layout == VK_LAYOUT_F16 || b->layout == VK_LAYOUT_SPLIT;
    attention_case c = {name, s,
                        ready ? random_operand(b, store, rows, 3 * width)
                              : random_tensor(b, rows, 3 * width),
                        random_operand(b, store, s.sequences * s.queries, width)};
    warm_up(b, pv_view(c.y.buffer, 0, c.y.rows, width));
    const vk_teams teams = pv_vk_teams();
    if (!ready)
        bench_team(b, &c, NULL);
    for (size_t i = 0; i < teams.count; i++)
        if (pv_vk_team_runs(b->device, (vk_layout)c.y.form, &s, &teams.at[i]))
            bench_team(b, &c, &teams.at[i]);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (pv_vk_team_runs(b->device, (vk_layout)c.y.form, &s, &others[i]))
            bench_team(b, &c, &others[i]);
    pv_buffer_destroy(&b->device->base, c.qkv.buffer);
    pv_buffer_destroy(&b->device->base, c.y.buffer);
    pv_store_destroy(store);
}

static void bench_layernorm(bench *b, const char *name, size_t rows, size_t cols)
{
    if (rows < b->least_rows || rows > b->most_rows || (b->only && !strstr(name, b->only)))
        return;
    pv_tensor x = random_tensor(b, rows, cols), y = random_tensor(b, rows, cols);
    pv_tensor gamma = random_tensor(b, 1, cols);
    pv_norm_weight norm = {gamma, gamma, 1e-5f};
    pv_store *store;
    pv_plan *plan;
    must(pv_store_create(&b->device->base, b->precision, &store, &err));
    must(pv_plan_begin(&b->device->base, &plan, &err));
    x = pv_stream(plan, store, x); /* as in a block */
    y = pv_operand(plan, store, y);
    for (int i = 0; i < COPIES; i++)
        pv_layernorm(plan, x, &norm, y);
    double ms = time_plan(plan) / COPIES, bytes = (x.half ? 2.0 : 4.0) + (y.half ? 2.0 : 4.0);
    printf("%-16s %6zu %5zu  %8.1f us %6.0f GB/s\n", name, rows, cols, ms * 1e3,
           1e-6 * bytes * (double)(rows * cols) / ms);
    fflush(stdout);
    pv_store_destroy(store);
    pv_buffer_destroy(&b->device->base, x.buffer);
    pv_buffer_destroy(&b->device->base, y.buffer);
    pv_buffer_destroy(&b->device->base, gamma.buffer);
}

static void bench_all(bench *b)
{
    static const size_t rows[] = {91, 364, 1456, 5824, 23296};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const size_t m = rows[i];
        const linear_shape shapes[] = {{"osf qkv", m, 2304, 768, PV_PLAIN},
                                       {"osf out", m, 768, 768, PV_ADD},
                                       {"osf fc1", m, 3072, 768, PV_GELU},
                                       {"osf fc2", m, 768, 3072, PV_ADD}};
        for (int j = 0; j < 4; j++)
            bench_linear(b, &shapes[j]);
        bench_attention(b, "osf attention", (pv_attention_shape){m / 91, 91, 91, 12, 64, 0.125f});
        bench_layernorm(b, "osf norm", m, 768);
    }
    /* windows of 1000 samples: 22 channels, also 16 at once; the rows that a last block keeps; 4,
     * 64 and 58 channels, of these 16 at once */
    static const struct {
        size_t windows, tokens;
    } eegpt[] = {{1, 26}, {16, 26}, {1, 4}, {1, 8}, {1, 68}, {16, 62}};
    for (size_t i = 0; i < sizeof eegpt / sizeof *eegpt; i++) {
        const size_t sequences = 31 * eegpt[i].windows, tokens = eegpt[i].tokens;
        const size_t m = sequences * tokens;
        const linear_shape shapes[] = {{"eegpt patch", m - 4 * sequences, 512, 64, PV_PLAIN},
                                       {"eegpt qkv", m, 1536, 512, PV_PLAIN},
                                       {"eegpt out", m, 512, 512, PV_ADD},
                                       {"eegpt fc1", m, 2048, 512, PV_GELU},
                                       {"eegpt fc2", m, 512, 2048, PV_ADD},
                                       {"eegpt probe1", sequences, 16, 2048, PV_PLAIN},
                                       {"eegpt probe2", eegpt[i].windows, 4, 496, PV_PLAIN}};
        for (int j = 0; j < 7; j++)
            if (shapes[j].m)
                bench_linear(b, &shapes[j]);
        bench_attention(b, "eegpt attention",
                        (pv_attention_shape){sequences, tokens, tokens, 8, 64, 0.125f});
        bench_attention(b, "eegpt last",
                        (pv_attention_shape){sequences, 4, tokens, 8, 64, 0.125f});
        bench_layernorm(b, "eegpt norm", m, 512);
    }
}

static vk_tile read_tile(const char *text)
{
    vk_tile t = {0};
    if (sscanf(text, "%u,%u,%u,%u,%u,%u,%u", &t.bm, &t.bn, &t.bk, &t.tm, &t.tn, &t.split,
               &t.chunk) != 7) {
        fprintf(stderr, "bench_vulkan: --tile %s: expected 7 numbers\n", text);
        exit(2);
    }
    return t;
}

int main(int argc, char **argv)
{
    psgvit_device_params params = {.struct_size = sizeof params,
                                   .backend = PSGVIT_BACKEND_VULKAN};
    bench b = {.most_rows = SIZE_MAX};
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *value = argv[i + 1];
        if (!strcmp(argv[i], "--device"))
            params.device = value;
        else if (!strcmp(argv[i], "--only"))
            b.only = value;
        else if (!strcmp(argv[i], "--rows"))
            sscanf(value, "%zu-%zu", &b.least_rows, &b.most_rows);
        else if (!strcmp(argv[i], "--precision"))
            b.precision = !strcmp(value, "f16")    ? PSGVIT_F16
                          : !strcmp(value, "bf16") ? PSGVIT_BF16
                                                   : PSGVIT_F32;
        else if (!strcmp(argv[i], "--tile") && b.tile_count < MOST_TILES)
            b.tiles[b.tile_count++] = read_tile(value);
    }
    psgvit_device *device;
    must(psgvit_device_open(&device, &params, &err));
    printf("%s, %s\n", device->info.name, device->info.driver);
    b.device = (vk_device *)device;
    b.layout = pv_vk_layout_of(b.device, b.precision);
    bench_all(&b);
    psgvit_device_close(&device);
    return 0;
}
