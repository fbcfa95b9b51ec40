# SPDX-License-Identifier: MIT
"""psgvit-bench: the fields of its report, that they agree with each other, and what it refuses.

Usage: test_bench.py FOLDER_OF_TOOLS
"""
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import unittest

from waiting import wait_for_handlers

TOOLS = sys.argv.pop(1) if len(sys.argv) > 1 else "build/bin"
TOOL = os.path.join(TOOLS, "psgvit-bench")
FIELDS = {"model", "batch", "epochs", "outputs", "backend", "device", "isa", "precision", "threads",
          "runs", "median_ms", "min_ms", "p99_ms", "per_epoch_ms", "gflops", "blas_ms", "load_ms",
          "peak_rss_mb", "channels", "times_ms"}


class Bench(unittest.TestCase):
    def run_tool(self, *args, **more):
        return subprocess.run([TOOL, *args], capture_output=True, timeout=600, **more)

    def measure(self, *args):
        got = self.run_tool(*args, "--json")
        self.assertEqual(got.returncode, 0, got.stderr)
        return json.loads(got.stdout)

    def refused(self, code, word, *args):
        got = self.run_tool(*args)
        self.assertEqual(got.returncode, code, got.stderr)
        self.assertIn(word, got.stderr.decode())

    def test_report(self):
        rows = self.measure("osf-nano,eegpt:4x256:1", "--batch", "1,3", "--runs", "4",
                            "--threads", "1", "--backend", "cpu")
        self.assertEqual([(r["model"], r["batch"]) for r in rows],
                         [("osf-nano", 1), ("osf-nano", 3), ("eegpt:4x256:1", 1),
                          ("eegpt:4x256:1", 3)])
        for r in rows:
            self.assertLessEqual(FIELDS, set(r))
            self.assertEqual((r["backend"], r["precision"], r["threads"], r["runs"]),
                             ("cpu", "f32", 1, 4))
            self.assertIn(r["isa"], ("c", "avx2", "avx512", "amx"))
            self.assertLessEqual(0, r["min_ms"])
            self.assertLessEqual(r["min_ms"], r["median_ms"])
            self.assertLessEqual(r["median_ms"], r["p99_ms"])
            self.assertAlmostEqual(r["per_epoch_ms"] * r["batch"], r["median_ms"], places=4)
            self.assertGreater(r["load_ms"], 0)
            self.assertTrue(1 < r["peak_rss_mb"] < 1000, r["peak_rss_mb"])
            self.assertEqual(len(r["times_ms"]), 4)
            self.assertEqual((min(r["times_ms"]), max(r["times_ms"])), (r["min_ms"], r["p99_ms"]))
            self.assertAlmostEqual(statistics.median(r["times_ms"]), r["median_ms"], places=5)
        loads = [r["load_ms"] for r in rows]  # measured once a model
        self.assertEqual(loads[::2], loads[1::2])
        self.assertEqual([r["channels"] for r in rows], [12, 12, 4, 4])
        self.assertEqual(rows[0]["outputs"], "cls,patches")
        self.assertEqual(rows[2]["outputs"], "logits")

    def test_flops(self):
        """By hand for osf-nano: D 128, 6 blocks, inner width 256, M 512, 91 tokens, 90 patches."""
        block = 91 * (128 * 768 + 256 * 128 + 2 * 128 * 512) + 2 * 91 * 91 * 256
        flops = 2 * (90 * 256 * 128 + 6 * block)
        for r in self.measure("osf-nano", "--batch", "1,2", "--runs", "3"):
            counted = r["gflops"] * 1e6 * r["median_ms"] / r["batch"]
            self.assertAlmostEqual(counted / flops, 1.0, delta=1e-3)
        # 4 channels x 320 samples: 9 patches of 8 tokens, D 512, M 2048, 1 block, probe of 4
        block = 72 * (4 * 512 * 512 + 2 * 512 * 2048) + 2 * 72 * 8 * 512
        flops = 2 * (36 * 64 * 512 + block + 9 * 16 * (4 * 512 + 4))
        (r,) = self.measure("eegpt:4x320:1", "--batch", "1", "--runs", "3")
        self.assertAlmostEqual(r["gflops"] * 1e6 * r["median_ms"] / flops, 1.0, delta=1e-3)

    def test_outputs_and_table(self):
        (r,) = self.measure("osf-nano", "--batch", "1", "--runs", "1", "--outputs", "mean,cls")
        self.assertEqual(r["outputs"], "cls,mean")
        (r,) = self.measure("eegpt:4x256:1", "--batch", "1", "--runs", "1", "--outputs",
                            "features,logits", "--isa", "c")
        self.assertEqual((r["outputs"], r["isa"]), ("features,logits", "c"))
        got = self.run_tool("osf-nano", "--batch", "1", "--runs", "1")
        self.assertEqual(got.returncode, 0)
        self.assertEqual(got.stdout.count(b"\n"), 3, got.stdout)

    def test_epochs(self):
        """A night is computed in batches; 0 is the library's own."""
        rows = self.measure("osf-nano", "--epochs", "5", "--batch", "0,2", "--runs", "2")
        self.assertEqual([(r["batch"], r["epochs"]) for r in rows], [(0, 5), (2, 5)])
        for r in rows:
            self.assertAlmostEqual(r["per_epoch_ms"] * 5, r["median_ms"], places=4)
        (r,) = self.measure("osf-nano", "--batch", "3", "--runs", "1")
        self.assertEqual(r["epochs"], 3)
        self.refused(2, "--epochs", "osf-nano", "--epochs", "0")
        # No more memory than the epochs need, of which there are fewer than fit a batch.
        (r,) = self.measure("osf-nano", "--epochs", "2", "--batch", "65536", "--runs", "1")
        self.assertLess(r["peak_rss_mb"], 500)

    def test_profile(self):
        """The steps of OSF-nano (6 blocks) by hand; on the CPU they are all of the time."""
        (r,) = self.measure("osf-nano", "--batch", "4", "--runs", "20", "--profile", "--threads",
                            "1", "--backend", "cpu", "--peak", "1000,100")
        rows = r["profile"]
        self.assertEqual([row["ms"] for row in rows], sorted((row["ms"] for row in rows))[::-1])
        steps = {(row["op"], row["shape"]): row for row in rows}
        self.assertEqual(steps["linear", "364x512x128 gelu"]["count"], 6)
        self.assertEqual(steps["linear", "364x768x128"]["count"], 5)
        self.assertEqual(steps["linear", "364x768x128"]["flops"], 2 * 364 * 768 * 128)
        self.assertEqual(steps["linear", "364x128x512 add"]["count"], 6)
        self.assertEqual(steps["attention", "4x4x91x91x64"]["count"], 6)
        self.assertEqual(steps["attention", "4x4x91x91x64"]["flops"], 4 * 4 * 4 * 91 * 91 * 64)
        self.assertEqual(steps["layernorm", "364x128"]["count"], 13)
        self.assertEqual(steps["patchify", "360x256"]["bytes"], 4 * (4 * 12 * 1920 + 360 * 256))
        self.assertEqual(sum(row["count"] for row in rows), 49)
        self.assertAlmostEqual(sum(row["percent"] for row in rows), 100, delta=0.1)
        # They are of one run, not of 20. The machine may have been busier for these than for those.
        self.assertLess(sum(row["ms"] for row in rows), 10 * statistics.mean(r["times_ms"]))
        for row in rows:
            self.assertAlmostEqual(row["us_each"] * row["count"] / 1000, row["ms"], delta=1e-4)
            self.assertTrue(row["kernel"])
            floor = max(row["flops"] / 1e12, row["bytes"] / 1e11) * 1e6
            self.assertAlmostEqual(row["floor_percent"] / 100 * row["us_each"] / floor, 1,
                                   delta=0.01)
        self.assertNotIn("profile", self.measure("osf-nano", "--batch", "1", "--runs", "1")[0])
        table = self.run_tool("osf-nano", "--batch", "1", "--runs", "1", "--profile").stdout
        self.assertRegex(table, rb"\n  linear  +91x512x128 gelu +6 ")
        self.assertRegex(table, rb"\n  all  +49 ")
        for wrong in ("1", "1,2,3", "0,1", "x"):
            self.refused(2, "--peak", "osf-nano", "--profile", "--peak", wrong)
        self.refused(2, "--profile, which is missing", "osf-nano", "--peak", "1,1")

    def test_times_are_in_order(self):
        """Not the sorted copy that the median is taken of: 60 runs are never sorted by chance."""
        (r,) = self.measure("eegpt:4x256:1", "--batch", "1", "--runs", "60")
        self.assertNotEqual(r["times_ms"], sorted(r["times_ms"]))

    def test_channels(self):
        for n in (1, 11, 12):
            (r,) = self.measure("osf-nano", "--batch", "2", "--runs", "1", "--channels", str(n))
            self.assertEqual(r["channels"], n)
        for wrong in ("0", "13", "x"):
            self.refused(2, "--channels", "osf-nano", "--channels", wrong)
        self.refused(2, "--channels", "osf-nano,eegpt:4x256", "--channels", "2")

    def test_peak_is_the_childs_own(self):
        """The parent's memory must not be counted: a larger model before changes nothing."""
        alone = self.measure("osf-nano", "--batch", "1", "--runs", "1")[0]["peak_rss_mb"]
        after = self.measure("osf-small,osf-nano", "--batch", "1", "--runs", "1")[1]["peak_rss_mb"]
        self.assertLess(after, alone + 20)

    def test_nothing_is_left(self):
        with tempfile.TemporaryDirectory() as folder:
            env = dict(os.environ, TMPDIR=folder)
            got = self.run_tool("osf-nano", "--batch", "1", "--runs", "1", env=env)
            self.assertEqual(got.returncode, 0, got.stderr)
            self.assertEqual(os.listdir(folder), [])
            for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
                tool = subprocess.Popen([TOOL, "osf-nano", "--runs", "100000"], env=env,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                wait_for_handlers(tool)
                time.sleep(0.5)
                tool.send_signal(number)
                said = tool.communicate(timeout=600)[1]
                self.assertEqual(tool.returncode, code)
                self.assertEqual(said, "psgvit-bench: error: interrupted\n")
                self.assertEqual(os.listdir(folder), [])

    def test_no_room_for_the_file(self):
        env = dict(os.environ, TMPDIR="/no/such/folder")
        got = self.run_tool("osf-nano", "--json", env=env)
        self.assertEqual(got.returncode, 7)
        self.assertIn(b"TMPDIR", got.stderr)
        self.assertEqual(json.loads(got.stdout), [])

    def test_no_standard_output(self):
        """What is measured does not go into the model that is opened in its place."""
        few = ["osf-nano", "--batch", "1", "--runs", "1"]
        for args in few, [*few, "--json"]:
            got = self.run_tool(*args, preexec_fn=lambda: os.close(1))
            self.assertEqual(got.returncode, 7, got.stderr)
            self.assertIn(b"standard output can't be written", got.stderr)

    def test_usage(self):
        self.refused(2, "expected one list")
        for models in ",", "", "osf-nano,", "osf-nano,,osf-tiny":
            self.refused(2, "found ''", models)
        for name in ("osf", "osf-huge", "eegpt", "eegpt:", "eegpt:22", "eegpt:0x100", "eegpt:22x",
                     "eegpt:22x1000:", "eegpt:22x1000:0", "eegpt:22x1000:2:3", "eegpt:-1x100"):
            self.refused(2, name, name)
        self.refused(2, "--batch", "osf-nano", "--batch", "0")
        self.refused(2, "--runs", "osf-nano", "--runs", "0")
        self.refused(2, "--outputs", "osf-nano", "--outputs", "logits")
        self.refused(2, "--outputs", "osf-nano,eegpt:4x256", "--outputs", "cls")
        for outputs in "frob", "", ",", "cls,", "cls,mean,cls":
            self.refused(2, "--outputs", "osf-nano", "--outputs", outputs)
        self.refused(2, "--isa", "osf-nano", "--isa", "frob")
        self.refused(2, "--frob", "osf-nano", "--frob")
        self.refused(2, "--runs", "osf-nano", "--runs")
        self.assertIn(b"Usage", self.run_tool("--help").stdout)
        self.assertRegex(self.run_tool("--version").stdout, rb"^psgvit-bench \d+\.\d+\.\d+\n$")

    def test_model_and_device_errors(self):
        self.refused(4, "", "eegpt:4x32", "--batch", "1")  # shorter than a patch
        self.refused(5, "", "osf-nano", "--batch", "1", "--device", "no such device")


if __name__ == "__main__":
    unittest.main()
