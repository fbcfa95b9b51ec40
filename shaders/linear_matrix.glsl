/* SPDX-License-Identifier: MIT */
/*
 * y = epilogue(scale x W^T + bias) by cooperative matrices of 16 x 16 x 16 with float32 sums; the
 * body of linear_f16.comp, linear_bf16.comp and linear_split.comp, which define what a 16-bit
 * number is: Element, how many PARTS of them make a float32, pack(), two float32 to two of each
 * part, and tell(), what there is to say at the end. x [m, k] and y [m, n] are float32, W [n, k] is
 * 16-bit, row by row, its rows filled up to a multiple of 8; of two parts the first one's row comes
 * first.
 *
 * A workgroup makes a tile of BM x BN of y with DOWN x ACROSS subgroups; slabs of BK of k go
 * through shared memory, one is fetched into registers while another is multiplied. Rows and
 * columns past the end repeat the last one and are not stored; x counts as 0 past k.
 */
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#include "view.glsl"
#include "exp.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint BM = 64;
layout(constant_id = 2) const uint BN = 64;
layout(constant_id = 3) const uint BK = 64;
layout(constant_id = 4) const uint DOWN = 2;   /* subgroups */
layout(constant_id = 5) const uint ACROSS = 2;
layout(constant_id = 6) const uint SUBGROUP = 32; /* threads of one */
layout(constant_id = 7) const uint EPILOGUE = 0; /* pv_epilogue */
layout(constant_id = 8) const bool BIAS = false;
layout(constant_id = 9) const bool VECTOR_X = false; /* 4 | at, stride, k */
layout(constant_id = 10) const bool VECTOR_Y = false; /* 4 | at, stride, n */
layout(constant_id = 11) const uint CHUNK = 0; /* slabs that are summed up before they are added to
                                                  the sum of the others; 0: all. Two parts only */

const uint PLAIN = 0, GELU = 1, ADD = 2;

layout(push_constant, std430) uniform Push {
    View x, y;
    uint bias_at;
    uint m, n, k;
    float scale;
};
layout(binding = 0) readonly buffer X { float x_data[]; };
layout(binding = 0) readonly buffer X4 { vec4 x_data4[]; };
layout(binding = 1) readonly buffer W8 { uvec4 w_data8[]; };
layout(binding = 2) buffer Y { float y_data[]; };
layout(binding = 2) buffer Y4 { vec4 y_data4[]; };
layout(binding = 3) readonly buffer Bias { float bias_data[]; };

const uint THREADS = DOWN * ACROSS * SUBGROUP;
const uint EIGHTS = BK / 8; /* of a row of a slab */
const uint CM = BM / DOWN / 16, CN = BN / ACROSS / 16; /* matrices of a subgroup */
const uint X_LOADS = (BM * EIGHTS + THREADS - 1) / THREADS;
const uint W_LOADS = (BN * EIGHTS + THREADS - 1) / THREADS;

/* Slabs of x and of W, part by part, row by row, in units of 16 bytes, one more a row to spread the
 * rows over the banks. At the end a row of matrices of each subgroup, [16, CN * 16] in float32. */
const uint STRIDE = EIGHTS + 1, OUT_STRIDE = CN * 4 + 1;
const uint X_PART = BM * STRIDE, W_PART = BN * STRIDE, W_SLAB = PARTS * X_PART;
const uint SLABS = PARTS * (X_PART + W_PART), OUT = DOWN * ACROSS * 16 * OUT_STRIDE;
shared uvec4 slab[SLABS > OUT ? SLABS : OUT];

#define MatrixA coopmat<Element, gl_ScopeSubgroup, 16, 16, gl_MatrixUseA>
#define MatrixB coopmat<Element, gl_ScopeSubgroup, 16, 16, gl_MatrixUseB>
#define MatrixC coopmat<float, gl_ScopeSubgroup, 16, 16, gl_MatrixUseAccumulator>

vec4 x_next[2 * X_LOADS];
uvec4 w_next[PARTS * W_LOADS];

