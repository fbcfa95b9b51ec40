# SPDX-License-Identifier: MIT
"""OUT: the four formats and what is in them, folders, standard output; and that an output appears
whole or not at all: exit code 7 and nothing left where it can't be written."""
import csv
import hashlib
import json
import os
import resource
import shutil
import signal
import subprocess
import time
import unittest

from harness import BIN, Case, main, np
from waiting import wait_for_handlers


class Formats(Case):
    def test_safetensors(self):
        self.infer("--outputs", "mean,cls,patches", "-o", "o.safetensors", "night.bin")
        tensors = self.tensors("o.safetensors")
        self.assertEqual({k: v.shape for k, v in tensors.items()},
                         {"cls": (3, 128), "patches": (3, 90, 128), "mean": (3, 128)})
        np.testing.assert_allclose(tensors["patches"].mean(axis=1), tensors["mean"], 1e-4, 1e-5)
        metadata = self.metadata("o.safetensors")
        with open(self.osf, "rb") as f:
            self.assertEqual(metadata["model_sha256"], hashlib.sha256(f.read()).hexdigest())
        device = json.loads(self.run_tool("osf-infer", "--list-devices", "--json").stdout)[0]
        self.assertEqual({k: v for k, v in metadata.items() if k != "model_sha256"},
                         {"model": self.osf, "variant": "custom", "precision": "f32",
                          "backend": "cpu", "device": device["name"], "isa": device["isa"],
                          "version": "0.1.0", "inputs": '["night.bin"]', "options": "{}",
                          "source_bytes": str(os.path.getsize("night.bin"))})
        self.infer("-o", "o.safetensors", "night.bin", model=self.synth("nano", "osf-nano"))
        self.assertEqual(self.metadata("o.safetensors")["variant"], "vit_nano")

    def test_eegpt(self):
        self.eegpt_infer("--outputs", "features,logits", "-o", "o.safetensors", "eeg.bin")
        tensors = self.tensors("o.safetensors")
        self.assertEqual({k: v.shape for k, v in tensors.items()},
                         {"features": (5, 3, 4, 64), "logits": (5, 4)})
        self.assertEqual(self.metadata("o.safetensors")["variant"], "eegpt")
        self.eegpt_infer("-o", "o.csv", "eeg.bin")
        with open("o.csv") as f:
            self.assertEqual(f.readline(), "epoch,logits_0,logits_1,logits_2,logits_3\n")
        self.eegpt_infer("--outputs", "features", "-o", "o.json", "eeg.bin")
        with open("o.json") as f:
            epochs = json.load(f)["epochs"]
        np.testing.assert_array_equal(np.array([e["features"] for e in epochs], "f4"),
                                      tensors["features"])

    def test_agree(self):
        """Every format gives the same float32 back, every output the same alone or with others."""
        self.infer("--outputs", "cls,patches,mean", "-o", "all.safetensors", "night.bin")
        tensors = self.tensors("all.safetensors")
        for name, expected in tensors.items():
            self.infer("--outputs", name, "-o", "o.npy", "night.bin")
            array = np.load("o.npy")
            self.assertEqual(array.dtype, np.dtype("<f4"))
            np.testing.assert_allclose(array, expected, 1e-5, 1e-5)
        self.infer("-o", "o.npy", "night.bin")
        cls = np.load("o.npy")
        self.infer("-o", "o.csv", "night.bin")
        with open("o.csv", newline="") as f:
            rows = list(csv.reader(f))
        self.assertEqual(rows[0], ["epoch"] + [f"cls_{i}" for i in range(128)])
        self.assertEqual([row[0] for row in rows[1:]], ["0", "1", "2"])
        np.testing.assert_array_equal(np.array([row[1:] for row in rows[1:]], "f4"), cls)
        self.infer("-o", "o.json", "night.bin")
        with open("o.json") as f:
            document = json.load(f)
        self.assertEqual([e["epoch"] for e in document["epochs"]], [0, 1, 2])
        self.assertEqual(document["shapes"], {"cls": [3, 128]})
        self.assertEqual(document["metadata"]["variant"], "custom")
        np.testing.assert_array_equal(np.array([e["cls"] for e in document["epochs"]], "f4"), cls)

    def test_many_parts(self):
        """600 epochs are several parts: each format has all of them, in order."""
        eeg = np.random.default_rng(1).standard_normal((600, 3, 128), dtype="f4")
        eeg.tofile("long.bin")
        self.eegpt_infer("-o", "o.npy", "long.bin")
        logits = np.load("o.npy")
        self.assertEqual(logits.shape, (600, 4))
        self.assertEqual(len(np.unique(logits[:, 0])), 600)
        self.eegpt_infer("--outputs", "features,logits", "-o", "o.safetensors", "long.bin")
        np.testing.assert_allclose(self.tensors("o.safetensors")["logits"], logits, 1e-4, 1e-5)
        self.eegpt_infer("-o", "o.csv", "long.bin")
        with open("o.csv") as f:
            self.assertEqual([line.split(",")[0] for line in f][1:], [str(i) for i in range(600)])
        eeg[599:].tofile("last.bin")
        self.eegpt_infer("-o", "o.npy", "last.bin")
        np.testing.assert_allclose(np.load("o.npy"), logits[599:], 1e-4, 1e-5)

    def test_names_of_inputs(self):
        """Any bytes in a name, on both sides."""
        name = b"n\xff\"\\\n\xc3\xa9.bin"
        shutil.copy(b"night.bin", name)
        p = subprocess.run([BIN / "osf-infer", "-m", self.osf, "-o", "d/", "--json", name],
                           capture_output=True, timeout=600)
        self.assertEqual(p.returncode, 0, p.stderr)
        self.assertEqual(os.listdir(b"d"), [name[:-4] + b".safetensors"])
        inputs = json.loads(self.metadata(os.fsdecode(b"d/" + os.listdir(b"d")[0]))["inputs"])
        self.assertEqual(inputs, ["n\ufffd\"\\\n\u00e9.bin"])
        self.assertEqual(json.loads(p.stdout)["inputs"][0]["input"], inputs[0])


