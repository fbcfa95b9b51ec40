/* SPDX-License-Identifier: MIT */
/*
 * y = epilogue(scale x W^T + bias) by cooperative matrices of EDGE x EDGE x EDGE with float32 sums;
 * the body of linear_f16.comp, linear_bf16.comp and linear_split.comp, which define FORM (see
 * operand.glsl), Element, its 16-bit number, and how many PARTS of them make a float32. x [m, k]
 * and y [m, n] are float32 or operands, W [n, k] lies as an operand does, without gaps, filled up
 * with 0; of two parts their sum is the weight.
 *
 * A workgroup makes a tile of BM x BN of y with DOWN x ACROSS subgroups; slabs of BK of k go
 * through shared memory, one is fetched into registers while another is multiplied. With KS > 1 a
 * slab is shared out to KS groups of so many subgroups, whose sums are added in order at the end.
 * Rows and columns past the end repeat the last one and are not stored; x counts as 0 past k.
 *
 * SLABS says how many lie in shared memory. With one, all wait twice a slab, and what hides that
 * is another workgroup on the same multiprocessor: an H200 takes two if they have at most 24 KiB
 * each. With two, the next slab is put beside the one that is multiplied, slabs are fetched two
 * ahead, and the first matrices of a slab are taken before the last ones of the slab before are
 * multiplied, so that a workgroup hides its own waiting: for as many tiles as multiprocessors, and
 * a long k.
 *
 * With none x is an operand, k a multiple of BK, and each subgroup takes its matrices straight from
 * memory, with their rows in the order that they have there. They are read as often as there are
 * tiles, but nobody waits for anybody before the end, which is what counts where there is little
 * work.
 */
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#include "view.glsl"
#include "exp.glsl"
#include "operand.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint BM = 64;
layout(constant_id = 2) const uint BN = 64;
layout(constant_id = 3) const uint BK = 64;
layout(constant_id = 4) const uint DOWN = 2; /* subgroups */
layout(constant_id = 5) const uint ACROSS = 2;
layout(constant_id = 6) const uint KS = 1;
layout(constant_id = 7) const uint EPILOGUE = 0; /* pv_epilogue */
layout(constant_id = 8) const bool BIAS = false;
layout(constant_id = 9) const bool VECTOR_X = false; /* 4 | at, stride, k */
layout(constant_id = 10) const bool VECTOR_Y = false; /* 4 | at, stride, n */
layout(constant_id = 11) const bool READY_X = false; /* x is an operand */
layout(constant_id = 12) const bool READY_Y = false; /* y becomes one */
layout(constant_id = 13) const uint EDGE = 16; /* 8 or 16 */
layout(constant_id = 14) const uint SUBGROUP = 32; /* threads of one */
layout(constant_id = 15) const bool TAIL = true; /* k is no multiple of BK, or of two slabs */
layout(constant_id = 16) const uint SLABS = 1;

const uint PLAIN = 0, GELU = 1, ADD = 2;
const bool DIRECT = SLABS == 0;

layout(push_constant, std430) uniform Push {
    View x, y;
    uint bias_at;
    uint m, n, k;
    float scale;
};
layout(binding = 0) readonly buffer X { float x_data[]; };
layout(binding = 0) readonly buffer X4 { vec4 x_data4[]; };
layout(binding = 0) readonly buffer X8 { uvec4 x_data8[]; };
layout(binding = 1) readonly buffer W8 { uvec4 w_data8[]; };
layout(binding = 2) buffer Y { float y_data[]; };
layout(binding = 2) buffer Y4 { vec4 y_data4[]; };
layout(binding = 2) writeonly buffer YReady { uvec2 y_ready4[]; };
layout(binding = 3) readonly buffer Bias { float bias_data[]; };
#if PARTS == 2
layout(binding = 4) writeonly buffer Flag { float flag; };
#endif

const uint GROUP = DOWN * ACROSS; /* subgroups of a group */
const uint THREADS = KS * GROUP * SUBGROUP;
const uint EIGHTS = BK / 8; /* of a row of a slab */
const uint CM = BM / DOWN / EDGE, CN = BN / ACROSS / EDGE; /* matrices of a subgroup */
const uint CK = BK / KS / EDGE; /* of a slab, for one group */
const uint X_LOADS = (BM * EIGHTS + THREADS - 1) / THREADS;
const uint W_LOADS = (BN * EIGHTS + THREADS - 1) / THREADS;

