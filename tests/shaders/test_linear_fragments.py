# SPDX-License-Identifier: MIT
"""The linear layers of fragments against numpy in float64, without such a GPU (subgroups.py).

test_linear_fragments.py SHADERS
"""
import math
import pathlib
import sys
import unittest

import numpy as np

import subgroups as sg
from declared import Declared
from operands import LARGEST, PARTS, ROUNDING, Floats, Operand, to_parts, of_parts, weights

SHADERS = pathlib.Path(sys.argv.pop(1))
DECLARED = Declared(SHADERS / "linear_layer.glsl")
EPILOGUES = {"plain": 0, "gelu": 1, "add": 2}
# Of y: rows, columns, how much of k at a time, the same of a subgroup's y, groups.
SMALL = (16, 16, 64, 16, 16, 1)
FOUR_SUBGROUPS = (32, 32, 64, 16, 16, 1)
SEVERAL_MATRICES = (48, 32, 48, 48, 32, 1)
TWO_GROUPS = (32, 16, 64, 16, 16, 2)
FOUR_GROUPS = (16, 16, 64, 16, 16, 4)  # more threads than fourths of y
GROUPS_OF_SEVERAL = (32, 64, 64, 32, 32, 2)  # subgroups and matrices side by side


def view_of(kind, form, rows, columns):
    return (Operand(rows, columns, form) if kind == "operand"
            else Floats(rows, columns, kind == "fours"))


def gelu(x):
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


