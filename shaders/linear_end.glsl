/* SPDX-License-Identifier: MIT */
/*
 * The end of linear_matrix.glsl, which includes it behind its sums: those of a subgroup, or of all
 * groups, through shared memory to the threads that finish and store four neighbours of a row each.
 */

/* What the epilogue leaves to each element. */
float finish(float value, float bias, float old)
{
    value *= scale;
    if (BIAS)
        value += bias;
    if (EPILOGUE == GELU)
        return PARTS == 1 ? gelu_16(value) : gelu(value);
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
        const uint at = fourth_at(FORM, y, row, column);
        const uvec4 parts = operand4(FORM, v);
        y_ready4[at] = parts.xy;
        if (PARTS == 2)
            y_ready4[at + 2 * TILE] = parts.zw;
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

/* Which row and which four columns of a row of matrices a thread writes: neighbours in memory. */
uvec2 out_place(uint at)
{
    const uint matrix = at / (EDGE * EDGE / 4), within = at % (EDGE * EDGE / 4);
    return READY_Y ? uvec2(within / (EDGE / 4), matrix * (EDGE / 4) + within % (EDGE / 4))
                   : uvec2(at / ACROSS4, at % ACROSS4);
}

/* Four neighbours of a row of sums that begins at `row`, the first of them column 4 c. DIRECT takes
 * rows of x and of W as they lie, so that the sums' columns stand like those rows. */
vec4 sums4(uint row, uint c)
{
    if (!DIRECT)
        return uintBitsToFloat(slab[row + c]);
    const uvec4 even = slab[row + c / 2 * 2], odd = slab[row + c / 2 * 2 + 1];
    return uintBitsToFloat(c % 2 == 0 ? uvec4(even.x, odd.x, even.y, odd.y)
                                      : uvec4(even.z, odd.z, even.w, odd.w));
}

/* The same for a row of y. */
uint sums_row(uint r)
{
    return DIRECT ? r / 16 * 16 + slot_of(r % 16) : r;
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
            bias[t] = bias4(column0 + place.y * 4);
            old[t] = old4(row0 + i * EDGE + place.x, column0 + place.y * 4);
        }
        [[unroll]] for (uint j = 0; j < CN; j++)
            coopMatStore(sum[i * CN + j], slab, part + j * EDGE / 4, OUT_STRIDE,
                         gl_CooperativeMatrixLayoutRowMajor);
        controlBarrier(gl_ScopeSubgroup, gl_ScopeSubgroup, gl_StorageSemanticsShared,
                       gl_SemanticsAcquireRelease);
        [[unroll]] for (uint t = 0; t < ROUNDS; t++) {
            const uvec2 place = out_place(t * SUBGROUP + lane);
            if (t * SUBGROUP + lane < EDGE * ACROSS4)
                finish4(row0 + i * EDGE + place.x, column0 + place.y * 4,
                        sums4(part + sums_row(place.x) * OUT_STRIDE, place.y), bias[t], old[t]);
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
        vec4 v = sums4(sums_row(r) * SUM_STRIDE, c);
        [[unroll]] for (uint g = 1; g < KS; g++)
            v += sums4((g * BM + sums_row(r)) * SUM_STRIDE, c);
        finish4(row0 + r, column0 + c * 4, v, bias_next[t], old_next[t]);
    }
}
