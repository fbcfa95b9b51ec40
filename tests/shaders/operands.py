# SPDX-License-Identifier: MIT
"""What linear layers and attention read and write, in numpy: the forms of operands and weights, and
where each number stands (shaders/operand.glsl), and float32 in a view.
"""
import math

import numpy as np

PARTS = {"f16": 1, "bf16": 1, "split": 2}
# Half a unit of the last place, relative, and what is lost where numbers are subnormal.
ROUNDING = {"f16": (2.0 ** -11, 2.0 ** -20), "bf16": (2.0 ** -8, 0), "split": (2.0 ** -22, 0)}
LARGEST = 65504  # of f16
OUTSIDE = 0x7e007e00  # NaN of both sizes, where nobody may read


def to_f16(x):
    return x.astype(np.float16).view(np.uint16)


def of_f16(halves):
    return halves.view(np.float16).astype(float)


def to_bf16(x):
    bits = x.view(np.uint32).astype(np.uint64)
    return np.where(np.isnan(x), 0x7fc0, (bits + 0x7fff + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def of_bf16(halves):
    return (halves.astype(np.uint32) << 16).view(np.float32).astype(float)


def to_two(x, factor):
    """First parts, none of them subnormal, and what they leave of x."""
    first = np.where(np.abs(x) < 2.0 ** -14, 0, x).astype(np.float16)
    first = np.where(np.isinf(first), np.float16(np.inf), first)  # the mark has no sign
    return [first.view(np.uint16), to_f16((x - first.astype(np.float32)) * np.float32(factor))]


def to_parts(form, x):
    """x in float32, each part as bits."""
    if form == "split":
        return to_two(x, 2048)
    return [to_f16(x / 32) if form == "f16" else to_bf16(x)]


def of_parts(form, parts):
    if form == "split":
        return of_f16(parts[0]) + of_f16(parts[1]) / 2048
    return of_f16(parts[0]) * 32 if form == "f16" else of_bf16(parts[0])


# ---- views ----

class Floats:
    """[rows, columns] of float32; not `fours`: where nobody can read four at once."""

    def __init__(self, rows, columns, fours):
        self.shape = rows, columns
        self.at, self.stride = (8, -(-columns // 4) * 4 + 4) if fours else (7, columns + 3)

    def places(self):
        r, c = np.indices(self.shape)
        return self.at + r * self.stride + c

    def empty(self):
        return np.full(self.at + self.shape[0] * self.stride, OUTSIDE, np.uint32)

    def fill(self, x):
        words = self.empty()
        words[self.places()] = x.view(np.uint32)
        return words

    def read(self, words):
        return words[self.places()].view(np.float32).astype(float)

    def words_of_all(self):
        return self.places()


class Operand:
    """The same as an operand."""

    def __init__(self, rows, columns, form):
        assert columns % 16 == 0
        self.shape, self.form, self.parts = (rows, columns), form, PARTS[form]
        self.at, self.stride = 128 * self.parts, -(-rows // 16) * 128 * self.parts

    def places(self, part):
        """In units of 16 bits."""
        r, c = np.indices(self.shape)
        slot = (r & 8) + (r & 1) * 4 + (r & 6) // 2
        tile = self.at + c // 16 * self.stride + (r // 16 * self.parts + part) * 128
        return 2 * tile + slot * 16 + c % 16

    def empty(self):
        return np.full(self.at + self.shape[1] // 16 * self.stride + 64, OUTSIDE, np.uint32)

    def fill(self, x, outside=OUTSIDE):
        words = self.empty()
        words[:] = outside
        for p, part in enumerate(to_parts(self.form, x)):
            words.view(np.uint16)[self.places(p)] = part
        return words

    def read(self, words):
        halves = words.view(np.uint16)
        return of_parts(self.form, [halves[self.places(p)] for p in range(self.parts)])

    def words_of_all(self):
        return np.stack([self.places(p) // 2 for p in range(self.parts)])


# ---- weights ----

def weight_parts(form, w):
    """Parts of weights, times a scale that makes the largest one 2^13 at least."""
    if form == "bf16":
        return [to_bf16(w)], 1.0
    scale = 2.0 ** (13 - math.floor(math.log2(np.abs(w).max())))
    scaled = w * np.float32(scale)
    return [to_f16(scaled)] if form == "f16" else to_two(scaled, 1), scale


def lay_weights(parts):
    """As weight_fourth_at() has them, filled up with 0."""
    n, k = parts[0].shape
    r, c = np.indices((n, k))
    rows, columns = -(-n // 16), -(-k // 16)
    lane = (r % 16 // 4 * 2 + r % 2) * 4 + c % 16 // 4
    tile = (c // 16 * rows + r // 16) * len(parts)
    halves = np.zeros(rows * columns * len(parts) * 256, np.uint16)
    for p, part in enumerate(parts):
        halves[(tile + p) * 256 + lane * 8 + r % 4 // 2 * 4 + c % 4] = part
    return halves.view(np.uint32)


def weights(form, w):
    """As they lie, their scale, and the weights that they are."""
    parts, scale = weight_parts(form, w)
    value = of_bf16(parts[0]) if form == "bf16" else sum(of_f16(p) for p in parts) / scale
    return lay_weights(parts), scale, value
