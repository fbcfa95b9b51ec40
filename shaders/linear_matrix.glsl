/* SPDX-License-Identifier: MIT */
/*
 * A linear layer (linear_layer.glsl) by cooperative matrices of EDGE x EDGE x EDGE with float32
 * sums, whatever their elements' order is; the body of linear_f16.comp, linear_bf16.comp and
 * linear_split.comp.
 *
 * A workgroup makes a tile of BM x BN of y with DOWN x ACROSS subgroups; slabs of BK of k go
 * through shared memory, one is fetched into registers while another is multiplied. With KS > 1 a
 * slab is shared out to KS groups of so many subgroups, whose sums are added in order at the end.
 * Rows and columns past the end repeat the last one, or its tile, and are not stored; x counts as 0
 * past k.
 */
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#include "view.glsl"
#include "exp.glsl"
#include "operand.glsl"
#include "linear_layer.glsl"

const uint EIGHTS = BK / 8; /* of a row of a slab */
const uint CM = BM / DOWN / EDGE, CN = BN / ACROSS / EDGE; /* matrices of a subgroup */
const uint CK = BK / KS / EDGE; /* of a slab, for one group */
const uint X_LOADS = (BM * EIGHTS + THREADS - 1) / THREADS;
const uint W_LOADS = (BN * EIGHTS + THREADS - 1) / THREADS;

/* Slabs of x and of W, part by part, row by row, in units of 8 bytes, two more a row to spread the
 * rows over the banks. At the end, in float32, each group's sums, [BM, BN]; or, of one group, a row
 * of matrices of each subgroup, [EDGE, CN * EDGE], its stride an odd number of 4, so that rows of
 * matrices lie in other banks. */
const uint STRIDE = 2 * (EIGHTS + 1), ACROSS4 = CN * EDGE / 4, OUT_STRIDE = 2 * (ACROSS4 | 4);
const uint SUM_STRIDE = 2 * (BN / 4 + 1);
const uint X_PART = BM * STRIDE, W_PART = BN * STRIDE, W_SLAB = PARTS * X_PART;
const uint SLAB = PARTS * (X_PART + W_PART);
const uint OUT = KS > 1 ? KS * BM * SUM_STRIDE : GROUP * EDGE * OUT_STRIDE;
shared uvec2 slab[SLAB > OUT ? SLAB : OUT];

#define MatrixA coopmat<Element, gl_ScopeSubgroup, EDGE, EDGE, gl_MatrixUseA>
#define MatrixB coopmat<Element, gl_ScopeSubgroup, EDGE, EDGE, gl_MatrixUseB>
#define MatrixC coopmat<float, gl_ScopeSubgroup, EDGE, EDGE, gl_MatrixUseAccumulator>

/* ---- slabs ---- */

/* Which row of a slab of x, and which eighth of it, this thread's load i takes. */
uvec2 x_place(uint i)
{
    const uint at = gl_LocalInvocationIndex + i * THREADS;
    return READY_X ? place_of(BK / 16, at) : uvec2(at / EIGHTS, at % EIGHTS);
}

bool takes_x(uint i)
{
    return BM * EIGHTS % THREADS == 0 || gl_LocalInvocationIndex + i * THREADS < BM * EIGHTS;
}

/* Which tile of a slab of W, down n and along k, and which eight numbers of it. */
uvec3 w_place(uint i)
{
    const uint at = gl_LocalInvocationIndex + i * THREADS, tile = at / 32;
    return uvec3(tile / (BK / 16), tile % (BK / 16), at % 32);
}

bool takes_w(uint i)
{
    return BN * EIGHTS % THREADS == 0 || gl_LocalInvocationIndex + i * THREADS < BN * EIGHTS;
}

bool found = false; /* a number of x that is too large */
uint x_from[X_LOADS], w_from[W_LOADS]; /* where this thread's share of the first slab begins */
/* What was fetched: eight numbers each two, parts or the bits of float32; of W eight each part. */
uvec4 x_next[2 * X_LOADS], w_next[PARTS * W_LOADS];