class Folders(Case):
    def test_made(self):
        self.infer("-o", "new/", "night.bin")
        self.assertEqual(self.names("new"), ["night.safetensors"])
        os.makedirs("sub/a.b")
        for name in "sub/a.b/plain", "sub/a.b/two.dots.bin", "sub/a.b/.hidden":
            shutil.copy("night.bin", name)
        with open("night.bin", "rb") as f:
            self.infer("--format", "csv", "-o", "new", "sub/a.b/plain", "sub/a.b/two.dots.bin",
                       "sub/a.b/.hidden", "-", stdin=f)
        self.assertEqual(self.names("new"), [".hidden.csv", "night.safetensors", "plain.csv",
                                             "stdin.csv", "two.dots.csv"])

    def test_one_input(self):
        """With one INPUT the exit code is its own, folder or not; a folder in vain is not left."""
        self.infer_fails(3, "missing", "-o", "new/", "missing")
        with open("short.bin", "wb") as f:
            f.write(b"abc")
        self.infer_fails(3, "short.bin", "-o", "new/", "short.bin")
        night = self.night.copy()
        night[2, 0, 0] = np.nan
        night.tofile("nan.bin")
        self.infer_fails(3, "nan.bin", "-o", "new/", "nan.bin")

    def test_bad(self):
        open("file", "w").close()
        for out, words in [("no/such/", "no/such"), ("file/", "file"), ("file/x/", "file/x"),
                           ("/proc/self/x/", "/proc/self/x")]:
            self.infer_fails(7, words, "-o", out, "night.bin")
            self.infer_fails(7, words, "-o", out, "night.bin", "eeg.bin")

    def test_taken(self):
        """A folder where one of the outputs should be: that input fails, the rest are done."""
        os.makedirs("o/night.npy")
        shutil.copy("night.bin", "second.bin")
        self.infer_fails(7, "night.npy", "--format", "npy", "-o", "o", "night.bin")
        p = self.infer("--format", "npy", "-o", "o", "night.bin", "second.bin", code=1)
        self.assertIn("o/night.npy", p.stderr)
        self.assertEqual(self.names("o"), ["night.npy", "second.npy"])


