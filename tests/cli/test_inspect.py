# SPDX-License-Identifier: MIT
"""psgvit-inspect: reports of models and recordings, which kind a file is, and the exit codes.

Usage: test_inspect.py FOLDER_OF_TOOLS
"""
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "recording"))
from make_edf import write_edf

TOOLS = sys.argv.pop(1) if len(sys.argv) > 1 else "build/bin"


def read(path):
    with open(path, "rb") as f:
        return f.read()


def safetensors(tensors, data, metadata=None):
    """Bytes of a file, right or wrong: {name: (dtype, shape, begin, end)}."""
    header = {}
    for name, (dtype, shape, begin, end) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
    if metadata is not None:
        header["__metadata__"] = metadata
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


class Inspect(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.shared = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.shared.cleanup)
        cls.model = os.path.join(cls.shared.name, "nano.safetensors")
        synth = os.path.join(TOOLS, "psgvit-synth")
        subprocess.run([synth, "osf-nano", "-q", "-o", cls.model], check=True, timeout=600)

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def file(self, name, data):
        path = os.path.join(self.folder.name, name)
        with open(path, "wb") as f:
            f.write(data)
        return path

    def run_tool(self, *args):
        tool = os.path.join(TOOLS, "psgvit-inspect")
        return subprocess.run([tool, *args], capture_output=True, timeout=600)

    def report(self, *args):
        got = self.run_tool(*args, "--json")
        self.assertEqual(got.returncode, 0, got.stderr)
        return json.loads(got.stdout)

    def refused(self, code, word, *args):
        got = self.run_tool(*args)
        self.assertEqual(got.returncode, code, got.stdout + got.stderr)
        self.assertIn(word, got.stderr.decode(errors="replace"))
        self.assertEqual(got.stdout, b"")
        if code != 2:
            got = self.run_tool(*args, "--json")
            self.assertEqual(got.returncode, code)
            self.assertFalse(json.loads(got.stdout)["ok"])

    # ---- safetensors ----

    def test_model(self):
        report = self.report(self.model, "--model")
        self.assertEqual(report["model"], {"kind": "osf", "width": 128, "depth": 6, "heads": 4,
                                           "mlp_dim": 512})
        tensors = {t["name"]: t for t in report["tensors"]}
        self.assertEqual(tensors["block5.attn.fn.to_qkv.weight"],
                         {"name": "block5.attn.fn.to_qkv.weight", "dtype": "F32",
                          "shape": [768, 128], "bytes": 768 * 128 * 4})
        self.assertEqual(report["bytes"], sum(t["bytes"] for t in report["tensors"]))
        self.assertEqual(report["elements"] * 4, report["bytes"])
        self.assertEqual(report["metadata"]["weights"], "synthetic")
        got = self.run_tool(self.model, "--model")
        self.assertIn(b"sound model: osf, width 128, depth 6, heads 4", got.stdout)
        self.assertIn(b"[768,128]", got.stdout)

    def test_eegpt(self):
        path = os.path.join(self.folder.name, "e.safetensors")
        synth = os.path.join(TOOLS, "psgvit-synth")
        subprocess.run([synth, "eegpt", "-q", "-o", path], check=True, timeout=600)
        report = self.report(path, "--model")
        self.assertEqual(report["model"], {"kind": "eegpt", "width": 512, "depth": 8,
                                           "mlp_dim": 2048})

    def test_odd_but_legal(self):
        report = self.report(self.file("x", safetensors({}, b"")))
        self.assertEqual(report["tensors"], [])
        data = safetensors({"s": ("I16", [], 0, 2), "e": ("F32", [0, 7], 2, 2)}, b"ab")
        report = self.report(self.file("x", data))
        self.assertEqual([t["shape"] for t in report["tensors"] if t["name"] == "s"], [[]])

    def test_large_header(self):
        """The format allows 100 MB of it, a model has no more than 16 MiB."""
        path = self.file("x", safetensors({}, b"", {"k": "v" * (17 << 20)}))
        self.assertEqual(self.run_tool(path).returncode, 0)
        self.refused(4, "at most 16777216", path, "--model")

    def test_terminal_is_safe(self):
        name = "\x1b[31mred\nline\x9b\x7f\"q\\"
        data = safetensors({name: ("U8", [1], 0, 1)}, b"a", {"k\x1b": "v\x1b]0;t\x07"})
        path = self.file("es\x1bcape", data)
        got = self.run_tool(path)
        self.assertEqual(got.returncode, 0, got.stderr)
        text = got.stdout.decode()
        self.assertIsNone(re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text), text)
        self.assertEqual(text.count("\n"), 3)
        report = self.report(path)
        self.assertEqual(report["tensors"][0]["name"], name)
        self.assertEqual(report["metadata"], {"k\x1b": "v\x1b]0;t\x07"})
        self.assertEqual(report["file"], path)

    def test_broken_file(self):
        good = read(self.model)
        self.refused(4, "x", self.file("x", good[:-1]))
        self.refused(4, "x", self.file("x", good + b"a"))
        self.refused(4, "x", self.file("x", b""))
        self.refused(4, "x", self.file("x.safetensors", b"hello, world"))
        hole = safetensors({"a": ("U8", [1], 0, 1), "b": ("U8", [1], 2, 3)}, b"abc")
        self.refused(4, "x", self.file("x", hole))
        self.refused(4, "none", os.path.join(self.folder.name, "none"))
        self.refused(4, self.folder.name, self.folder.name)
        os.mkfifo(os.path.join(self.folder.name, "fifo"))
        self.refused(4, "fifo", os.path.join(self.folder.name, "fifo"))

    def test_unsound_model(self):
        data = safetensors({"a": ("F32", [1], 0, 4)}, b"abcd")
        path = self.file("x", data)
        self.report(path)
        self.refused(4, "", path, "--model")
        good = bytearray(read(self.model))
        good[-4:] = np.float32(np.nan).tobytes()
        path = self.file("nan", good)
        self.report(path)
        self.refused(4, "norm.bias", path, "--model")

    def test_config(self):
        config = self.file("c.json", b'{"width": 128, "depth": 6}')
        self.assertEqual(self.run_tool(self.model, "--model", "-c", config).returncode, 0)
        config = self.file("d.json", b'{"width": 256}')
        self.refused(4, "256", self.model, "--model", "-c", config)
        got = self.run_tool(self.model, "--model", "-c", os.path.join(self.folder.name, "none"))
        self.assertEqual(got.returncode, 4)
        self.refused(2, "--model", self.model, "-c", config)

    # ---- recordings ----

    def test_raw_night(self):
        x = np.random.default_rng(1).standard_normal((3, 12, 1920)).astype("<f4")
        x[1, 5, 7] = np.nan
        x[2, 5, 7] = np.inf
        path = self.file("night.bin", x.tobytes())
        report = self.report(path)
        self.assertEqual(report["format"], "raw")
        self.assertEqual(report["shape"], [3, 12, 1920])
        self.assertTrue(report["guessed"])
        self.assertEqual(report["epochs"], 3)
        self.assertEqual([c["not_finite"] for c in report["channels"]], [0] * 5 + [2] + [0] * 6)
        for c in (0, 11):
            got = report["channels"][c]
            self.assertAlmostEqual(got["mean"], x[:, c].mean(dtype=np.float64), places=9)
            self.assertAlmostEqual(got["deviation"], x[:, c].std(dtype=np.float64), places=9)
            self.assertEqual((got["min"], got["max"]), (x[:, c].min(), x[:, c].max()))
        self.assertIn(b"guess", self.run_tool(path).stdout)

    def test_raw_of_unknown_shape(self):
        report = self.report(self.file("x.bin", np.arange(10, dtype="<f4").tobytes()))
        self.assertEqual(report["shape"], [10])
        self.assertFalse(report["guessed"])
        self.assertEqual(report["channels"][0]["mean"], 4.5)
        self.assertEqual(report["channels"][0]["max"], 9)
        self.refused(3, "empty.bin: expected samples", self.file("empty.bin", b""))
        self.refused(3, "x.bin", self.file("x.bin", b"12345"))

    def npy(self, name, array):
        path = os.path.join(self.folder.name, name)
        with open(path, "wb") as f:
            np.save(f, array)
        return path

    def test_npy(self):
        x = np.random.default_rng(2).standard_normal((4, 3, 50)).astype("<f4")
        report = self.report(self.npy("a.npy", x))
        self.assertEqual((report["format"], report["shape"]), ("npy", [4, 3, 50]))
        mean = x[:, 2].mean(dtype=np.float64)
        self.assertAlmostEqual(report["channels"][2]["mean"], mean, places=9)
        report = self.report(self.npy("no_suffix", x))
        self.assertEqual(report["kind"], "recording")
        report = self.report(self.npy("flat.npy", x.transpose(1, 0, 2).reshape(3, 200)))
        self.assertEqual((report["layout"], report["shape"]), ("channels", [3, 200]))
        report = self.report(self.npy("long.npy", np.ones((2, 4000), "<f4")))
        self.assertEqual((report["epochs"], report["dropped"]), (2, 160))
        self.assertEqual(report["channels"][1]["mean"], 1)

    def test_npy_without_samples(self):
        """It keeps NPY's rules, and has nothing that numbers could be made of."""
        path = self.npy("none.npy", np.zeros((0, 2, 1920), "<f4"))
        self.assertEqual(self.report(path)["channels"],
                         2 * [{"not_finite": 0, "mean": None, "deviation": None, "min": None,
                               "max": None}])
        lines = self.run_tool(path).stdout.decode().splitlines()
        self.assertEqual(lines[-1].split(), ["1", "-", "-", "-", "-", "0"])

    def test_npy_refused(self):
        self.refused(3, "a.npy", self.npy("a.npy", np.zeros((2, 2, 2))))
        self.refused(3, "a.npy", self.npy("a.npy", np.asfortranarray(np.zeros((2, 3, 4), "<f4"))))
        whole = read(self.npy("b.npy", np.zeros((2, 3, 4), "<f4")))
        self.refused(3, "b.npy", self.file("b.npy", whole[:-4]))

    def edf(self, name, signals, **how):
        path = os.path.join(self.folder.name, name)
        write_edf(path, signals, **how)
        return path

    def test_edf(self):
        x = np.sin(np.arange(1000))
        night = [{"label": "C3-A2", "unit": "uV", "rate": 100, "data": x, "transducer": "AgAgCl",
                  "physical_min": -200, "physical_max": 200, "prefilter": "HP:0.3Hz"},
                 {"label": "EKG", "unit": b"\xb5V", "rate": 25, "data": x[:250],
                  "header": {"physical_min": "5", "physical_max": "5"}}]
        path = self.edf("night.edf", night, plus="C", annotations=[(1, 30, "N2"), (2, None, "a")])
        report = self.report(path)
        self.assertEqual((report["kind"], report["format"], report["variant"]),
                         ("recording", "edf", "EDF+C"))
        self.assertEqual(report["start"], "2001-02-03T22:30:00")
        self.assertEqual((report["records"], report["record_seconds"]), (10, 1))
        self.assertEqual(report["patient"], "X X X X")
        self.assertEqual(report["recording"], "Startdate 03-FEB-2001 X X X")
        self.assertEqual(report["segments"], [{"onset": 0, "seconds": 10}])
        self.assertEqual(report["annotations"], 2)
        self.assertEqual(report["signals"][0],
                         {"label": "C3-A2", "unit": "uV", "transducer": "AgAgCl",
                          "prefilter": "HP:0.3Hz", "rate": 100, "per_record": 100,
                          "physical_min": -200, "physical_max": 200, "digital_min": -32768,
                          "digital_max": 32767, "annotations": False, "defect": ""})
        self.assertEqual(report["signals"][1]["unit"], "\ufffdV")
        self.assertIn("range is zero", report["signals"][1]["defect"])
        self.assertTrue(report["signals"][2]["annotations"])
        self.assertEqual(len(report["notes"]), 1)
        self.assertIn("signal 1 ('EKG') can't be used", report["notes"][0])
        text = self.run_tool(path).stdout.decode()
        for words in ("EDF+C, 3 signals, 10 data records of 1 s: 10 s", "100 Hz  uV", "-200 .. 200",
                      "can't be used: its physical range is zero", "2 annotations", "note: "):
            self.assertIn(words, text)
        self.assertNotIn("segments", text)

    def test_edf_with_gaps(self):
        signal = [{"label": "C3", "rate": 4, "digital": np.arange(120)}]
        path = self.edf("gaps.bdf", signal, plus="D", bdf=True, onsets=np.arange(30) * 2.5)
        report = self.report(path)
        self.assertEqual(report["variant"], "BDF+D")
        self.assertEqual(report["segments"],
                         [{"onset": 2.5 * i, "seconds": 1} for i in range(30)])
        text = self.run_tool(path).stdout.decode()
        self.assertIn("30 segments", text)
        self.assertIn("... 10 more", text)

    def test_edf_from_pipe(self):
        path = self.edf("night.edf", [{"label": "C3", "rate": 4, "digital": np.arange(40)}])
        fifo = os.path.join(self.folder.name, "fifo.edf")
        os.mkfifo(fifo)
        writer = subprocess.Popen(["cp", path, fifo])
        self.assertEqual(self.report(fifo)["records"], 10)
        self.assertEqual(writer.wait(), 0)

    def test_edf_refused(self):
        signal = [{"label": "C3", "rate": 4, "digital": np.arange(40)}]
        path = self.edf("x.edf", signal)
        self.refused(3, "x.edf", path, "--model")
        for size in (0, 7, 8, 255, 256, 511):
            self.refused(3, "x.edf", self.file("x.edf", read(path)[:size] if size else b""))
        self.refused(3, "size of the header: expected 512",
                     self.edf("x.edf", signal, header={"header_bytes": "511"}))
        self.refused(3, "number of signals", self.edf("x.edf", signal, header={"signals": "x"}))
        self.refused(3, "onset of data record 1",
                     self.edf("x.edf", signal, plus="D", onsets=range(10, 0, -1)))

    def test_which_kind(self):
        model = read(self.model)
        for name in ("x.npy", "x.edf", "x.BDF"):
            self.refused(3, name, self.file(name, model))
        self.assertEqual(self.report(self.file("x.bin", model))["kind"], "recording")
        self.refused(3, "x", self.file("x", b"0       " + b" " * 300))
        self.refused(3, "x", self.file("x", b"\xffBIOSEMI" + b" " * 300))
        for name in ("none.npy", "none.bin", "none.edf"):
            self.refused(3, name, os.path.join(self.folder.name, name))
        os.mkdir(os.path.join(self.folder.name, "folder.bin"))
        self.refused(3, "folder.bin", os.path.join(self.folder.name, "folder.bin"))
        night = self.file("night.bin", bytes(12 * 1920 * 4))
        self.refused(3, "night.bin", night, "--model")

    def test_usage(self):
        self.refused(2, "expected one")
        self.refused(2, "expected one", self.model, self.model)
        self.refused(2, "FILE is empty", "")
        self.refused(2, "--frob", self.model, "--frob")
        self.refused(2, "-c", self.model, "--model", "-c")
        self.assertIn(b"Usage", self.run_tool("--help").stdout)
        self.assertRegex(self.run_tool("--version").stdout, rb"^psgvit-inspect \d+\.\d+\.\d+\n$")

    def test_full_output(self):
        tool = os.path.join(TOOLS, "psgvit-inspect")
        with open("/dev/full", "wb") as full:
            got = subprocess.run([tool, self.model], stdout=full, stderr=subprocess.PIPE,
                                 timeout=600)
        self.assertEqual(got.returncode, 7)


if __name__ == "__main__":
    unittest.main()
