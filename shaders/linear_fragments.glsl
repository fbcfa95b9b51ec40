/* SPDX-License-Identifier: MIT */
/*
 * A linear layer (linear_layer.glsl) where a thread knows its elements of a matrix
 * (fragments.glsl); the body of linear_fragments_f16.comp, linear_fragments_bf16.comp and
 * linear_fragments_split.comp.
 *
 * A workgroup makes a tile of BM x BN of y with DOWN x ACROSS subgroups, of which with KS > 1 there
 * are KS groups that share out each BK of k; their sums are added in order at the end. Each thread
 * reads its elements of x and of W straight from memory, 8 and 16 bytes at a time, some steps of 16
 * of k ahead, and finishes its elements of y, so that nobody waits for anybody but where groups
 * add up. What several subgroups read comes from L1. Tiles past the end repeat the last one and are
 * not stored; x counts as 0 past k.
 */
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_vote : require
#include "view.glsl"
#include "exp.glsl"
#include "operand.glsl"
#include "fragments.glsl"
#include "linear_layer.glsl"

const uint CM = BM / DOWN / 16, CN = BN / ACROSS / 16; /* matrices of a subgroup */
const uint STEPS = BK / KS / 16; /* of a group in BK; so many are fetched or multiplied */
const uint X_EACH = READY_X ? PARTS : 2; /* of 16 bytes, for a matrix */
const uint X_SET = X_EACH * CM, W_SET = PARTS * CN;

const uint HALF = TILE; /* of a tile, in units of 8 bytes */

uint x_from[READY_X ? CM : 2 * CM], w_from[CN]; /* where a thread's elements of step 0 are */
uvec4 x_next[STEPS * X_SET], w_next[STEPS * W_SET];

void begin(uint tile_row, uint tile_column)
{
    const uint lane = gl_SubgroupInvocationID, rows = (m + 15) / 16, columns = (n + 15) / 16;
    [[unroll]] for (uint i = 0; i < CM; i++) {
        const uint tile = min(tile_row + i, rows - 1);
        if (READY_X) {
            x_from[i] = x.at / 2 + 2 * tiles_size(FORM, tile) + lane;
        } else {
            [[unroll]] for (uint h = 0; h < 2; h++)
                x_from[2 * i + h] =
                    x.at + min(tile * 16 + row_of(h * 8 + lane / 4), m - 1) * x.stride;
        }
    }
    [[unroll]] for (uint j = 0; j < CN; j++)
        w_from[j] = tiles_size(FORM, min(tile_column + j, columns - 1)) + lane;
}

/* Fetches a step of k; past the end any. */
void fetch(uint set, uint wanted)
{
    const uint last = (k - 1) / 16, step = min(wanted, last);
    [[unroll]] for (uint i = 0; i < CM; i++)
        if (READY_X) {
            const uint from = x_from[i] + step * (x.stride / 2);
            [[unroll]] for (uint p = 0; p < PARTS; p++) {
                const uint at = from + 2 * p * HALF;
                x_next[set * X_SET + PARTS * i + p] =
                    !TAIL || wanted <= last ? uvec4(x_data4[at], x_data4[at + HALF]) : uvec4(0);
            }
        } else {
            const uint c = wanted * 16 + gl_SubgroupInvocationID % 4 * 4;
            [[unroll]] for (uint h = 0; h < 2; h++) {
                const uint from = x_from[2 * i + h] + (TAIL ? c : min(c, k - 4));
                x_next[set * X_SET + 2 * i + h] = floatBitsToUint(load_x(from, c));
            }
        }
    [[unroll]] for (uint j = 0; j < CN; j++) {
        const uint from = w_from[j] + step * w_pitch();
        [[unroll]] for (uint p = 0; p < PARTS; p++)
            w_next[set * W_SET + PARTS * j + p] = w_data8[from + p * TILE];
    }
}

/* What was fetched of x becomes the parts of a matrix. */
void make_ready(uint set, uint i, out uvec4 parts[PARTS])
{
    const uint at = set * X_SET + X_EACH * i;
    if (READY_X) {
        [[unroll]] for (uint p = 0; p < PARTS; p++)
            parts[p] = x_next[at + p];
        return;
    }
    const uvec4 a = operand4(FORM, uintBitsToFloat(x_next[at]));
    const uvec4 b = operand4(FORM, uintBitsToFloat(x_next[at + 1]));
    parts[0] = uvec4(a.xy, b.xy);
    parts[PARTS - 1] = PARTS == 2 ? uvec4(a.zw, b.zw) : parts[0];
}

