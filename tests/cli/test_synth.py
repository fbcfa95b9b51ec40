# SPDX-License-Identifier: MIT
"""psgvit-synth: what it writes, read by the safetensors package and NumPy, and what it refuses.

Usage: test_synth.py FOLDER_OF_TOOLS
"""
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import numpy as np
from safetensors import safe_open

from waiting import wait_for_handlers

TOOLS = sys.argv.pop(1) if len(sys.argv) > 1 else "build/bin"
TOOL = os.path.join(TOOLS, "psgvit-synth")
M64 = (1 << 64) - 1


def read(path):
    with open(path, "rb") as f:
        return f.read()


def fnv(name):
    h = 0xCBF29CE484222325
    for b in name.encode():
        h = ((h ^ b) * 0x100000001B3) & M64
    return h


def uniform(name, i, seed):
    """Element i of the raw values, before any rule of the name."""
    step = 0x9E3779B97F4A7C15
    z = ((fnv(name) ^ seed) + (i + 1) * step) & M64
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & M64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & M64
    return ((z ^ (z >> 31)) >> 40) * 2.0**-23 - 1.0


class Synth(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def run_tool(self, *args, **more):
        return subprocess.run([TOOL, *args], capture_output=True, timeout=600, **more)

    def make(self, *args):
        got = self.run_tool(*args)
        self.assertEqual(got.returncode, 0, got.stderr)
        return got

    def refused(self, code, word, *args, **more):
        before = sorted(os.listdir(self.folder.name))
        got = self.run_tool(*args, **more)
        self.assertEqual(got.returncode, code, got.stderr)
        self.assertIn(word, got.stderr.decode())
        self.assertEqual(got.stderr.count(b"\n"), 1, got.stderr)
        self.assertEqual(sorted(os.listdir(self.folder.name)), before, "a file was left behind")

    # ---- models ----

    def test_osf(self):
        out = self.path("nano.safetensors")
        self.make("osf-nano", "-o", out, "--seed", "5")
        with safe_open(out, "np") as f:
            meta = f.metadata()
            self.assertEqual(meta["weights"], "synthetic")
            self.assertEqual(meta["seed"], "5")
            self.assertEqual(json.loads(meta["config"])["width"], 128)
            qkv = f.get_tensor("block5.attn.fn.to_qkv.weight")
            norm = f.get_tensor("norm.weight")
            bias = f.get_tensor("block0.ff.fn.net.3.bias")
            pos = f.get_tensor("pos_embedding")
            self.assertNotIn("block6.attn.norm.weight", f.keys())
        self.assertEqual(qkv.shape, (768, 128))
        for i in (0, 1, 767, 98303):
            self.assertEqual(qkv.ravel()[i], uniform("block5.attn.fn.to_qkv.weight", i, 5) * 0.125)
        self.assertEqual(norm[7], np.float32(1 + uniform("norm.weight", 7, 5) / 8))
        self.assertEqual(bias[9], uniform("block0.ff.fn.net.3.bias", 9, 5) / 16)
        self.assertEqual(pos.ravel()[11], uniform("pos_embedding", 11, 5) / 4)

    def test_default_seed_and_repetition(self):
        for name, args in (("a", []), ("b", ["--seed", "1"]), ("c", ["--seed", "2"])):
            self.make("osf-nano", "-o", self.path(name), *args)
        a, b, c = (read(self.path(n)) for n in "abc")
        self.assertEqual(a, b)
        self.assertNotEqual(a, c)
        self.assertEqual((int.from_bytes(a[:8], "little") + 8) % 8, 0)

    def test_eegpt(self):
        out = self.path("e.safetensors")
        self.make("eegpt", "-o", out)
        with safe_open(out, "np") as f:
            config = json.loads(f.metadata()["config"])
            ids = f.get_tensor("chans_id")
            probe = f.get_tensor("final_layer.probe1.parametrizations.weight.original")
            self.assertFalse([k for k in f.keys() if k.startswith("chan_proj")])
        self.assertEqual((config["n_chans"], config["n_times"], config["depth"]), (22, 1000, 8))
        self.assertEqual(config["n_outputs"], 4)
        self.assertEqual(ids.ravel().tolist(), list(range(22)))
        self.assertEqual(ids.dtype, np.int64)
        name = "final_layer.probe1.parametrizations.weight.original"
        self.assertEqual(probe[0, 3], uniform(name, 3, 1) * 2.0**-5 * 4)
        self.assertEqual(probe[1, 3], uniform(name, 2048 + 3, 1) * 2.0**-5 / 16)

    def test_config(self):
        config = self.path("config.json")
        with open(config, "w") as f:
            json.dump({"n_chans": 2, "n_times": 320, "n_outputs": 3, "depth": 1, "embed_dim": 64,
                       "num_heads": 4, "chan_proj_type": "none",
                       "chs_info": [{"ch_name": "o2"}, {"ch_name": "Cz."}]}, f)
        out = self.path("e.safetensors")
        self.make("eegpt", "-o", out, "--config", config)
        with safe_open(out, "np") as f:
            self.assertEqual(f.get_tensor("chans_id").ravel().tolist(), [61, 29])
            self.assertEqual(f.get_tensor("target_encoder.summary_token").shape, (1, 4, 64))
        inspect = os.path.join(TOOLS, "psgvit-inspect")
        got = subprocess.run([inspect, out, "--model"], capture_output=True, timeout=600)
        self.assertEqual(got.returncode, 0, got.stderr)

    # ---- signals ----

    def test_psg(self):
        out = self.path("night.bin")
        self.make("psg", "-o", out, "--epochs", "40")
        x = np.fromfile(out, "<f4").reshape(40, 12, 1920)
        self.assertTrue(np.isfinite(x).all())
        self.assertLess(np.mean(np.abs(x) > 6), 1e-3)
        ecg = x[:, 0]
        middle = ecg[:, 1:-1]
        beats = (middle > 3) & (middle >= ecg[:, :-2]) & (middle > ecg[:, 2:])
        self.assertTrue(55 <= beats.sum() / 20 <= 75, beats.sum() / 20)  # in 20 minutes
        spectrum = np.abs(np.fft.rfft(x[:, 4], axis=1))
        self.assertTrue(6 <= np.median(spectrum.argmax(1)) <= 9)  # breaths in 30 s
        self.make("psg", "-o", self.path("again.bin"), "--epochs", "40", "--seed", "1")
        self.assertEqual(read(out), read(self.path("again.bin")))

    def test_psg_default_is_a_night(self):
        got = self.make("psg", "-o", self.path("night.bin"), "-q")
        self.assertEqual(got.stderr, b"")
        self.assertEqual(os.path.getsize(self.path("night.bin")), 960 * 12 * 1920 * 4)

    def test_eeg(self):
        self.make("eeg", "-o", self.path("d.bin"))
        self.assertEqual(os.path.getsize(self.path("d.bin")) % (22 * 1000 * 4), 0)
        out = self.path("eeg.bin")
        self.make("eeg", "-o", out, "--channels", "8", "--samples", "512", "--epochs", "3")
        x = np.fromfile(out, "<f4").reshape(3, 8, 512)
        self.assertTrue(0.005 < x.std() < 0.05, x.std())  # millivolts
        self.assertLess(np.abs(x.mean(axis=1)).max(), 1e-6)

    def test_standard_output(self):
        got = self.make("eeg", "-o", "-", "--channels", "2", "--samples", "10", "--epochs", "2")
        self.assertEqual(len(got.stdout), 2 * 2 * 10 * 4)

    # ---- what is refused ----

    def test_usage(self):
        out = self.path("x")
        self.refused(2, "osf-huge", "osf-huge", "-o", out)
        self.refused(2, "-o", "osf-nano")
        self.refused(2, "-o", "osf-nano", "-o")
        self.refused(2, "--frob", "osf-nano", "-o", out, "--frob")
        self.refused(2, "--seed", "osf-nano", "-o", out, "--seed", "-1")
        self.refused(2, "--seed", "osf-nano", "-o", out, "--seed", "18446744073709551616")
        self.refused(2, "--epochs", "psg", "-o", out, "--epochs", "0")
        self.refused(2, "--epochs", "osf-nano", "-o", out, "--epochs", "3")
        self.refused(2, "--channels", "psg", "-o", out, "--channels", "3")
        self.refused(2, "--config", "eeg", "-o", out, "--config", out)
        self.refused(2, "expected one", "psg", "eeg", "-o", out)
        self.refused(2, "expected one", "-o", out)

    def test_config_errors(self):
        out = self.path("x")
        self.refused(4, "none.json", "eegpt", "-o", out, "--config", self.path("none.json"))
        for name, text in (("a.json", "{"), ("b.json", '{"depth": -1}'), ("c.json", "{}\0")):
            with open(self.path(name), "w") as f:
                f.write(text)
            self.refused(4, name, "eegpt", "-o", out, "--config", self.path(name))

    def test_output_errors(self):
        self.refused(7, "no/such", "osf-nano", "-o", self.path("no/such/x"))
        self.refused(7, self.folder.name, "psg", "-o", self.folder.name)
        self.refused(7, "/dev/full", "psg", "-o", "/dev/full", "--epochs", "2")
        os.mkdir(self.path("folder"))
        self.refused(7, "folder", "osf-nano", "-o", self.path("folder"))

    def test_closed_pipe(self):
        read, write = os.pipe()
        os.close(read)
        got = subprocess.run([TOOL, "psg", "-o", "-"], stdout=write, stderr=subprocess.PIPE,
                             timeout=600)
        os.close(write)
        self.assertEqual(got.returncode, 7)

    def test_too_large_for_the_disk(self):
        """A limit on the size of a file stands for a full disk."""
        limit = "ulimit -f 64; trap '' XFSZ; exec \"$0\" psg -o \"$1\" --epochs 4"
        before = os.listdir(self.folder.name)
        got = subprocess.run(["sh", "-c", limit, TOOL, self.path("x")], capture_output=True,
                             timeout=600)
        self.assertEqual(got.returncode, 7, got.stderr)
        self.assertEqual(os.listdir(self.folder.name), before)

    def test_old_file_stays_until_the_new_is_whole(self):
        out = self.path("x.bin")
        with open(out, "w") as f:
            f.write("old")
        limit = "ulimit -f 64; trap '' XFSZ; exec \"$0\" psg -o \"$1\" --epochs 4"
        subprocess.run(["sh", "-c", limit, TOOL, out], capture_output=True, timeout=600)
        with open(out) as f:
            self.assertEqual(f.read(), "old")

    def test_signals(self):
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            tool = subprocess.Popen([TOOL, "psg", "-o", self.path("x"), "--epochs", "10000"],
                                    stderr=subprocess.PIPE)
            wait_for_handlers(tool)
            time.sleep(0.5)
            tool.send_signal(number)
            said = tool.communicate(timeout=600)[1]
            self.assertEqual(tool.returncode, code)
            self.assertEqual(said, b"psgvit-synth: error: interrupted\n")
            self.assertEqual(os.listdir(self.folder.name), [])

    def test_link_stays_a_link(self):
        os.mkdir(self.path("real"))
        os.symlink("real/x", self.path("link"))
        with open(self.path("real/x"), "w") as f:
            f.write("old")
        self.make("eeg", "-o", self.path("link"), "--epochs", "1")
        self.assertTrue(os.path.islink(self.path("link")))
        self.assertEqual(os.path.getsize(self.path("real/x")), 22 * 1000 * 4)

    def test_help_and_version(self):
        self.assertIn(b"Usage", self.make("--help").stdout)
        self.assertRegex(self.make("--version").stdout, rb"^psgvit-synth \d+\.\d+\.\d+\n$")


if __name__ == "__main__":
    unittest.main()