/* Slabs of x and of W, part by part, row by row, in units of 16 bytes, one more a row to spread the
 * rows over the banks. At the end, in float32, each group's sums, [BM, BN]; or, of one group, a row
 * of matrices of each subgroup, [EDGE, CN * EDGE], its stride an odd number of 4, so that rows of
 * matrices lie in other banks. */
const uint STRIDE = EIGHTS + 1, ACROSS4 = CN * EDGE / 4, OUT_STRIDE = ACROSS4 | 4;
const uint SUM_STRIDE = BN / 4 + (DIRECT ? 0 : 1); /* so many groups have no room for more */
const uint X_PART = BM * STRIDE, W_PART = BN * STRIDE, W_SLAB = PARTS * X_PART;
const uint SLAB = PARTS * (X_PART + W_PART);
const uint OUT = KS > 1 ? KS * BM * SUM_STRIDE : GROUP * EDGE * OUT_STRIDE;
shared uvec4 slab[SLABS * SLAB > OUT ? SLABS * SLAB : OUT];

#define MatrixA coopmat<Element, gl_ScopeSubgroup, EDGE, EDGE, gl_MatrixUseA>
#define MatrixB coopmat<Element, gl_ScopeSubgroup, EDGE, EDGE, gl_MatrixUseB>
#define MatrixC coopmat<float, gl_ScopeSubgroup, EDGE, EDGE, gl_MatrixUseAccumulator>

/* ---- slabs ---- */

uint filled_k()
{
    return (k + 15) / 16 * 16;
}

uint w_pitch()
{
    return tiles_size(FORM, (n + 15) / 16);
}

/* Which row of a slab, and which eighth of it, this thread's load i takes, where tiles lie in
 * memory; the first one is computed once. */
uvec2 first_place;

uvec2 tile_place(uint i)
{
    const bool whole_rows = THREADS % (2 * BK) == 0; /* of tiles: two threads take a row of one */
    return whole_rows ? first_place + uvec2(i * (THREADS / (2 * BK) * 16), 0)
                      : place_of(BK / 16, gl_LocalInvocationIndex + i * THREADS);
}

uvec2 x_place(uint i)
{
    const uint at = gl_LocalInvocationIndex + i * THREADS;
    return READY_X ? tile_place(i) : uvec2(at / EIGHTS, at % EIGHTS);
}

bool takes_x(uint i)
{
    return BM * EIGHTS % THREADS == 0 || gl_LocalInvocationIndex + i * THREADS < BM * EIGHTS;
}

bool takes_w(uint i)
{
    return BN * EIGHTS % THREADS == 0 || gl_LocalInvocationIndex + i * THREADS < BN * EIGHTS;
}

uint x_from[X_LOADS], w_from[W_LOADS]; /* where this thread's share of the first slab begins */
/* What was fetched, of one slab or of two: eight numbers each two, parts or the bits of float32. */
const uint X_NEXT = 2 * X_LOADS, W_NEXT = PARTS * W_LOADS, AHEAD = SLABS > 1 ? 2 : 1;
uvec4 x_next[AHEAD * X_NEXT], w_next[AHEAD * W_NEXT];
bool found = false; /* a number of x that is too large */

void begin(uint row0, uint column0)
{
    first_place = place_of(BK / 16, gl_LocalInvocationIndex);
    [[unroll]] for (uint i = 0; i < X_LOADS; i++) {
        const uvec2 place = x_place(i);
        const uint row = min(row0 + place.x, m - 1), c = place.y * 8;
        x_from[i] = READY_X ? eighth_at(FORM, x, row, c) : x.at + row * x.stride + c;
    }
    [[unroll]] for (uint i = 0; i < W_LOADS; i++) {
        const uvec2 place = tile_place(i);
        const uint row = min(column0 + place.x, n - 1);
        w_from[i] = eighth_at(FORM, w_pitch(), row, min(place.y * 8, filled_k() - 8));
    }
}