/* ---- products ---- */

MatrixC sum[CM * CN];
#if PARTS == 2
/* A matrix unit cuts digits off where it should round, so sums of 32 are added to TOTALS. With sums
 * of 256 the mean over OSF-base's patches had 1.85 times PyTorch's error. */
#define TOTALS total
MatrixC total[CM * CN];
const uint CHUNK = 2; /* steps */
#else
#define TOTALS sum
#endif

/* Adds the products of a step. Of two parts second times second is left out, the smallest product
 * comes first. Second parts of x count 2^-11, which the first parts of W take over: they are so
 * large that no digit that matters is lost, and one sum does for all three. */
void multiply(uint set)
{
    MatrixA a[PARTS * CM];
    [[unroll]] for (uint i = 0; i < CM; i++) {
        uvec4 parts[PARTS];
        make_ready(set, i, parts);
        [[unroll]] for (uint p = 0; p < PARTS; p++)
            FILL(a[PARTS * i + p], parts[p])
    }
    [[unroll]] for (uint j = 0; j < CN; j++) {
        MatrixB b[PARTS];
        [[unroll]] for (uint p = 0; p < PARTS; p++)
            FILL(b[p], w_next[set * W_SET + PARTS * j + p])
#if PARTS == 2
        const MatrixB small = b[0] * Element(1.0 / 2048.0);
        [[unroll]] for (uint i = 0; i < CM; i++)
            sum[i * CN + j] = coopMatMulAdd(a[2 * i + 1], small, sum[i * CN + j]);
        [[unroll]] for (uint i = 0; i < CM; i++)
            sum[i * CN + j] = coopMatMulAdd(a[2 * i], b[1], sum[i * CN + j]);
#endif
        [[unroll]] for (uint i = 0; i < CM; i++)
            sum[i * CN + j] = coopMatMulAdd(a[PARTS * i], b[0], sum[i * CN + j]);
    }
#if PARTS == 2
    if (set % CHUNK == CHUNK - 1 || set + 1 == STEPS)
        [[unroll]] for (uint i = 0; i < CM * CN; i++) {
            total[i] += sum[i];
            sum[i] = MatrixC(0.0);
        }
#endif
}

/* All of k: while a step is multiplied the others are on their way. */
void sum_steps(uint group)
{
    const uint first = group * STEPS, on = KS * STEPS;
    [[unroll]] for (uint s = 0; s + 1 < STEPS; s++)
        fetch(s, first + s);
    for (uint step = first; step < first + (k + BK - 1) / BK * on; step += on)
        [[unroll]] for (uint s = 0; s < STEPS; s++) {
            if (s == 0)
                fetch(STEPS - 1, step + STEPS - 1);
            else
                fetch(s - 1, step + on + s - 1);
            multiply(s);
        }
}

/* ---- the end ---- */

/* Of tile (r, c) of y: the row and the first of the columns of a thread's four elements, of half h
 * of the tile; and where they stand if y is an operand. */
uvec3 place(uint r, uint c, uint h, uint lane)
{
    const uint to = 2 * (y.at / 4 + c * (y.stride / 4) + tiles_size(FORM, r)) + h * HALF + lane;
    return uvec3(r * 16 + row_of(h * 8 + lane / 4), c * 16 + lane % 4 * 4, to);
}

/* The largest sum, as its bits are ordered without the sign. A number of x that is too large makes
 * all sums of its row infinite or NaN, so nothing else is looked at on the way. */
uint most = 0;

void finish_at(uvec3 own, vec4 v, vec4 bias, vec4 old)
{
    const uvec4 bits = floatBitsToUint(abs(v));
    if (PARTS == 2 && own.x < m)
        most = max(max(most, max(bits.x, bits.y)), max(bits.z, bits.w));
    finish4(own.x, own.y, own.z, v, bias, old);
}

#if PARTS == 2
/* Is there such a number in a step of this subgroup's rows? */
bool has_too_large(uint tile_row)
{
    bool found = false;
    [[unroll]] for (uint i = 0; i < CM; i++) {
        const uint low = (tile_row + i) * 16 + row_of(gl_SubgroupInvocationID / 4);
        const uint high = (tile_row + i) * 16 + row_of(8 + gl_SubgroupInvocationID / 4);
        uvec4 parts[PARTS];
        make_ready(0, i, parts);
        found = found || low < m && too_large(uvec4(parts[0].xy, 0, 0)) ||
                high < m && too_large(uvec4(parts[0].zw, 0, 0));
    }
    return found;
}

