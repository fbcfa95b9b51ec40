# SPDX-License-Identifier: MIT
"""What the tests of osf-infer and eegpt-infer share: a folder of models and signals, and a way to
run a tool that fails if the tool crashes, hangs, or says nothing about its failure.

A test is run as: python3 test_x.py <folder of the tools>
"""
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

try:
    import numpy as np
    import safetensors.numpy as st
    from safetensors import safe_open
except ImportError as missing:
    sys.exit(f"{missing}: this test needs numpy and safetensors; scripts/test.sh installs them")

BIN = pathlib.Path(sys.argv.pop(1) if len(sys.argv) > 1 else "build/release/bin").resolve()
SANITIZED = b"__asan_init" in (BIN / "osf-infer").read_bytes() or any(
    b"__asan_init" in f.read_bytes() for f in BIN.parent.glob("src/libpsgvit.so"))
CONFIG = {"n_chans": 3, "n_times": 128, "sfreq": 256, "n_outputs": 4, "patch_size": 64,
          "patch_stride": 32, "embed_num": 4, "embed_dim": 64, "depth": 1, "num_heads": 2,
          "chan_proj_type": "none"}


class Case(unittest.TestCase):
    """Each test has a folder of its own as current one, beside the models of its class."""

    @classmethod
    def setUpClass(cls):
        cls.root = pathlib.Path(tempfile.mkdtemp(prefix="psgvit-cli-"))
        (cls.root / "osf.json").write_text('{"depth": 1}')
        cls.osf = cls.synth("osf.safetensors", "osf-nano", "--config", str(cls.root / "osf.json"))
        cls.eegpt = cls.synth_eegpt("eegpt.safetensors", CONFIG)
        cls.headless = cls.synth_eegpt("headless.safetensors",
                                       {**CONFIG, "return_encoder_output": True})
        rng = np.random.default_rng(7)
        cls.night = rng.standard_normal((3, 12, 1920), dtype=np.float32)
        cls.eeg = rng.standard_normal((5, 3, 128), dtype=np.float32)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.root)

    @classmethod
    def synth(cls, name, *args):
        subprocess.run([BIN / "psgvit-synth", *args, "-o", cls.root / name], check=True,
                       stderr=subprocess.DEVNULL)
        return str(cls.root / name)

    @classmethod
    def synth_eegpt(cls, name, config):
        path = cls.root / (name + ".json")
        path.write_text(json.dumps(config))
        return cls.synth(name, "eegpt", "--config", str(path))

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(dir=self.root))
        os.chdir(self.folder)
        self.night.tofile("night.bin")
        self.eeg.tofile("eeg.bin")

    def tearDown(self):
        os.chdir(self.root)

    # ---- running ----

    def run_tool(self, tool, *args, code=0, timeout=600, **kwargs):
        """Runs it and returns the process, whose output is bytes and whose stderr is text."""
        if "input" not in kwargs:
            kwargs.setdefault("stdin", subprocess.DEVNULL)
        kwargs.setdefault("stdout", subprocess.PIPE)
        p = subprocess.run([BIN / tool, *map(str, args)], stderr=subprocess.PIPE, timeout=timeout,
                           **kwargs)
        p.stderr = p.stderr.decode("utf-8", "replace")
        self.assertGreaterEqual(p.returncode, 0, f"{tool} {args} crashed: {p.stderr}")
        self.assertNotIn("Sanitizer", p.stderr)
        self.assertEqual(p.returncode, code, f"{tool} {args}: {p.stderr}")
        return p

    def infer(self, *args, model=None, **kwargs):
        return self.run_tool("osf-infer", "-m", model or self.osf, *args, **kwargs)

    def eegpt_infer(self, *args, model=None, **kwargs):
        return self.run_tool("eegpt-infer", "-m", model or self.eegpt, *args, **kwargs)

    def fails(self, tool, code, words, *args, **kwargs):
        """The exit code, one sentence with all of `words`, and no new file anywhere near."""
        before = self.files()
        p = self.run_tool(tool, *args, code=code, **kwargs)
        lines = [line for line in p.stderr.splitlines() if "error: " in line]
        self.assertEqual(len(lines), 1, p.stderr)
        self.assertTrue(lines[0].startswith(f"{tool}: error: "), lines[0])
        for word in [words] if isinstance(words, str) else words:
            self.assertIn(word, lines[0])
        self.assertFalse(p.stdout)
        self.assertEqual(self.files(), before)
        return p

    def infer_fails(self, code, words, *args, model=None, **kwargs):
        return self.fails("osf-infer", code, words, "-m", model or self.osf, *args, **kwargs)

    def eegpt_fails(self, code, words, *args, model=None, **kwargs):
        return self.fails("eegpt-infer", code, words, "-m", model or self.eegpt, *args, **kwargs)

    # ---- looking ----

    def files(self):
        """Every file and folder in the test's own folder, with what a change would show in."""
        return {(str(p.relative_to(self.folder)), p.lstat().st_ino, p.lstat().st_mtime_ns)
                for p in self.folder.rglob("*")}

    def names(self, folder="."):
        return sorted(os.listdir(folder))

    def tensors(self, path):
        return st.load_file(path)

    def metadata(self, path):
        with safe_open(path, "numpy") as f:
            return f.metadata()

    def cls(self, *args, **kwargs):
        """The cls embeddings of night.bin, or of what is named instead, by these options."""
        self.infer("-o", "cls.safetensors", *(args or ["night.bin"]), **kwargs)
        return self.tensors("cls.safetensors")["cls"]


def npy(path, array, **changes):
    """An NPY file, with entries of its header changed."""
    header = {"descr": "<f4", "fortran_order": False, "shape": tuple(array.shape), **changes}
    text = repr(header).encode() + b"\n"
    with open(path, "wb") as f:
        f.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + array.tobytes())


def main():
    unittest.main(argv=[sys.argv[0], *sys.argv[1:]], verbosity=2)