vec4 load_x(uint base, uint c)
{
    if (VECTOR_X)
        return !TAIL || c < k ? x_data4[base / 4] : vec4(0);
    vec4 v = vec4(0);
    [[unroll]] for (uint i = 0; i < 4; i++)
        if (c + i < k)
            v[i] = x_data[base + i];
    return v;
}

/* Fetches the slab of k from `first` on into registers. Past the end, where nobody will multiply
 * it, the last one: with a branch around it a driver copies registers, and so waits for them. */
void fetch(uint first, uint ahead)
{
    first = TAIL ? first : min(first, k - BK);
    const uint x_on = first / 16 * (x.stride / 4), w_on = first / 16 * w_pitch();
    [[unroll]] for (uint i = 0; i < X_LOADS; i++) {
        const uint c = first + x_place(i).y * 8, to = ahead * X_NEXT + 2 * i;
        if (READY_X && takes_x(i))
            [[unroll]] for (uint p = 0; p < PARTS; p++)
                x_next[to + p] = !TAIL || c < k ? x_data8[x_from[i] + x_on + p * TILE] : uvec4(0);
        if (!READY_X && takes_x(i)) {
            x_next[to] = floatBitsToUint(load_x(x_from[i] + first, c));
            x_next[to + 1] = floatBitsToUint(load_x(x_from[i] + first + 4, c + 4));
        }
    }
    [[unroll]] for (uint i = 0; i < W_LOADS; i++) {
        const uint c = first + tile_place(i).y * 8;
        const uint from = w_from[i] + (!TAIL || c < filled_k() ? w_on : 0); /* past k: any */
        if (takes_w(i))
            [[unroll]] for (uint p = 0; p < PARTS; p++)
                w_next[ahead * W_NEXT + PARTS * i + p] = w_data8[from + p * TILE];
    }
}

/* Puts what was fetched into the slab that begins at `at`. */
void stash(uint ahead, uint at)
{
    [[unroll]] for (uint i = 0; i < X_LOADS; i++) {
        const uint from = ahead * X_NEXT + 2 * i;
        const uvec2 place = x_place(i);
        if (!takes_x(i))
            continue;
        if (!READY_X)
            operand8(FORM, x_next[from], x_next[from + 1]);
        if (PARTS == 2 && gl_WorkGroupID.x == 0)
            found = found || too_large(x_next[from]);
        [[unroll]] for (uint p = 0; p < PARTS; p++)
            slab[at + p * X_PART + place.x * STRIDE + place.y] = x_next[from + p];
    }
    [[unroll]] for (uint i = 0; i < W_LOADS; i++) {
        const uvec2 place = tile_place(i);
        if (takes_w(i))
            [[unroll]] for (uint p = 0; p < PARTS; p++)
                slab[at + W_SLAB + p * W_PART + place.x * STRIDE + place.y] =
                    w_next[ahead * W_NEXT + PARTS * i + p];
    }
}

/* ---- products ---- */

/* Where the last matrix along m or n begins. */
uint last_edge(uint length)
{
    return (length - 1) / EDGE * EDGE;
}

MatrixC sum[CM * CN];
#if PARTS == 2
/* A matrix unit cuts digits off where it should round, so sums of 32 are added to this one. With
 * sums of 256 the mean over OSF-base's patches had 1.85 times PyTorch's error. */
MatrixC total[CM * CN];
const uint CHUNK = 32 / EDGE;
#endif

/* Adds the products of CM matrices of x, from a[i] on, with one of W, b[j], to column c of sums.
 * Second times second part is left out, the smallest product comes first. Second parts of x count
 * 2^-11, which the first parts of W take over: they are so large that no digit that matters is
 * lost, and one sum does for all three. */
#if PARTS == 2
#define ADD_PRODUCTS(a, i0, b, j0, c)                                                              \
    {                                                                                              \
        const MatrixB small = b[j0] * Element(1.0 / 2048.0);                                       \
        [[unroll]] for (uint i = 0; i < CM; i++)                                                   \
            sum[i * CN + c] = coopMatMulAdd(a[(i0) + 2 * i + 1], small, sum[i * CN + c]);          \
        [[unroll]] for (uint i = 0; i < CM; i++)                                                   \
            sum[i * CN + c] = coopMatMulAdd(a[(i0) + 2 * i], b[(j0) + 1], sum[i * CN + c]);        \
        [[unroll]] for (uint i = 0; i < CM; i++)                                                   \
            sum[i * CN + c] = coopMatMulAdd(a[(i0) + 2 * i], b[j0], sum[i * CN + c]);              \
    }
