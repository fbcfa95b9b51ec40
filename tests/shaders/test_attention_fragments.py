# SPDX-License-Identifier: MIT
"""Attention by fragments against numpy in float64, without such a GPU (subgroups.py).

test_attention_fragments.py SHADERS
"""
import pathlib
import sys
import unittest
from itertools import product

import numpy as np

import subgroups as sg
from declared import Declared
from operands import LARGEST, PARTS, ROUNDING, Floats, Operand, of_parts, to_parts

SHADERS = pathlib.Path(sys.argv.pop(1))
DECLARED = Declared(SHADERS / "attention_fragments.glsl", SHADERS / "attention_views.glsl")


def softmax(scores):
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


class Attention:
    """Of (sequences, queries, keys, heads, dimensions), run: `y`, `truth`, and the `limit` of their
    difference."""

    def __init__(self, form, shape, ready, team, scale=0.125, place=None):
        self.form, self.shape, self.ready, self.team, self.scale = form, shape, ready, team, scale
        sequences, queries, keys, heads, dim = shape
        rng = np.random.default_rng(sum(shape))
        rows = {"q": sequences * queries, "k": sequences * keys, "v": sequences * keys}
        self.inputs = {name: rng.standard_normal((n, heads * dim)).astype(np.float32)
                       for name, n in rows.items()}
        if place:
            name, row, column, value = place
            self.inputs[name][row, column] = value
        self.flag = sg.Flag()
        self.run()
        self.compare()

    def run(self):
        sequences, queries, keys, heads, dim = self.shape
        views = {name: Operand(*x.shape, self.form) if self.ready else Floats(*x.shape, True)
                 for name, x in self.inputs.items()}
        y = Operand(*self.inputs["q"].shape, self.form)
        memories = {f"{name.upper()}4": sg.Memory(views[name].fill(x))
                    for name, x in self.inputs.items()}
        written = memories["Y8"] = sg.Memory(y.empty())
        if PARTS[self.form] == 2:
            memories["Flag"] = self.flag
        module = sg.Module(
            SHADERS / f"spirv/attention_fragments_{self.form}.spv",
            DECLARED.constants(size_x=self.team * sg.THREADS, SUBGROUPS=self.team, READY=self.ready,
                               KEY_TILES=-(-keys // 16), DIM_TILES=dim // 16))
        views["y"] = y
        tiles = -(-queries // (16 * self.team))
        # In two dispatches, as where a device's grid is too small for one.
        for first, last in ((0, 1), (1, tiles * sequences)):
            push = DECLARED.push(**{name: [v.at, v.stride] for name, v in views.items()},
                                 queries=queries, keys=keys, tiles=tiles, first=first,
                                 scale=np.float32(self.scale))
            sg.run(module, (last - first, heads), self.team, DECLARED.bindings(**memories), push)
        wanted = np.zeros(len(written.words), bool)
        wanted[y.words_of_all()] = True
        assert (written.written == wanted).all(), "stored elsewhere, or not at all"
        assert all(m is written or not m.written.any() for name, m in memories.items()
                   if name != "Flag")
        self.y = y.read(written.words)

    def compare(self):
        """One part: of what q, k and v are in 16 bits. Two parts: of themselves."""
        q, k, v = (of_parts(self.form, to_parts(self.form, x)) if PARTS[self.form] == 1
                   else x.astype(float) for x in self.inputs.values())
        sequences, queries, keys, heads, dim = self.shape
        self.truth, self.limit = np.zeros(q.shape), np.zeros(q.shape)
        for s, h in np.ndindex(sequences, heads):
            columns = slice(h * dim, (h + 1) * dim)
            own = slice(s * queries, (s + 1) * queries), columns
            others = slice(s * keys, (s + 1) * keys), columns
            weight = softmax(q[own] @ k[others].T * self.scale)
            self.truth[own] = weight @ v[others]
            self.limit[own] = self.rounded_off(q[own], k[others]) * (weight @ np.abs(v[others]))
        relative, least = ROUNDING[self.form]
        self.limit += relative * np.abs(self.truth) + least
        self.wrong = ~(np.abs(self.y - self.truth) <= self.limit)

    def rounded_off(self, q, k):
        """Of weights, relative: what a score's sum and parts round off, and of 16 bits their own
        rounding."""
        norms = np.linalg.norm(q, axis=1, keepdims=True) * np.linalg.norm(k, axis=1).max()
        return 2.0 ** -24 * (self.scale * norms + 2) + ROUNDING[self.form][0]


# Sequences, queries, keys, heads, dimensions; are q, k and v operands; subgroups of a workgroup.
CASES = {
    "two workgroups a sequence": ((2, 35, 70, 1, 32), True, 2),
    "few queries": ((2, 4, 62, 1, 64), True, 1),
    "float32, two heads": ((2, 18, 20, 2, 32), False, 2),
    "whole tiles": ((1, 32, 16, 1, 32), False, 2),
    "one number": ((1, 1, 1, 1, 32), True, 1),
}


class Cases(unittest.TestCase):
    def check(self, form):
        for name, case in CASES.items():
            with self.subTest(form=form, case=name):
                a = Attention(form, *case)
                most = (np.abs(a.y - a.truth) / a.limit).max()
                self.assertFalse(a.wrong.any(), f"{most:.3g} of the limit, wrong are "
                                 f"{np.argwhere(a.wrong)[:4].tolist()} ...")
                self.assertEqual(a.flag.raised, set())

    def test_f16(self):
        self.check("f16")

    def test_two_parts(self):
        self.check("split")


class Special(unittest.TestCase):
    """What two parts of f16 can't hold, and what only looks like it, in the second sequence."""

    # In which row and column of what: one of each head.
    PLACES = (("q", 35, 0), ("k", 39, 63), ("v", 22, 37))

    def check(self, form, *values, raised=False):
        """A value for each of q, k and v, another one as an operand and in float32."""
        done = {}
        for i, (ready, (name, row, column)) in enumerate(product((True, False), self.PLACES)):
            value = values[(i + ready) % len(values)]
            with self.subTest(form=form, ready=ready, where=name, value=value):
                a = Attention(form, (2, 18, 20, 2, 32), ready, 2, place=(name, row, column, value))
                self.assertEqual({head for _, head in a.flag.raised},
                                 {column // 32} if raised else set())
                self.assertFalse(a.wrong[:18].any(), "of another sequence")
                done[ready, name] = a.y
        self.assertEqual(len(done), 6)
        return done

    def test_too_large(self):
        self.check("split", 1e6, -7e4, np.inf, raised=True)

    def test_largest(self):
        self.check("split", LARGEST, -LARGEST)

    def test_nan(self):
        """In two parts y is sure to be NaN only by v, which in a model is NaN where q or k is."""
        for (_, name), y in self.check("split", np.nan).items():
            self.assertTrue(name != "v" or np.isnan(y[18:, 37]).all())
        nan = {"q": (35, slice(0, 32)), "k": (slice(18, 36), slice(32, 64)),
               "v": (slice(18, 36), 37)}
        for (_, name), y in self.check("f16", np.nan).items():
            self.assertTrue(np.isnan(y[nan[name]]).all(), name)


if __name__ == "__main__":
    unittest.main()
