/* SPDX-License-Identifier: MIT */
/*
 * y = epilogue(scale x W^T + bias) by cooperative matrices of EDGE x EDGE x EDGE with float32 sums;
 * the body of linear_f16.comp, linear_bf16.comp and linear_split.comp, which define FORM (see
 * operand.glsl), Element, its 16-bit number, and how many PARTS of them make a float32. x [m, k]
 * and y [m, n] are float32 or operands, W [n, k] is 16-bit, row by row, its rows filled up to a
 * multiple of 8; of two parts eight first ones are followed by their eight second ones, and their
 * sum is the weight.
 *
 * A workgroup makes a tile of BM x BN of y with DOWN x ACROSS subgroups; slabs of BK of k go
 * through shared memory, one is fetched into registers while another is multiplied. With KS > 1 a
 * slab is shared out to KS groups of so many subgroups, whose sums are added in order at the end.
 * Rows and columns past the end repeat the last one and are not stored; x counts as 0 past k.
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
layout(constant_id = 15) const bool TAIL = true; /* k ends inside of a slab */

const uint PLAIN = 0, GELU = 1, ADD = 2;

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
 * of matrices of each subgroup, [EDGE, CN * EDGE]. */
const uint STRIDE = EIGHTS + 1, ACROSS4 = CN * EDGE / 4, OUT_STRIDE = ACROSS4 + 1;
const uint SUM_STRIDE = BN / 4 + 1;
const uint X_PART = BM * STRIDE, W_PART = BN * STRIDE, W_SLAB = PARTS * X_PART;
const uint SLABS = PARTS * (X_PART + W_PART);
const uint OUT = KS > 1 ? KS * BM * SUM_STRIDE : GROUP * EDGE * OUT_STRIDE;
shared uvec4 slab[SLABS > OUT ? SLABS : OUT];

#define MatrixA coopmat<Element, gl_ScopeSubgroup, EDGE, EDGE, gl_MatrixUseA>
#define MatrixB coopmat<Element, gl_ScopeSubgroup, EDGE, EDGE, gl_MatrixUseB>
#define MatrixC coopmat<float, gl_ScopeSubgroup, EDGE, EDGE, gl_MatrixUseAccumulator>

/* ---- slabs ---- */

uint x_from[X_LOADS], w_from[W_LOADS]; /* where this thread's share of the first slab begins */
uvec4 x_next[2 * X_LOADS]; /* eight numbers each two: parts, or the bits of float32 */
uvec4 w_next[PARTS * W_LOADS];
bool found = false; /* a number of x that is too large */

