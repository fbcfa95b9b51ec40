/* SPDX-License-Identifier: MIT */
/*
 * Operands: numbers that linear layers read, written as they are multiplied, two of 16 bits in a
 * uint. The forms are those of vk_layout. They lie in tiles of 16 x 16, row by row, so that a
 * subgroup finds a matrix in one piece; in SPLIT a tile of first parts is followed by that of their
 * second ones, and a number is first + 2^-11 second, 22 bits in all. Tiles stand one below the
 * other; a view's stride is from a column of tiles to the next.
 *
 * Of each eight rows of a tile the even ones come first. So a line of a cache, four rows, goes to
 * eight different banks of shared memory, if rows are an odd number of 16 bytes apart there, as
 * they have to be for matrices to be read from it. With the rows in order either the loads met
 * twice as many lines or the stores each bank twice: a seventh of the time of a large f16 layer.
 */
const uint FLOATS = 0, F16 = 1, BF16 = 2, SPLIT = 3;

/* f16: activations are multiplied by 2^-5. It reaches up to 2^21 then, where hidden values of
 * trained models stay below 2^18. What is below 2^-9 becomes subnormal and loses at most 2^-20,
 * what is not loses at most 2^-12 of itself. That is little beside the rest: normalised rows,
 * attention's means of values and GELU's results are of the order of one, and patches, whatever
 * their unit, are added to position or channel embeddings. A residual stream loses as much each
 * time that a layer adds to it, which a norm of its row sees beside the row's spread, of the order
 * of one. A value beyond 2^21 makes the results of its own row infinite or NaN, which is seen,
 * where a clamped one would be wrong in silence. */
const float F16_SCALE = 0.03125;

/* bfloat16, rounded to even by integers, since a float32 that becomes one and bits again needs one
 * more feature of a device. NaN, whatever its bits, stays one. */
uint bf16_bits(float v)
{
    const uint bits = floatBitsToUint(v);
    return (bits & 0x7fffffffu) > 0x7f800000u ? 0x7fc0u
                                              : (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
}

/* Rounded to the 11 binary digits of an f16, to even, by integers: drivers take a conversion there
 * and back for nothing. Below 2^-14 it is 0, so that there is none that is subnormal. */
vec2 round_first(vec2 v)
{
    const uvec2 bits = floatBitsToUint(v);
    const vec2 r = uintBitsToFloat((bits + 0xfffu + (bits >> 13 & 1u)) & 0xffffe000u);
    return mix(r, vec2(0), lessThan(abs(v), vec2(6.103515625e-5)));
}

/* A first part that says 'beyond f16', where a driver may have rounded to 65504; its second part
 * means nothing. */
const uint TOO_LARGE = 0x7c00u;

/* Is one of eight first parts marked? */
bool too_large(uvec4 parts)
{
    const uvec4 p = (parts & 0x7fff7fffu) ^ (TOO_LARGE | TOO_LARGE << 16);
    return any(equal(p & 0xffffu, uvec4(0))) || any(equal(p >> 16, uvec4(0)));
}

/* Two numbers: x has them, of SPLIT their first parts, and y the second ones. */
uvec2 operand(const uint form, vec2 v)
{
    if (form == F16)
        return uvec2(packHalf2x16(v * F16_SCALE), 0);
    if (form == BF16)
        return uvec2(bf16_bits(v.x) | bf16_bits(v.y) << 16, 0);
    const vec2 value = round_first(v);
    uint first = packHalf2x16(value);
    first = abs(value.x) > 65504.0 ? first & 0xffff0000u | TOO_LARGE : first;
    first = abs(value.y) > 65504.0 ? first & 0xffffu | TOO_LARGE << 16 : first;
    return uvec2(first, packHalf2x16((v - value) * 2048.0));
}

/* Four numbers: their first parts in xy, of SPLIT the second ones in zw. */
uvec4 operand4(const uint form, vec4 v)
{
    const uvec2 a = operand(form, v.xy), b = operand(form, v.zw);
    return uvec4(a.x, b.x, a.y, b.y);
}

/* What four numbers are in F16, the form of a residual stream, the only operand that is read as
 * float32 again. */
vec4 floats4(uvec2 parts)
{
    return vec4(unpackHalf2x16(parts.x), unpackHalf2x16(parts.y)) / F16_SCALE;
}

/* Eight numbers, a and b their float32 as bits: a becomes their first parts, b of SPLIT the second
 * ones. */
void operand8(const uint form, inout uvec4 a, inout uvec4 b)
{
    const uvec4 p = operand4(form, uintBitsToFloat(a)), q = operand4(form, uintBitsToFloat(b));
    a = uvec4(p.xy, q.xy);
    b = uvec4(p.zw, q.zw);
}

/* Where row r of a tile stands in it, and which row stands there. */
uint slot_of(uint r)
{
    return (r & 8) + (r & 1) * 4 + (r & 6) / 2;
}

uint row_of(uint slot)
{
    return (slot & 8) + (slot & 3) * 2 + (slot & 4) / 4;
}

/* A tile of one part, in units of 16 bytes: so much further stand the second parts. */
const uint TILE = 32;

uint tiles_size(const uint form, uint tiles)
{
    return tiles * (form == SPLIT ? 2 * TILE : TILE);
}

/* Where columns [c, c + 8) of row r begin, 8 | c, in units of 16 bytes, with `pitch` of them from a
 * column of tiles to the next. */
uint eighth_at(const uint form, uint pitch, uint r, uint c)
{
    return c / 16 * pitch + tiles_size(form, r / 16) + slot_of(r % 16) * 2 + c % 16 / 8;
}

/* The same of an operand's view; and in units of 8 bytes, 4 | c. */
uint eighth_at(const uint form, View v, uint r, uint c)
{
    return v.at / 4 + eighth_at(form, v.stride / 4, r, c);
}

uint fourth_at(const uint form, View v, uint r, uint c)
{
    return 2 * eighth_at(form, v, r, c) + c % 8 / 4;
}

/* Which row, and which eight columns of it, thread `at` takes of tiles that lie `across` by
 * `across`: 32 neighbours take one as it lies. */
uvec2 place_of(uint across, uint at)
{
    const uint tile = at / 32, lane = at % 32;
    return uvec2(tile / across * 16 + row_of(lane / 2), tile % across * 2 + lane % 2);
}

/* ---- weights ---- */

/* W lies in tiles, too, but within one so that a thread which reads 16 bytes has its elements of a
 * matrix (fragments.glsl): eighth `lane` of a tile is columns 4 (lane % 4) to 4 (lane % 4) + 3 of
 * this row, and then of the one that is two further. */
uint weight_row(uint lane)
{
    const uint g = lane / 4;
    return g / 2 * 4 + g % 2;
}

/* Where columns [c, c + 4) of row r begin, 4 | c, in units of 8 bytes. */
uint weight_fourth_at(const uint form, uint pitch, uint r, uint c)
{
    const uint lane = (r % 16 / 4 * 2 + r % 2) * 4 + c % 16 / 4;
    return 2 * (c / 16 * pitch + tiles_size(form, r / 16) + lane) + r % 4 / 2;
}