void begin(uint row0, uint column0)
{
    [[unroll]] for (uint i = 0; i < X_LOADS; i++) {
        const uvec2 place = x_place(i);
        const uint row = min(row0 + place.x, m - 1), c = place.y * 8;
        x_from[i] = READY_X ? eighth_at(FORM, x, row, c) : x.at + row * x.stride + c;
    }
    [[unroll]] for (uint i = 0; i < W_LOADS; i++) {
        const uvec3 place = w_place(i);
        w_from[i] = tiles_size(FORM, min(column0 / 16 + place.x, (n - 1) / 16)) + place.z;
    }
}

/* Fetches the slab of k from `first` on into registers. Past the end, where nobody will multiply
 * it, the last one: with a branch around it a driver copies registers, and so waits for them. */
void fetch(uint first)
{
    first = TAIL ? first : min(first, k - BK);
    const uint x_on = first / 16 * (x.stride / 4);
    [[unroll]] for (uint i = 0; i < X_LOADS; i++) {
        const uint c = first + x_place(i).y * 8;
        if (READY_X && takes_x(i))
            [[unroll]] for (uint p = 0; p < PARTS; p++)
                x_next[2 * i + p] = !TAIL || c < k ? x_data8[x_from[i] + x_on + p * TILE]
                                                   : uvec4(0);
        if (!READY_X && takes_x(i)) {
            x_next[2 * i] = floatBitsToUint(load_x(x_from[i] + first, c));
            x_next[2 * i + 1] = floatBitsToUint(load_x(x_from[i] + first + 4, c + 4));
        }
    }
    [[unroll]] for (uint i = 0; i < W_LOADS; i++) {
        const uint tile = min(first / 16 + w_place(i).y, (k - 1) / 16); /* past k: any */
        if (takes_w(i))
            [[unroll]] for (uint p = 0; p < PARTS; p++)
                w_next[PARTS * i + p] = w_data8[w_from[i] + tile * w_pitch() + p * TILE];
    }
}

/* Puts what was fetched into shared memory. */
void stash()
{
    [[unroll]] for (uint i = 0; i < X_LOADS; i++) {
        const uvec2 place = x_place(i);
        if (!takes_x(i))
            continue;
        if (!READY_X)
            operand8(FORM, x_next[2 * i], x_next[2 * i + 1]);
        if (PARTS == 2 && gl_WorkGroupID.x == 0)
            found = found || too_large(x_next[2 * i]);
        [[unroll]] for (uint p = 0; p < PARTS; p++) {
            const uint at = p * X_PART + place.x * STRIDE + place.y * 2;
            slab[at] = x_next[2 * i + p].xy;
            slab[at + 1] = x_next[2 * i + p].zw;
        }
    }
    [[unroll]] for (uint i = 0; i < W_LOADS; i++) {
        const uvec3 place = w_place(i);
        const uint row = place.x * 16 + weight_row(place.z), fourth = place.y * 4 + place.z % 4;
        if (!takes_w(i))
            continue;
        [[unroll]] for (uint p = 0; p < PARTS; p++) {
            const uint at = W_SLAB + p * W_PART + row * STRIDE + fourth;
            slab[at] = w_next[PARTS * i + p].xy;
            slab[at + 2 * STRIDE] = w_next[PARTS * i + p].zw;
        }
    }
}

/* ---- products ---- */

MatrixC sum[CM * CN];
#if PARTS == 2
/* See TOTALS in linear_fragments.glsl. */
MatrixC total[CM * CN];
const uint CHUNK = 32 / EDGE;
#endif

/* Step c of a slab: adds the products of CM matrices of x with CN of W. Of two parts second times
 * second is left out, the smallest product comes first. Second parts of x count 2^-11, which the
 * first parts of W take over: they are so large that no digit that matters is lost, and one sum
 * does for all three. */