void begin(uint row0, uint column0)
{
    [[unroll]] for (uint i = 0; i < X_LOADS; i++) {
        const uint at = gl_LocalInvocationIndex + i * THREADS, c = at % EIGHTS * 8;
        const uint base = x.at + min(row0 + at / EIGHTS, m - 1) * x.stride;
        x_from[i] = READY_X ? base / 4 + eighth_at(FORM, c) : base + c;
    }
    [[unroll]] for (uint i = 0; i < W_LOADS; i++) {
        const uint at = gl_LocalInvocationIndex + i * THREADS;
        w_from[i] = PARTS * (min(column0 + at / EIGHTS, n - 1) * ((k + 7) / 8) + at % EIGHTS);
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

/* Fetches the slab of k from `first` on into registers. */
void fetch(uint first)
{
    const uint eighths = (k + 7) / 8;
    [[unroll]] for (uint i = 0; i < X_LOADS; i++) {
        const uint at = gl_LocalInvocationIndex + i * THREADS, c = first + at % EIGHTS * 8;
        const bool mine = BM * EIGHTS % THREADS == 0 || at < BM * EIGHTS;
        if (READY_X && mine)
            [[unroll]] for (uint p = 0; p < PARTS; p++)
                x_next[2 * i + p] = !TAIL || c < k
                                        ? x_data8[x_from[i] + eighth_at(FORM, first) + p]
                                        : uvec4(0);
        if (!READY_X && mine) {
            x_next[2 * i] = floatBitsToUint(load_x(x_from[i] + first, c));
            x_next[2 * i + 1] = floatBitsToUint(load_x(x_from[i] + first + 4, c + 4));
        }
    }
    [[unroll]] for (uint i = 0; i < W_LOADS; i++) {
        const uint at = gl_LocalInvocationIndex + i * THREADS;
        const uint past = TAIL ? max(first / 8 + at % EIGHTS, eighths - 1) - (eighths - 1) : 0;
        if (BN * EIGHTS % THREADS == 0 || at < BN * EIGHTS)
            [[unroll]] for (uint p = 0; p < PARTS; p++)
                w_next[PARTS * i + p] = w_data8[w_from[i] + PARTS * (first / 8 - past) + p];
    }
}

/* Puts what was fetched into shared memory. */
void stash()
{
    [[unroll]] for (uint i = 0; i < X_LOADS; i++) {
        const uint at = gl_LocalInvocationIndex + i * THREADS;
        if (BM * EIGHTS % THREADS != 0 && at >= BM * EIGHTS)
            continue;
        if (!READY_X)
            operand8(FORM, x_next[2 * i], x_next[2 * i + 1]);
        if (PARTS == 2 && gl_WorkGroupID.x == 0)
            found = found || too_large(x_next[2 * i]);
        [[unroll]] for (uint p = 0; p < PARTS; p++)
            slab[p * X_PART + at / EIGHTS * STRIDE + at % EIGHTS] = x_next[2 * i + p];
    }
    [[unroll]] for (uint i = 0; i < W_LOADS; i++) {
        const uint at = gl_LocalInvocationIndex + i * THREADS;
        if (BN * EIGHTS % THREADS == 0 || at < BN * EIGHTS)
            [[unroll]] for (uint p = 0; p < PARTS; p++)
                slab[W_SLAB + p * W_PART + at / EIGHTS * STRIDE + at % EIGHTS] =
                    w_next[PARTS * i + p];
    }
}

/* ---- products ---- */

MatrixC sum[CM * CN];
#if PARTS == 2
/* A matrix unit cuts digits off where it should round, so sums of 32 are added to this one. With
 * sums of 256 the mean over OSF-base's patches had 1.85 times PyTorch's error. */
MatrixC total[CM * CN];
const uint CHUNK = 32 / EDGE;
#endif

/* Second times second part is left out, the smallest product comes first. Second parts of x count
 * 2^-11, which the first parts of W take over: they are so large that no digit that matters is
 * lost, and one sum does for all three. */
void multiply(uint group, uint down, uint across)
{
    [[unroll]] for (uint c = 0; c < CK; c++) {
        const uint k8 = (group * CK + c) * EDGE / 8;
        MatrixA a[PARTS * CM];
        [[unroll]] for (uint i = 0; i < CM; i++)
            [[unroll]] for (uint p = 0; p < PARTS; p++)
                coopMatLoad(a[PARTS * i + p], slab,
                            p * X_PART + (down * CM + i) * EDGE * STRIDE + k8, STRIDE,
                            gl_CooperativeMatrixLayoutRowMajor);
        [[unroll]] for (uint j = 0; j < CN; j++) {
            MatrixB b[PARTS];
            [[unroll]] for (uint p = 0; p < PARTS; p++)
                coopMatLoad(b[p], slab,
                            W_SLAB + p * W_PART + (across * CN + j) * EDGE * STRIDE + k8, STRIDE,
                            gl_CooperativeMatrixLayoutColumnMajor);
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
        if ((c + 1) % CHUNK == 0 || c + 1 == CK)
            [[unroll]] for (uint i = 0; i < CM * CN; i++) {
                total[i] += sum[i];
                sum[i] = MatrixC(0.0);
            }
#endif
    }
}

/* ---- the end ---- */

/* What the epilogue leaves to each element. */
float finish(float value, float bias, float old)
{
    value *= scale;
    if (BIAS)
        value += bias;
    if (EPILOGUE == GELU)
        return gelu(value);
    return EPILOGUE == ADD ? old + value : value;
}

vec4 bias4(uint column)
{
    vec4 v = vec4(0);
    if (BIAS)
        [[unroll]] for (uint c = 0; c < 4; c++)
            v[c] = bias_data[bias_at + min(column + c, n - 1)];
    return v;
}

/* Four neighbours of a row. */
vec4 old4(uint row, uint column)
{
    const uint base = y.at + row * y.stride + column;
    vec4 v = vec4(0);
    if (EPILOGUE != ADD || row >= m || column >= n)
        return v;
    if (VECTOR_Y)
        return y_data4[base / 4];
    [[unroll]] for (uint c = 0; c < 4; c++)
        if (column + c < n)
            v[c] = y_data[base + c];
    return v;
}

void store4(uint row, uint column, vec4 v)
{
    const uint first = y.at + row * y.stride;
    if (READY_Y) {
        const uint at = first / 2 + fourth_at(FORM, column);
        const uvec4 parts = operand4(FORM, v);
        y_ready4[at] = parts.xy;
        if (PARTS == 2)
            y_ready4[at + 2] = parts.zw;
    } else if (VECTOR_Y) {
        y_data4[(first + column) / 4] = v;
    } else {
        [[unroll]] for (uint c = 0; c < 4; c++)
            if (column + c < n)
                y_data[first + column + c] = v[c];
    }
}

void finish4(uint row, uint column, vec4 v, vec4 bias, vec4 old)
{
    if (row >= m || column >= n)
        return;
    [[unroll]] for (uint e = 0; e < 4; e++)
        v[e] = finish(v[e], bias[e], old[e]);
    store4(row, column, v);
}

/* A subgroup's matrices, a row of them at a time, go through its own part of shared memory, since
 * which element a thread holds is the driver's secret. */
void store(uint row0, uint column0, uint part, uint lane)
{
    const uint ROUNDS = (EDGE * ACROSS4 + SUBGROUP - 1) / SUBGROUP;
    [[unroll]] for (uint i = 0; i < CM; i++) {
        vec4 bias[ROUNDS], old[ROUNDS];
        [[unroll]] for (uint t = 0; t < ROUNDS; t++) {
            const uint at = t * SUBGROUP + lane, column = column0 + at % ACROSS4 * 4;
            bias[t] = bias4(column);
            old[t] = old4(row0 + i * EDGE + at / ACROSS4, column);
        }
        [[unroll]] for (uint j = 0; j < CN; j++)
            coopMatStore(sum[i * CN + j], slab, part + j * EDGE / 4, OUT_STRIDE,
                         gl_CooperativeMatrixLayoutRowMajor);
        controlBarrier(gl_ScopeSubgroup, gl_ScopeSubgroup, gl_StorageSemanticsShared,
                       gl_SemanticsAcquireRelease);
        [[unroll]] for (uint t = 0; t < ROUNDS; t++) {
            const uint at = t * SUBGROUP + lane, r = at / ACROSS4, c = at % ACROSS4;
            if (at < EDGE * ACROSS4)
                finish4(row0 + i * EDGE + r, column0 + c * 4,
                        uintBitsToFloat(slab[part + r * OUT_STRIDE + c]), bias[t], old[t]);
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
        const uint at = t * THREADS + gl_LocalInvocationIndex, column = column0 + at % (BN / 4) * 4;
        bias_next[t] = bias4(column);
        old_next[t] = old4(row0 + at / (BN / 4), column);
    }
}

void store_groups(uint row0, uint column0, uint group, uint down, uint across)
{
    const uint own = (group * BM + down * CM * EDGE) * SUM_STRIDE + across * ACROSS4;
    barrier();
    [[unroll]] for (uint i = 0; i < CM; i++)
        [[unroll]] for (uint j = 0; j < CN; j++)
            coopMatStore(sum[i * CN + j], slab, own + i * EDGE * SUM_STRIDE + j * EDGE / 4,
                         SUM_STRIDE, gl_CooperativeMatrixLayoutRowMajor);
    barrier();
    [[unroll]] for (uint t = 0; t < SHARES; t++) {
        const uint at = t * THREADS + gl_LocalInvocationIndex, r = at / (BN / 4), c = at % (BN / 4);
        if (at >= BM * BN / 4)
            continue;
        vec4 v = uintBitsToFloat(slab[r * SUM_STRIDE + c]);
        [[unroll]] for (uint g = 1; g < KS; g++)
            v += uintBitsToFloat(slab[(g * BM + r) * SUM_STRIDE + c]);
        finish4(row0 + r, column0 + c * 4, v, bias_next[t], old_next[t]);
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
        if (first + BK < k)
            fetch(first + BK);
        multiply(group, down, across);
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
