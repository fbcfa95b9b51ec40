/* SPDX-License-Identifier: MIT */
/* How the weights of a linear layer lie in device memory, one layout for each precision. */
#include "vulkan/vulkan.h"

#include <math.h>
#include <string.h>

/* ---- float32: panels of 32 rows, k-major, as linear.comp reads them ---- */

enum { PANEL = 32 };

static uint64_t panels_bytes(size_t n, size_t k)
{
    return (uint64_t)((n + PANEL - 1) / PANEL * PANEL) * k * sizeof(float);
}

/* Panel by panel, so that whole lines of 32 are written where all of its rows are there. */
static void pack_panels(const float *rows, size_t first, size_t count, size_t n, size_t k,
                        float scale, void *packed)
{
    (void)n;
    for (size_t r = 0; r < count;) {
        size_t lane = (first + r) % PANEL, lanes = PANEL - lane;
        lanes = lanes < count - r ? lanes : count - r;
        float *panel = (float *)packed + (first + r - lane) * k + lane;
        for (size_t c = 0; c < k; c++)
            for (size_t i = 0; i < lanes; i++)
                panel[c * PANEL + i] = rows[(r + i) * k + c] * scale;
        r += lanes;
    }
}

/* ---- f16 and bf16: tiles of 16 x 16, one below the other, in the order of weights in
 * shaders/operand.glsl; filled up with zeros ---- */

enum { TILE = PV_FORM_TILE };

static uint64_t tiles_bytes(size_t n, size_t k)
{
    return (uint64_t)pv_whole_tiles(n) * pv_whole_tiles(k) * sizeof(uint16_t);
}

/* Where element (row, column) of W [n, k] lies. */
static size_t place(size_t row, size_t column, size_t n)
{
    const size_t tile = column / TILE * (pv_whole_tiles(n) / TILE) + row / TILE;
    const size_t r = row % TILE, c = column % TILE;
    const size_t lane = (r / 4 * 2 + r % 2) * 4 + c / 4;
    return tile * TILE * TILE + lane * 8 + r % 4 / 2 * 4 + c % 4;
}

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* Rounded to even; |value| is below 65504. Below 2^-14, where float16 has no more digits than the
 * last one of 0.5 in float32, the addition rounds. */
static uint16_t to_f16(float value)
{
    const uint32_t sign = bits_of(value) >> 16 & 0x8000u, bits = bits_of(value) & 0x7fffffffu;
    const uint32_t normal = ((bits + 0xfffu + (bits >> 13 & 1u)) >> 13) - (112u << 10);
    const uint32_t subnormal = bits_of(fabsf(value) + 0.5f) - bits_of(0.5f);
    return (uint16_t)(sign | (bits < 113u << 23 ? subnormal : normal));
}

static uint16_t to_bf16(float value)
{
    const uint32_t bits = bits_of(value);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

/* Inline, so that `convert` is known where it is called. */
static inline void pack_tiles(const float *rows, size_t first, size_t count, size_t n, size_t k,
                              float scale, uint16_t (*convert)(float), uint16_t *packed)
{
    for (size_t r = 0; r < count; r++)
        for (size_t c = 0; c < k; c++)
            packed[place(first + r, c, n)] = convert(rows[r * k + c] * scale);
}

static void pack_f16(const float *rows, size_t first, size_t count, size_t n, size_t k,
                     float scale, void *packed)
{
    pack_tiles(rows, first, count, n, k, scale, to_f16, packed);
}

static void pack_bf16(const float *rows, size_t first, size_t count, size_t n, size_t k,
                      float scale, void *packed)
{
    pack_tiles(rows, first, count, n, k, scale, to_bf16, packed);
}

/* What a normal f16 stands for. */
static float from_f16(uint16_t bits)
{
    const uint32_t wide = (uint32_t)(bits & 0x8000u) << 16 |
                          (((uint32_t)(bits & 0x7fffu) << 13) + (112u << 23));
    float value;
    memcpy(&value, &wide, sizeof value);
    return value;
}

/* value = first + second; behind a tile of first parts stands that of their second ones. */
static void pack_split(const float *rows, size_t first, size_t count, size_t n, size_t k,
                       float scale, void *packed)
{
    for (size_t r = 0; r < count; r++) {
        for (size_t c = 0; c < k; c++) {
            const float value = rows[r * k + c] * scale;
            const uint16_t half = to_f16(value);
            const int normal = (half & 0x7c00u) != 0;
            const size_t at = place(first + r, c, n), within = at % (TILE * TILE);
            uint16_t *parts = (uint16_t *)packed + 2 * at - within;
            parts[0] = normal ? half : 0;
            parts[TILE * TILE] = to_f16(normal ? value - from_f16(half) : value);
        }
    }
}

static uint64_t split_bytes(size_t n, size_t k)
{
    return 2 * tiles_bytes(n, k);
}

/* The largest weight in f16 becomes 2^13 to 2^14: far from 65504, and as many small ones as can be
 * stay normal. */
static const vk_packing packings[VK_LAYOUTS] = {
    [VK_LAYOUT_F32] = {panels_bytes, pack_panels, 0.0f},
    [VK_LAYOUT_F16] = {tiles_bytes, pack_f16, 16384.0f},
    [VK_LAYOUT_BF16] = {tiles_bytes, pack_bf16, 0.0f},
    [VK_LAYOUT_SPLIT] = {split_bytes, pack_split, 16384.0f},
};

/* A CPU makes up its matrices: OSF-nano by those of Mesa 26's llvmpipe takes 1.5 s, by threads
 * 0.2. */
vk_layout pv_vk_layout_of(const vk_device *device, psgvit_precision precision)
{
    const bool quick = device->base.info.type != PSGVIT_DEVICE_SOFTWARE;
    if (precision == PSGVIT_F32 && device->features.f16_matrix && quick)
        return VK_LAYOUT_SPLIT;
    return (vk_layout)precision;
}

bool pv_vk_by_fragments(const vk_device *device, vk_layout layout)
{
    return device->features.fragments && layout != VK_LAYOUT_F32 &&
           !atomic_load(&device->opaque[layout]);
}

const vk_packing *pv_vk_packing_of(vk_layout layout)
{
    return &packings[layout];
}

psgvit_status pv_vk_packed_bytes(const vk_device *device, vk_layout layout, size_t n, size_t k,
                                 uint64_t *bytes, psgvit_error *err)
{
    const uint64_t most = device->limits.maxStorageBufferRange;
    *bytes = packings[layout].bytes(n, k);
    if (*bytes <= most)
        return PSGVIT_OK;
    return pv_fail(err, PSGVIT_E_MEMORY,
                   "%s: out of memory: a weight of %zu x %zu takes %llu bytes, and a shader can "
                   "see %llu at once",
                   device->name, n, k, (unsigned long long)*bytes, (unsigned long long)most);
}