vec4 load_x(uint base, uint c)
{
    if (VECTOR_X)
        return c < k ? x_data4[base / 4] : vec4(0);
    vec4 v = vec4(0);
    [[unroll]] for (uint i = 0; i < 4; i++)
        if (c + i < k)
            v[i] = x_data[base + i];
    return v;
}

/* Fetches the slab of k from `first` on into registers. */
void fetch(uint row0, uint column0, uint first)
{
    const uint eighths = (k + 7) / 8;
    [[unroll]] for (uint i = 0; i < X_LOADS; i++) {
        const uint at = gl_LocalInvocationIndex + i * THREADS;
        const uint row = min(row0 + at / EIGHTS, m - 1), c = first + at % EIGHTS * 8;
        const uint base = x.at + row * x.stride + c;
        if (at < BM * EIGHTS) {
            x_next[2 * i] = load_x(base, c);
            x_next[2 * i + 1] = load_x(base + 4, c + 4);
        }
    }
    [[unroll]] for (uint i = 0; i < W_LOADS; i++) {
        const uint at = gl_LocalInvocationIndex + i * THREADS;
        const uint row = min(column0 + at / EIGHTS, n - 1);
        const uint c = min(first / 8 + at % EIGHTS, eighths - 1);
        if (at < BN * EIGHTS)
            [[unroll]] for (uint p = 0; p < PARTS; p++)
                w_next[PARTS * i + p] = w_data8[(PARTS * row + p) * eighths + c];
    }
}

/* Puts what was fetched into shared memory. */
void stash()
{
    [[unroll]] for (uint i = 0; i < X_LOADS; i++) {
        const uint at = gl_LocalInvocationIndex + i * THREADS;
        const vec4 a = x_next[2 * i], b = x_next[2 * i + 1];
        const Packed p = pack(a.xy), q = pack(a.zw), r = pack(b.xy), s = pack(b.zw);
        if (at < BM * EIGHTS)
            [[unroll]] for (uint j = 0; j < PARTS; j++)
                slab[j * X_PART + at / EIGHTS * STRIDE + at % EIGHTS] =
                    uvec4(p.part[j], q.part[j], r.part[j], s.part[j]);
    }
    [[unroll]] for (uint i = 0; i < W_LOADS; i++) {
        const uint at = gl_LocalInvocationIndex + i * THREADS;
        if (at < BN * EIGHTS)
            [[unroll]] for (uint p = 0; p < PARTS; p++)
                slab[W_SLAB + p * W_PART + at / EIGHTS * STRIDE + at % EIGHTS] =
                    w_next[PARTS * i + p];
    }
}

/* Of first parts; of a first with a second part; of earlier chunks. */
MatrixC sum[CM * CN];
#if PARTS == 2
MatrixC cross[CM * CN], total[CM * CN];
#endif

void multiply(uint down, uint across)
{
    [[unroll]] for (uint c = 0; c < BK / 16; c++) {
        MatrixA a[PARTS * CM];
        [[unroll]] for (uint i = 0; i < CM; i++)
            [[unroll]] for (uint p = 0; p < PARTS; p++)
                coopMatLoad(a[PARTS * i + p], slab,
                            p * X_PART + (down * CM + i) * 16 * STRIDE + c * 2, STRIDE,
                            gl_CooperativeMatrixLayoutRowMajor);
        [[unroll]] for (uint j = 0; j < CN; j++) {
            MatrixB b[PARTS];
            [[unroll]] for (uint p = 0; p < PARTS; p++)
                coopMatLoad(b[p], slab,
                            W_SLAB + p * W_PART + (across * CN + j) * 16 * STRIDE + c * 2, STRIDE,
                            gl_CooperativeMatrixLayoutColumnMajor);
            [[unroll]] for (uint i = 0; i < CM; i++) {
                const uint at = i * CN + j;
                sum[at] = coopMatMulAdd(a[PARTS * i], b[0], sum[at]);
#if PARTS == 2
                cross[at] = coopMatMulAdd(a[PARTS * i], b[1], cross[at]);
                cross[at] = coopMatMulAdd(a[PARTS * i + 1], b[0], cross[at]);
#endif
            }
        }
    }
}