#else
#define ADD_PRODUCTS(a, i0, b, j0, c)                                                              \
    [[unroll]] for (uint i = 0; i < CM; i++)                                                       \
        sum[i * CN + c] = coopMatMulAdd(a[(i0) + i], b[j0], sum[i * CN + c]);
#endif

/* After so many steps of k the sums of two parts are added up. */
void promote(uint steps)
{
#if PARTS == 2
    if (steps % CHUNK == 0 || steps == CK)
        [[unroll]] for (uint i = 0; i < CM * CN; i++) {
            total[i] += sum[i];
            sum[i] = MatrixC(0.0);
        }
#endif
}

/* Step c of the slab that begins at `at`: all matrices of x that a subgroup multiplies, from a[a0]
 * on, and of W those of column j, from b[b0] on. */
#define TAKE_X(a, a0, at, c)                                                                       \
    [[unroll]] for (uint i = 0; i < CM; i++)                                                       \
        [[unroll]] for (uint p = 0; p < PARTS; p++)                                                \
            coopMatLoad(a[(a0) + PARTS * i + p], slab,                                             \
                        (at) + p * X_PART + (down * CM + i) * EDGE * STRIDE +                      \
                            (group * CK + (c)) * EDGE / 8,                                         \
                        STRIDE, gl_CooperativeMatrixLayoutRowMajor);
#define TAKE_W(b, b0, at, c, j)                                                                    \
    [[unroll]] for (uint p = 0; p < PARTS; p++)                                                    \
        coopMatLoad(b[(b0) + p], slab,                                                             \
                    (at) + W_SLAB + p * W_PART + (across * CN + (j)) * EDGE * STRIDE +             \
                        (group * CK + (c)) * EDGE / 8,                                             \
                    STRIDE, gl_CooperativeMatrixLayoutColumnMajor);

/* By one slab: while it is multiplied the next is fetched. */
void sum_slabs(uint group, uint down, uint across)
{
    for (uint first = 0; first < k; first += BK) {
        barrier();
        stash(0, 0);
        barrier();
        fetch(first + BK, 0);
        [[unroll]] for (uint c = 0; c < CK; c++) {
            MatrixA a[PARTS * CM];
            TAKE_X(a, 0, 0, c)
            [[unroll]] for (uint j = 0; j < CN; j++) {
                MatrixB b[PARTS];
                TAKE_W(b, 0, 0, c, j)
                ADD_PRODUCTS(a, 0, b, 0, j)
            }
            promote(c + 1);
        }
    }
}

/* All matrices of step c of a slab, the one set or the other. */
#define TAKE_STEP(set, at, c)                                                                      \
    {                                                                                              \
        TAKE_X(a, (set) * PARTS * CM, at, c)                                                       \
        [[unroll]] for (uint j = 0; j < CN; j++)                                                   \
            TAKE_W(b, ((set) * CN + j) * PARTS, at, c, j)                                          \
    }

/* By two: of two slabs all steps in a row, so that sets and slabs take turns by constants. While
 * one is multiplied the next is stashed, and the third fetched into the registers that it leaves;
 * nobody reads any more from where it goes, since a slab's last matrices are taken before the
 * barrier in front of the next one's. */
void sum_slab_pairs(uint group, uint down, uint across)
{
    MatrixA a[2 * PARTS * CM];
    MatrixB b[2 * PARTS * CN];
    fetch(BK, 1);
    stash(0, 0);
    fetch(2 * BK, 0);
    barrier();
    TAKE_STEP(0, 0, 0)
    for (uint first = 0; first < k; first += 2 * BK)
        [[unroll]] for (uint s = 0; s < 2 * CK; s++) {
            const uint here = s / CK, there = 1 - here, c = s % CK;
            if (c + 1 < CK) {
                TAKE_STEP((s + 1) % 2, here * SLAB, c + 1)
            } else {
                stash(there, there * SLAB);
                fetch(first + (here + 3) * BK, there);
                barrier();
                TAKE_STEP((s + 1) % 2, there * SLAB, 0)
            }
            [[unroll]] for (uint j = 0; j < CN; j++)
                ADD_PRODUCTS(a, s % 2 * PARTS * CM, b, (s % 2 * CN + j) * PARTS, j)
            promote(c + 1);
        }
}