class Layer:
    """A linear layer, run: `y`, the `truth`, and how far they may differ."""

    def __init__(self, form, shape, tile, kinds, epilogue="plain", bias=False, place=(),
                 outside=None):
        self.form, self.shape, self.tile, self.epilogue = form, shape, tile, epilogue
        m, n, k = shape
        rng = np.random.default_rng(m * 7 + n * 5 + k)
        self.x, w, self.bias, self.old = (rng.standard_normal(s).astype(np.float32)
                                          for s in ((m, k), (n, k), n, (m, n)))
        self.bias = self.bias if bias else None
        for r, c, value in place:
            self.x[r, c] = value
        self.views = [view_of(kind, form, *s) for kind, s in zip(kinds, ((m, k), (m, n)))]
        if kinds[1] == "operand":
            self.old = of_parts(form, to_parts(form, self.old)).astype(np.float32)
        self.words, scale, self.w = weights(form, w)
        self.flag = sg.Flag()
        given = {} if outside is None else {"outside": outside}
        self.run(self.views[0].fill(self.x, **given), scale)
        self.compare()

    def run(self, x_words, scale):
        x, y = self.views
        y_words = y.empty() if self.epilogue != "add" else y.fill(self.old)
        inputs = [sg.Memory(x_words), sg.Memory(self.words), sg.Memory(self.bias_words())]
        written = sg.Memory(y_words)
        memories = dict(zip(("X", "W8", "Bias"), inputs), Y=written)
        if PARTS[self.form] == 2:
            memories["Flag"] = self.flag
        bm, bn, _, tm, tn, groups = self.tile
        subgroups = groups * (bm // tm) * (bn // tn)
        module = sg.Module(SHADERS / f"spirv/linear_fragments_{self.form}.spv",
                           self.constants(subgroups))
        m, n, k = self.shape
        push = DECLARED.push(x=[x.at, x.stride], y=[y.at, y.stride], bias_at=5, m=m, n=n, k=k,
                             scale=np.float32((32 if self.form == "f16" else 1) / scale))
        sg.run(module, (-(-n // bn), -(-m // bm)), subgroups, DECLARED.bindings(**memories), push)
        wanted = np.zeros(len(y_words), bool)
        wanted[y.words_of_all()] = True
        assert (written.written == wanted).all(), "stored elsewhere, or not at all"
        assert not any(memory.written.any() for memory in inputs)
        self.y, self.x_reads = y.read(written.words), inputs[0].reads
        self.raised = {row for _, row in self.flag.raised}  # of workgroups

    def bias_words(self):
        words = np.full(5 + self.shape[1], 0x7fc00000, np.uint32)
        if self.bias is not None:
            words[5:] = self.bias.view(np.uint32)
        return words

    def constants(self, subgroups):
        x, y = self.views
        bm, bn, bk, tm, tn, groups = self.tile
        ready = [isinstance(v, Operand) for v in self.views]
        return DECLARED.constants(
            size_x=subgroups * sg.THREADS, BM=bm, BN=bn, BK=bk, DOWN=bm // tm, ACROSS=bn // tn,
            KS=groups, EPILOGUE=EPILOGUES[self.epilogue], BIAS=self.bias is not None,
            VECTOR_X=x.at % 4 == x.stride % 4 == x.shape[1] % 4 == 0,
            VECTOR_Y=y.at % 4 == y.stride % 4 == y.shape[1] % 4 == 0, READY_X=ready[0],
            READY_Y=ready[1], EDGE=16, SUBGROUP=sg.THREADS, TAIL=self.shape[2] % bk != 0)

    def compare(self):
        """One part: of what x and W are in 16 bits. Two parts: of x itself."""
        one = PARTS[self.form] == 1
        x = of_parts(self.form, to_parts(self.form, self.x)) if one else self.x.astype(float)
        # The product of norms exceeds every sum of products. What sums and parts round off is below
        # 2^-22 of it.
        norms = np.linalg.norm(x, axis=1)[:, None] * np.linalg.norm(self.w, axis=1)
        self.truth = x @ self.w.T + (0 if self.bias is None else self.bias)
        self.limit = 2.0 ** -22 * (norms + 2)
        if self.epilogue == "gelu":
            self.truth = gelu(self.truth)
            self.limit *= 1.13  # its slope
            self.limit += 3e-5 if one else 4e-7 * np.abs(self.truth)  # as exp.glsl says
        elif self.epilogue == "add":
            self.truth += self.old
        if isinstance(self.views[1], Operand):
            relative, least = ROUNDING[self.form]
            self.limit += relative * np.abs(self.truth) + least
        self.wrong = ~(np.abs(self.y - self.truth) <= self.limit)


# Shape, tile, x and y, epilogue, bias: tails of m, n and k, and none.
LAYERS = {
    "operands": ((37, 48, 80), FOUR_SUBGROUPS, ("operand", "operand"), "gelu", True),
    "float32": ((5, 5, 21), FOUR_GROUPS, ("ones", "ones"), "add", True),
    "float32 by four": ((49, 20, 100), SEVERAL_MATRICES, ("fours", "fours"), "gelu", True),
    "no tail": ((32, 16, 64), SMALL, ("fours", "operand"), "plain", False),
    "two groups": ((33, 20, 192), TWO_GROUPS, ("operand", "fours"), "add", False),
    "two groups, operands": ((20, 16, 80), TWO_GROUPS, ("operand", "operand"), "plain", True),
    "groups of several": ((37, 80, 96), GROUPS_OF_SEVERAL, ("operand", "fours"), "add", True),
    "one number": ((1, 1, 1), SMALL, ("ones", "ones"), "plain", False),
}
# What adds to a residual stream in f16.
STREAMS = {
    "stream": ((37, 48, 80), FOUR_SUBGROUPS, ("operand", "operand"), "add", True),
    "stream, two groups": ((20, 16, 80), TWO_GROUPS, ("operand", "operand"), "add", True),
    "stream, matrices": ((49, 32, 96), SEVERAL_MATRICES, ("operand", "operand"), "add", False),
}
# Tile, x and y, epilogue and k of layers whose x is special.
SPECIAL = ((SMALL, ("ones", "ones"), "gelu", 21),
           (FOUR_SUBGROUPS, ("operand", "operand"), "plain", 80),
           (TWO_GROUPS, ("operand", "fours"), "add", 80))


class Layers(unittest.TestCase):
    def check(self, form, cases=LAYERS):
        for name, case in cases.items():
            with self.subTest(form=form, case=name):
                layer = Layer(form, *case)
                most = (np.abs(layer.y - layer.truth) / layer.limit).max()
                self.assertFalse(layer.wrong.any(), f"{most:.3g} of the limit, wrong are "
                                 f"{np.argwhere(layer.wrong)[:4].tolist()} ...")
                self.assertEqual(layer.raised, set())

    def test_f16(self):
        self.check("f16", LAYERS | STREAMS)

    def test_bf16(self):
        self.check("bf16")

    def test_two_parts(self):
        self.check("split")


class TooLarge(unittest.TestCase):
    """What two parts of f16 can't hold, and what only looks like it."""

    def layers(self, row, value):
        """`value` in the last column."""
        return [(tile, Layer("split", (19, 16, k), tile, kinds, epilogue,
                             place=[(row, k - 1, value)]))
                for tile, kinds, epilogue, k in SPECIAL]

    def test_every_place(self):
        """One in each row and column of a tile: every team of 16 rows finds its own."""
        values = (1e6, -7e4, np.inf, 65520)
        for kind in ("operand", "ones"):
            place = [(16 * i + i * 5 % 16, i, values[i % 4]) for i in range(16)]
            layer = Layer("split", (256, 1, 16), SMALL, (kind, "ones"), place=place)
            self.assertEqual(layer.raised, set(range(16)), kind)

    def test_one(self):
        for tile, layer in self.layers(18, -7e4):
            self.assertEqual(layer.raised, {18 // tile[0]})

    def test_largest(self):
        for _, layer in self.layers(18, -LARGEST):
            self.assertEqual(layer.raised, set())
            # A result that an operand can't hold is marked for who reads it.
            marked = np.isposinf(layer.y) & (np.abs(layer.truth) > LARGEST)
            self.assertFalse((layer.wrong & ~marked).any())

    def test_nan(self):
        for _, layer in self.layers(5, np.nan):
            self.assertEqual(layer.raised, set())
            self.assertTrue(np.isnan(layer.y[5]).all())
            self.assertEqual(set(np.argwhere(layer.wrong)[:, 0]), {5})

    def test_past_m(self):
        """An operand's rows past the end may hold anything, and nobody searches x for it."""
        reads = set()
        for outside in (0, 0x7c007c00, 0x7e007e00):
            layer = Layer("split", (19, 16, 16), SMALL, ("operand", "ones"), outside=outside)
            self.assertEqual(layer.raised, set())
            self.assertFalse(layer.wrong.any())
            reads.add(layer.x_reads)
        self.assertEqual(len(reads), 1)
        for tile in (SMALL, FOUR_SUBGROUPS):
            layer = Layer("split", (19, 16, 16), tile, ("operand", "ones"), outside=0x7c007c00,
                          place=[(18, 3, np.nan)])
            self.assertEqual(layer.raised, set())


if __name__ == "__main__":
    unittest.main()