void multiply(uint c, uint group, uint down, uint across)
{
    const uint at = (group * CK + c) * EDGE / 4;
    MatrixA a[PARTS * CM];
    [[unroll]] for (uint i = 0; i < CM; i++)
        [[unroll]] for (uint p = 0; p < PARTS; p++)
            coopMatLoad(a[PARTS * i + p], slab, p * X_PART + (down * CM + i) * EDGE * STRIDE + at,
                        STRIDE, gl_CooperativeMatrixLayoutRowMajor);
    [[unroll]] for (uint j = 0; j < CN; j++) {
        MatrixB b[PARTS];
        [[unroll]] for (uint p = 0; p < PARTS; p++)
            coopMatLoad(b[p], slab,
                        W_SLAB + p * W_PART + (across * CN + j) * EDGE * STRIDE + at, STRIDE,
                        gl_CooperativeMatrixLayoutColumnMajor);
#if PARTS == 2
        const MatrixB small = b[0] * Element(1.0 / 2048.0);
        [[unroll]] for (uint i = 0; i < CM; i++) {
            sum[i * CN + j] = coopMatMulAdd(a[2 * i + 1], small, sum[i * CN + j]);
            sum[i * CN + j] = coopMatMulAdd(a[2 * i], b[1], sum[i * CN + j]);
        }
#endif
        [[unroll]] for (uint i = 0; i < CM; i++)
            sum[i * CN + j] = coopMatMulAdd(a[PARTS * i], b[0], sum[i * CN + j]);
    }
#if PARTS == 2
    if ((c + 1) % CHUNK == 0 || c + 1 == CK)
        [[unroll]] for (uint i = 0; i < CM * CN; i++) {
            total[i] += sum[i];
            sum[i] = MatrixC(0.0);
        }
#endif
}

/* ---- the end ---- */

/* Which row and which four columns of a row of matrices a thread writes: neighbours in memory. */
uvec2 out_place(uint at)
{
    const uint matrix = at / (EDGE * EDGE / 4), within = at % (EDGE * EDGE / 4);
    return READY_Y ? uvec2(within / (EDGE / 4), matrix * (EDGE / 4) + within % (EDGE / 4))
                   : uvec2(at / ACROSS4, at % ACROSS4);
}

/* Four neighbours of a row of sums that begins at `row`, the first of them column 4 c. */
vec4 sums4(uint row, uint c)
{
    return uintBitsToFloat(uvec4(slab[row + 2 * c], slab[row + 2 * c + 1]));
}

/* Where four neighbours of a row of y stand if it is an operand. */
uint to_of(uint row, uint column)
{
    return READY_Y ? fourth_at(FORM, y, row, column) : 0;
}

void finish_at(uint row, uint column, vec4 v, vec4 bias, vec4 old)
{
    finish4(row, column, to_of(row, column), v, bias, old);
}

/* A subgroup's matrices, a row of them at a time, go through its own part of shared memory, since
 * which element a thread holds is the driver's secret. */
void store(uint row0, uint column0, uint part, uint lane)
{
    const uint ROUNDS = (EDGE * ACROSS4 + SUBGROUP - 1) / SUBGROUP;
    [[unroll]] for (uint i = 0; i < CM; i++) {
        vec4 bias[ROUNDS], old[ROUNDS];
        [[unroll]] for (uint t = 0; t < ROUNDS; t++) {
            const uvec2 place = out_place(t * SUBGROUP + lane);
            const uint row = row0 + i * EDGE + place.x, column = column0 + place.y * 4;
            bias[t] = bias4(column);
            old[t] = old4(row, column, to_of(row, column));
        }
        [[unroll]] for (uint j = 0; j < CN; j++)
            coopMatStore(sum[i * CN + j], slab, part + j * EDGE / 2, OUT_STRIDE,
                         gl_CooperativeMatrixLayoutRowMajor);
        controlBarrier(gl_ScopeSubgroup, gl_ScopeSubgroup, gl_StorageSemanticsShared,
                       gl_SemanticsAcquireRelease);
        [[unroll]] for (uint t = 0; t < ROUNDS; t++) {
            const uvec2 place = out_place(t * SUBGROUP + lane);
            if (t * SUBGROUP + lane < EDGE * ACROSS4)
                finish_at(row0 + i * EDGE + place.x, column0 + place.y * 4,
                          sums4(part + place.x * OUT_STRIDE, place.y), bias[t], old[t]);
        }
        controlBarrier(gl_ScopeSubgroup, gl_ScopeSubgroup, gl_StorageSemanticsShared,
                       gl_SemanticsAcquireRelease);
    }
}

