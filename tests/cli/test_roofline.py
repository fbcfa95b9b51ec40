# SPDX-License-Identifier: MIT
"""roofline.py and bench_ratios.py: a page that is measured, one of rows that are made up, and a
table of ratios beside peers that are made up, too.

Usage: test_roofline.py FOLDER_OF_TOOLS BUILD FOLDER_OF_SCRIPTS
"""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

TOOLS = pathlib.Path(sys.argv.pop(1)).resolve()
BUILD = pathlib.Path(sys.argv.pop(1)).resolve()
SCRIPTS = pathlib.Path(sys.argv.pop(1)).resolve()
ROW = {"model": "osf-nano", "batch": 2, "outputs": "cls", "backend": "vulkan", "device": "Made up",
       "isa": "", "precision": "f32", "threads": 1, "min_ms": 4.0, "median_ms": 5.0,
       "profile": [{"flops": 500_000_000, "bytes": 1_000_000, "count": 3},
                   {"flops": 0, "bytes": 2_000_000, "count": 1}]}
# Stands in for bench_peers.py: peers of 40 and 20 ms, half of it in a turn's first run, five times
# as much in the second turn.
PEERS = """import os, types
PEERS = {"pytorch": 40.0, "pytorch-compiled": 0, "onnxruntime": 0, "openvino": 20.0}
class Spec:
    def __init__(self, name): self.name = name
    def open(self, torch, repository): return types.SimpleNamespace(to=lambda *place: self)
positive = int
def place_of(torch, args): return "cpu", None
def available(args): return {peer: "" if PEERS[peer] else "no package" for peer in args.peers}
def prepared_torch(args):
    assert os.environ["ONEDNN_MAX_CPU_ISA"] == os.environ["MKL_ENABLE_INSTRUCTIONS"] == "AVX2"
    class Torch:
        def inference_mode(self): return open(os.devnull)
    return Torch()
def timers(torch, spec, model, batch, peers, args):
    assert batch == 2 and "onnxruntime" not in peers
    def timer(peer):
        turns = iter((1.0, 5.0, 1.0))
        def times(runs, seconds):
            factor = next(turns)
            return [factor * PEERS[peer] / 2, *[factor * PEERS[peer]] * (runs - 1)]
        return times
    return [(peer, timer(peer)) for peer in peers]
"""
# Stands in for psgvit-bench: 8, 30 and 20 ms, turn by turn.
BENCH = """#!/usr/bin/env python3
import json, pathlib, sys
turns = pathlib.Path(__file__).with_name("turns")
turn = len(turns.read_text()) if turns.exists() else 0
turns.write_text("." * (turn + 1))
print(json.dumps([{"times_ms": [[8.0, 30.0, 20.0, 5.0][turn]] * 3}]))
"""