/* A matrix unit's own sum loses digits when it grows long. */
void promote()
{
#if PARTS == 2
    [[unroll]] for (uint i = 0; i < CM * CN; i++) {
        total[i] += sum[i];
        sum[i] = MatrixC(0.0);
    }
#endif
}

/* The second parts count 2^-11. */
void join()
{
#if PARTS == 2
    [[unroll]] for (uint i = 0; i < CM * CN; i++)
        sum[i] = total[i] + (sum[i] + cross[i] * (1.0 / 2048.0));
#endif
}

float finish(float value, float old, uint column)
{
    value *= scale;
    if (BIAS)
        value += bias_data[bias_at + min(column, n - 1)];
    return EPILOGUE == GELU ? gelu(value) : EPILOGUE == ADD ? old + value : value;
}

/* Four neighbours of a row. */
void store4(uint row, uint column, vec4 v)
{
    const uint base = y.at + row * y.stride + column;
    if (VECTOR_Y) {
        const vec4 old = EPILOGUE == ADD ? y_data4[base / 4] : vec4(0);
        [[unroll]] for (uint c = 0; c < 4; c++)
            v[c] = finish(v[c], old[c], column + c);
        y_data4[base / 4] = v;
    } else {
        [[unroll]] for (uint c = 0; c < 4; c++)
            if (column + c < n) {
                const float old = EPILOGUE == ADD ? y_data[base + c] : 0.0;
                y_data[base + c] = finish(v[c], old, column + c);
            }
    }
}

/* A subgroup's matrices, a row of them at a time, go through its own part of shared memory, since
 * which element a thread holds is the driver's secret. */
void store(uint row0, uint column0, uint subgroup, uint lane)
{
    const uint part = subgroup * 16 * OUT_STRIDE;
    [[unroll]] for (uint i = 0; i < CM; i++) {
        [[unroll]] for (uint j = 0; j < CN; j++)
            coopMatStore(sum[i * CN + j], slab, part + j * 4, OUT_STRIDE,
                         gl_CooperativeMatrixLayoutRowMajor);
        controlBarrier(gl_ScopeSubgroup, gl_ScopeSubgroup, gl_StorageSemanticsShared,
                       gl_SemanticsAcquireRelease);
        [[unroll]] for (uint at = 0; at < 16 * CN * 4; at += SUBGROUP) {
            const uint r = (at + lane) / (CN * 4), c = (at + lane) % (CN * 4);
            const uint row = row0 + i * 16 + r, column = column0 + c * 4;
            if (at + lane < 16 * CN * 4 && row < m && column < n)
                store4(row, column, uintBitsToFloat(slab[part + r * OUT_STRIDE + c]));
        }
        controlBarrier(gl_ScopeSubgroup, gl_ScopeSubgroup, gl_StorageSemanticsShared,
                       gl_SemanticsAcquireRelease);
    }
}

void main()
{
    const uint row0 = gl_WorkGroupID.y * BM, column0 = gl_WorkGroupID.x * BN;
    const uint down = gl_SubgroupID / ACROSS, across = gl_SubgroupID % ACROSS;

    [[unroll]] for (uint i = 0; i < CM * CN; i++)
        sum[i] = MatrixC(0.0);
#if PARTS == 2
    [[unroll]] for (uint i = 0; i < CM * CN; i++)
        cross[i] = total[i] = MatrixC(0.0);
#endif
    fetch(row0, column0, 0);
    for (uint first = 0, slabs = 1; first < k; first += BK, slabs++) {
        barrier();
        stash();
        barrier();
        if (first + BK < k)
            fetch(row0, column0, first + BK);
        multiply(down, across);
        if (CHUNK > 0 && slabs % CHUNK == 0)
            promote();
    }
    join();
    tell();
    barrier();
    store(row0 + down * CM * 16, column0 + across * CN * 16, gl_SubgroupID,
          gl_SubgroupInvocationID);
}