class StandardOutput(Case):
    def test_formats(self):
        for suffix in "safetensors", "npy", "csv", "json":
            self.infer("-o", f"o.{suffix}", "night.bin")
            p = self.infer("-o", "-", "--format", suffix, "night.bin")
            with open(f"o.{suffix}", "rb") as f:
                self.assertEqual(p.stdout, f.read(), suffix)
            with open("redirected", "wb") as f:
                self.infer("-o", "-", "--format", suffix, "night.bin", stdout=f)
            with open("redirected", "rb") as f:
                self.assertEqual(p.stdout, f.read(), suffix)

    def test_not_blocking(self):
        """A standard input that has nothing yet, and a standard output that takes nothing now."""
        np.tile(self.night, (100, 1, 1)).tofile("long.bin")
        command = [BIN / "osf-infer", "-q", "-m", self.osf, "-o", "-", "--format", "npy"]
        expected = self.infer("-q", "-o", "-", "--format", "npy", "long.bin").stdout
        self.assertGreater(len(expected), 1 << 17)  # more than a pipe holds
        p = subprocess.Popen([*command, "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             preexec_fn=lambda: [os.set_blocking(fd, False) for fd in (0, 1)])
        wait_for_handlers(p)
        time.sleep(0.2)
        with open("long.bin", "rb") as f:
            shutil.copyfileobj(f, p.stdin)
        p.stdin.close()
        time.sleep(0.2)
        got = p.stdout.read()
        p.stdout.close()
        self.assertEqual((p.wait(), got == expected), (0, True))

    def test_interrupted_not_blocking(self):
        """What waits so is ended by a signal."""
        read, write = os.pipe()
        p = subprocess.Popen([BIN / "osf-infer", "-q", "-m", self.osf, "-o", "o.npy", "-"],
                             stdin=read, stderr=subprocess.DEVNULL,
                             preexec_fn=lambda: os.set_blocking(0, False))
        wait_for_handlers(p)
        p.send_signal(signal.SIGINT)
        self.assertEqual(p.wait(60), 130)
        os.close(read)
        os.close(write)

    def test_nothing_from_a_failure(self):
        night = self.night.copy()
        night[2, 0, 0] = np.nan
        night.tofile("nan.bin")
        self.infer_fails(3, "epoch 2", "--batch", 1, "-o", "-", "--format", "csv", "nan.bin")

    def test_bad(self):
        args = ["-o", "-", "--format", "npy", "night.bin"]
        with open("/dev/full", "wb") as full:
            self.infer_fails(7, "standard output", *args, stdout=full)
            self.infer("-o", "o.npy", "--json", "night.bin", code=7, stdout=full)
            os.unlink("o.npy")
        self.infer_fails(7, "standard output", *args, preexec_fn=lambda: os.close(1))
        read, write = os.pipe()
        os.close(read)
        self.infer_fails(7, "standard output", *args, stdout=write)
        os.close(write)

    def test_closed_streams(self):
        """A file that is opened later must not become standard error by its number."""
        self.infer("-o", "o.npy", "night.bin", preexec_fn=lambda: os.closerange(0, 3))
        self.assertEqual(np.load("o.npy").shape, (3, 128))
        self.assertEqual(self.names(), ["eeg.bin", "night.bin", "o.npy"])


class Unwritable(Case):
    def test_targets(self):
        os.mkdir("folder.npy")
        os.mkfifo("fifo.npy")
        os.symlink("nowhere", "link.npy")
        # An existing folder is a folder whatever its name: then there is one file in it.
        self.infer("-o", "folder.npy", "night.bin")
        self.assertEqual(self.names("folder.npy"), ["night.safetensors"])
        for out in "fifo.npy", "link.npy", "no/o.npy", "night.bin/o.npy", "x" * 300 + ".npy":
            self.infer_fails(7, out, "-o", out, "night.bin")

    def test_read_only(self):
        os.mkdir("locked")
        if os.geteuid() != 0:
            os.chmod("locked", 0o500)
            self.infer_fails(7, "locked", "-o", "locked/o.npy", "night.bin")
            self.infer_fails(7, "locked", "-o", "locked", "night.bin")
            os.chmod("locked", 0o700)
            return
        mounted = subprocess.run(["unshare", "-m", "sh", "-c", "mount -t tmpfs -o ro none locked"],
                                 stderr=subprocess.DEVNULL)
        out = "locked/o.npy" if mounted.returncode == 0 else "/proc/o.npy"
        command = f"mount -t tmpfs -o ro none locked && exec {BIN}/osf-infer -m {self.osf} -o {out}"
        if mounted.returncode == 0:
            p = subprocess.run(["unshare", "-m", "sh", "-c", command + " night.bin"],
                               capture_output=True, timeout=600)
            self.assertEqual(p.returncode, 7, p.stderr)
            self.assertIn(out.encode(), p.stderr)
        self.infer_fails(7, "/proc/o.npy", "-o", "/proc/o.npy", "night.bin")

    def test_full_disk(self):
        """A limit on the size of files stands for the disk; the room is missed before anything is
        computed where the size is known beforehand."""
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        for suffix in "npy", "safetensors", "csv", "json":
            self.infer_fails(7, f"o.{suffix}", "-o", f"o.{suffix}", "night.bin", preexec_fn=limit)
        self.infer_fails(7, "standard output", "-o", "-", "--format", "npy", "night.bin",
                         preexec_fn=limit)
        with open("o.npy", "w") as f:
            f.write("old")
        self.infer_fails(7, "o.npy", "-o", "o.npy", "night.bin", preexec_fn=limit)
        with open("o.npy") as f:
            self.assertEqual(f.read(), "old")

    def test_full_tmpfs(self):
        """The same on a file system that is really full, where one may be mounted."""
        os.mkdir("small")
        mount = "mount -t tmpfs -o size=64k none small"
        p = subprocess.run(["unshare", "-m", "sh", "-c", mount], stderr=subprocess.DEVNULL)
        if p.returncode:
            raise unittest.SkipTest("no right to mount; test_full_disk covers the rest")
        for suffix in "safetensors", "json":
            command = (f"{mount} && {BIN}/osf-infer -m {self.osf} --outputs patches "
                       f"-o small/o.{suffix} night.bin; echo $? $(ls -A small)")
            p = subprocess.run(["unshare", "-m", "sh", "-c", command], capture_output=True,
                               timeout=600)
            self.assertEqual(p.stdout, b"7\n", p.stderr)
            self.assertIn(b"No space left", p.stderr)

    def test_replaces(self):
        with open("o.npy", "w") as f:
            f.write("old")
        os.symlink("o.npy", "link.npy")
        self.infer("-o", "link.npy", "night.bin")
        self.assertTrue(os.path.islink("link.npy"))
        self.assertEqual(np.load("o.npy").shape, (3, 128))

    def test_mode(self):
        for mask, mode in (0o022, 0o644), (0o077, 0o600), (0o002, 0o664):
            self.infer("-o", f"{mask}.npy", "night.bin", preexec_fn=lambda: os.umask(mask))
            self.assertEqual(os.stat(f"{mask}.npy").st_mode & 0o777, mode)


if __name__ == "__main__":
    main()