/* In any of the workgroup's? Else NaN came from further up. x is gone through as by the products,
 * since other addresses would take registers from them: a tenth of the time of a large layer. */
bool find_too_large(uint tile_row)
{
    bool found = false;
    for (uint down = 0; down < DOWN; down++) {
        begin(tile_row + down * CM, 0);
        for (uint step = 0; step <= (k - 1) / 16; step++) {
            fetch(0, step);
            found = found || has_too_large(tile_row + down * CM);
        }
    }
    return found;
}
#endif

void store(uint tile_row, uint tile_column)
{
    [[unroll]] for (uint i = 0; i < CM; i++) {
        vec4 bias[CN], old[2 * CN];
        [[unroll]] for (uint at = 0; at < 2 * CN; at++) {
            const uvec3 own =
                place(tile_row + i, tile_column + at / 2, at % 2, gl_SubgroupInvocationID);
            bias[at / 2] = bias4(own.y);
            old[at] = old4(own.x, own.y, own.z);
        }
        [[unroll]] for (uint at = 0; at < 2 * CN; at++) {
            const uvec3 own =
                place(tile_row + i, tile_column + at / 2, at % 2, gl_SubgroupInvocationID);
            finish_at(own, FOUR_OF(TOTALS[i * CN + at / 2], at % 2), bias[at / 2], old[at]);
        }
    }
}

/* The groups' sums, each thread's four elements side by side, added in order by all threads. What
 * else the ends need is fetched before k is gone through, since such a tile takes hardly longer
 * than that. */
const uint FOURTHS = BM * BN / 4, SHARES = (FOURTHS + THREADS - 1) / THREADS;
shared vec4 sums[KS > 1 ? KS * FOURTHS : 1];
vec4 bias_next[SHARES], old_next[SHARES];

uvec3 place_of_share(uint t)
{
    const uint at = t * THREADS + gl_LocalInvocationIndex, tile = at / 64;
    return place(gl_WorkGroupID.y * (BM / 16) + tile / (BN / 16),
                 gl_WorkGroupID.x * (BN / 16) + tile % (BN / 16), at / 32 % 2, at % 32);
}

void fetch_ends()
{
    [[unroll]] for (uint t = 0; t < SHARES; t++) {
        const uvec3 own = place_of_share(t);
        bias_next[t] = bias4(own.y);
        old_next[t] = old4(own.x, own.y, own.z);
    }
}

void store_groups(uint group, uint down, uint across)
{
    [[unroll]] for (uint i = 0; i < CM; i++)
        [[unroll]] for (uint at = 0; at < 2 * CN; at++) {
            const uint tile = (down * CM + i) * (BN / 16) + across * CN + at / 2;
            sums[group * FOURTHS + tile * 64 + at % 2 * 32 + gl_SubgroupInvocationID] =
                FOUR_OF(TOTALS[i * CN + at / 2], at % 2);
        }
    barrier();
    [[unroll]] for (uint t = 0; t < SHARES; t++) {
        const uint at = t * THREADS + gl_LocalInvocationIndex;
        const uvec3 own = place_of_share(t);
        if (at >= FOURTHS)
            continue;
        vec4 v = sums[at];
        [[unroll]] for (uint g = 1; g < KS; g++)
            v += sums[g * FOURTHS + at];
        finish_at(own, v, bias_next[t], old_next[t]);
    }
}

void main()
{
    const uint group = gl_SubgroupID / GROUP, own = gl_SubgroupID % GROUP;
    const uint down = own / ACROSS, across = own % ACROSS;
    const uint tile_row = gl_WorkGroupID.y * (BM / 16) + down * CM;
    const uint tile_column = gl_WorkGroupID.x * (BN / 16) + across * CN;

    [[unroll]] for (uint i = 0; i < CM * CN; i++)
        sum[i] = TOTALS[i] = MatrixC(0.0);
    begin(tile_row, tile_column);
    if (KS > 1)
        fetch_ends();
    sum_steps(group);
    if (KS > 1)
        store_groups(group, down, across);
    else
        store(tile_row, tile_column);
#if PARTS == 2
    const bool infinite = subgroupAny(most >= 0x7f800000u);
    if (infinite && gl_WorkGroupID.x == 0 && find_too_large(gl_WorkGroupID.y * (BM / 16)))
        flag = 1.0;
#endif
}