def run(script, *arguments, rows=None):
    return subprocess.run([sys.executable, str(script), *map(str, arguments)], text=True,
                          input=None if rows is None else json.dumps(rows), check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def table(text):
    """The rows of a page's table, heads first."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [found[0], *found[2:]]


class Roofline(unittest.TestCase):
    script = SCRIPTS / "roofline.py"

    def test_measured(self):
        done = run(self.script, "--build", BUILD, "--models", "osf-nano", "--batch", "1,2",
                   "--runs", 3, "--threads", 1)
        self.assertEqual(done.returncode, 0, done.stderr)
        heads, *rows = table(done.stdout)
        self.assertEqual([row[:2] for row in rows], [["osf-nano", "1"], ["osf-nano", "2"]])
        one, two = (dict(zip(heads, row)) for row in rows)
        self.assertGreater(float(one["GFLOP"]), 0.1)
        self.assertAlmostEqual(float(two["GFLOP"]), 2 * float(one["GFLOP"]), delta=0.03)
        self.assertLess(float(two["MB"]), 2 * float(one["MB"]))  # the weights are the same
        for row in one, two:
            # How near is not asked: the machine may have been busy for the ceilings alone.
            floor, least, percent = (float(row[head]) for head in (
                "floor ms", "least ms", "floor, % of least"))
            self.assertGreater(floor, 0.0)
            self.assertAlmostEqual(percent / 100 * least, floor,
                                   delta=0.006 * (1 + least + percent / 100))

    def test_given(self):
        for peak, bound, floor in (("1000,10", "arithmetic", 1.5), ("1000,2", "memory", 2.5)):
            done = run(self.script, "--rows", "-", "--peak", peak, rows=[ROW])
            self.assertEqual(done.returncode, 0, done.stderr)
            heads, row = table(done.stdout)
            row = dict(zip(heads, row))
            self.assertEqual((row["GFLOP"], row["MB"]), ("1.50", "5.0"))
            self.assertEqual((row["bound by"], float(row["floor ms"])), (bound, floor))
            self.assertAlmostEqual(float(row["of median"]), 100 * floor / 5, delta=0.6)
            self.assertAlmostEqual(float(row["floor, % of least"]), 100 * floor / 4, delta=0.6)

    def test_refused(self):
        bare = {key: value for key, value in ROW.items() if key != "profile"}
        for arguments, rows in ((["--rows", "-", "--peak", "1,1"], [bare]),
                                (["--rows", "-"], [ROW]), ([], None)):
            done = run(self.script, *arguments, rows=rows)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("roofline.py: ", done.stderr)


class Ratios(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.addCleanup(self.temporary.cleanup)
        self.folder = pathlib.Path(self.temporary.name)

    def run_ratios(self, *arguments, tools=TOOLS):
        script = self.folder / "bench_ratios.py"
        shutil.copy(SCRIPTS / script.name, script)
        (self.folder / "bench_peers.py").write_text(PEERS, encoding="utf-8")
        return run(script, "--tools", tools, "--isa", "avx2", *arguments)

    def row_of(self, done):
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("onnxruntime: no package\n", done.stderr)
        heads, row = table(done.stdout)
        row = dict(zip(heads, row))
        self.assertEqual((row["pytorch"], row["onnxruntime"], row["openvino"], row["fastest peer"]),
                         ("40.0 [20.0]", "-", "20.0 [10.0]", "openvino"))
        return row

    ROW = ("--rows", "osf-nano@2", "--runs", 3, "--turns", 3, "--threads", 1, "--peers",
           "pytorch,onnxruntime,openvino")

    def test_table(self):
        done = self.run_ratios(*self.ROW)
        if "at most" in done.stderr:  # a CPU without AVX2 can't hold peers to it
            self.assertIn("avx2", done.stderr)
            return
        row = self.row_of(done)
        median, least = (float(word.strip("[]")) for word in row["psgvit"].split())
        self.assertGreaterEqual(median, least)
        self.assertGreater(least, 0.0)
        self.assertAlmostEqual(float(row["by min"]), least / 10, delta=0.011)
        self.assertGreater(float(row["cls"]), 0.0)

    def test_ratio_by_turns(self):
        """8 / 20, 30 / 100 and 20 / 20: not the ratio of the medians, which is 1."""
        (self.folder / "psgvit-bench").write_text(BENCH, encoding="utf-8")
        (self.folder / "psgvit-bench").chmod(0o755)
        row = self.row_of(self.run_ratios(*self.ROW, tools=self.folder))
        self.assertEqual((row["psgvit"], row["ratio"], row["by min"], row["cls"]),
                         ("20.0 [8.0]", "0.40", "0.80", "5.0"))

    def test_no_peers(self):
        done = self.run_ratios("--peers", "onnxruntime")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr, "onnxruntime: no package\n"
                                      "bench_ratios.py: none of the peers is there\n")

    def test_refused(self):
        for arguments, said in ((("--peers", "pytorch,nobody"), "found nobody"),
                                (("--rows", "osf-nano"), "MODEL@BATCH"),
                                (("--precision", "f64"), "f64")):
            done = self.run_ratios(*arguments)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(said, done.stderr)


if __name__ == "__main__":
    unittest.main()