/* ---- products without slabs ---- */

/* All matrices that a subgroup multiplies in a step of BK, straight from memory. */
#define FETCH_STEP(a, b, first, row0, column0, group)                                              \
    [[unroll]] for (uint c = 0; c < CK; c++) {                                                     \
        const uint k0 = (first) + ((group) * CK + c) * EDGE;                                       \
        [[unroll]] for (uint i = 0; i < CM; i++) {                                                 \
            const uint from = eighth_at(FORM, x, min((row0) + i * EDGE, last_edge(m)), k0);        \
            [[unroll]] for (uint p = 0; p < PARTS; p++)                                            \
                coopMatLoad(a[(c * CM + i) * PARTS + p], x_data8, from + p * TILE, 2,              \
                            gl_CooperativeMatrixLayoutRowMajor);                                   \
        }                                                                                          \
        [[unroll]] for (uint j = 0; j < CN; j++) {                                                 \
            const uint column = min((column0) + j * EDGE, last_edge(n));                           \
            const uint from = eighth_at(FORM, w_pitch(), column, k0);                              \
            [[unroll]] for (uint p = 0; p < PARTS; p++)                                            \
                coopMatLoad(b[(c * CN + j) * PARTS + p], w_data8, from + p * TILE, 2,              \
                            gl_CooperativeMatrixLayoutColumnMajor);                                \
        }                                                                                          \
    }

#define MULTIPLY_STEP(a, b)                                                                        \
    [[unroll]] for (uint c = 0; c < CK; c++) {                                                     \
        [[unroll]] for (uint j = 0; j < CN; j++)                                                   \
            ADD_PRODUCTS(a, c * CM * PARTS, b, (c * CN + j) * PARTS, j)                            \
        promote(c + 1);                                                                            \
    }

/* One step is fetched while another is multiplied. */
void sum_steps(uint row0, uint column0, uint group)
{
    MatrixA a[CK * PARTS * CM], a_next[CK * PARTS * CM];
    MatrixB b[CK * PARTS * CN], b_next[CK * PARTS * CN];
    FETCH_STEP(a, b, 0, row0, column0, group)
    for (uint first = 0; first < k; first += 2 * BK) {
        if (first + BK < k)
            FETCH_STEP(a_next, b_next, first + BK, row0, column0, group)
        MULTIPLY_STEP(a, b)
        if (first + 2 * BK < k)
            FETCH_STEP(a, b, first + 2 * BK, row0, column0, group)
        if (first + BK < k)
            MULTIPLY_STEP(a_next, b_next)
    }
}

/* Is a number of x too large? A tile's rows are shared out to all workgroups that read them, and
 * there to all threads: mostly each has one load, that nothing waits for before the end. */
bool find_too_large(uint row0)
{
    const uint eighths = k / 8, groups = gl_NumWorkGroups.x, rows = min(BM, m - row0);
    const uint first = gl_WorkGroupID.x * eighths / groups;
    const uint count = (gl_WorkGroupID.x + 1) * eighths / groups - first;
    bool any_too_large = false;
    for (uint at = gl_LocalInvocationIndex; at < rows * count; at += THREADS)
        if (too_large(x_data8[eighth_at(FORM, x, row0 + at % rows, (first + at / rows) * 8)]))
            any_too_large = true;
    return any_too_large;
}

#include "linear_end.glsl"

void sum_direct(uint row0, uint column0, uint group, uint down, uint across)
{
    if (PARTS == 2)
        found = find_too_large(row0);
    sum_steps(row0 + down * CM * EDGE, column0 + across * CN * EDGE, group);
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
    if (!DIRECT) {
        begin(row0, column0);
        fetch(0, 0);
    }
    if (KS > 1)
        fetch_ends(row0, column0);
    if (DIRECT)
        sum_direct(row0, column0, group, down, across);
    else if (SLABS == 1)
        sum_slabs(group, down, across);
    else
        sum_slab_pairs(group, down, across);
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