/* The groups' sums, added in order by all threads. What else the ends need is fetched before k is
 * gone through, since such a tile takes hardly longer than that. */
const uint SHARES = (BM * BN / 4 + THREADS - 1) / THREADS;
vec4 bias_next[SHARES], old_next[SHARES];

void fetch_ends(uint row0, uint column0)
{
    [[unroll]] for (uint t = 0; t < SHARES; t++) {
        const uint at = t * THREADS + gl_LocalInvocationIndex;
        const uint row = row0 + at / (BN / 4), column = column0 + at % (BN / 4) * 4;
        bias_next[t] = bias4(column);
        old_next[t] = old4(row, column, to_of(row, column));
    }
}

void store_groups(uint row0, uint column0, uint group, uint down, uint across)
{
    const uint own = (group * BM + down * CM * EDGE) * SUM_STRIDE + across * ACROSS4 * 2;
    barrier();
    [[unroll]] for (uint i = 0; i < CM; i++)
        [[unroll]] for (uint j = 0; j < CN; j++)
            coopMatStore(sum[i * CN + j], slab, own + i * EDGE * SUM_STRIDE + j * EDGE / 2,
                         SUM_STRIDE, gl_CooperativeMatrixLayoutRowMajor);
    barrier();
    [[unroll]] for (uint t = 0; t < SHARES; t++) {
        const uint at = t * THREADS + gl_LocalInvocationIndex, r = at / (BN / 4), c = at % (BN / 4);
        if (at >= BM * BN / 4)
            continue;
        vec4 v = sums4(r * SUM_STRIDE, c);
        [[unroll]] for (uint g = 1; g < KS; g++)
            v += sums4((g * BM + r) * SUM_STRIDE, c);
        finish_at(row0 + r, column0 + c * 4, v, bias_next[t], old_next[t]);
    }
}

void main()
{
    const uint row0 = gl_WorkGroupID.y * BM, column0 = gl_WorkGroupID.x * BN;
    const uint group = gl_SubgroupID / GROUP, own = gl_SubgroupID % GROUP;
    const uint down = own / ACROSS, across = own % ACROSS;

    [[unroll]] for (uint i = 0; i < CM * CN; i++) {
        sum[i] = MatrixC(0.0);
#if PARTS == 2
        total[i] = MatrixC(0.0);
#endif
    }
    begin(row0, column0);
    fetch(0);
    if (KS > 1)
        fetch_ends(row0, column0);
    for (uint first = 0; first < k; first += BK) {
        barrier();
        stash();
        barrier();
        fetch(first + BK);
        [[unroll]] for (uint c = 0; c < CK; c++)
            multiply(c, group, down, across);
    }
#if PARTS == 2
    [[unroll]] for (uint i = 0; i < CM * CN; i++)
        sum[i] = total[i];
    if (found)
        flag = 1.0;
#endif
    if (KS > 1) {
        store_groups(row0, column0, group, down, across);
        return;
    }
    barrier();
    store(row0 + down * CM * EDGE, column0 + across * CN * EDGE, own * EDGE * OUT_STRIDE,
          gl_SubgroupInvocationID);
}
