# SPDX-License-Identifier: MIT
"""The run as a whole: several inputs, signals, progress, the report, how much is said, memory, and
a model that changes under way."""
import json
import os
import pty
import re
import resource
import select
import shutil
import signal
import subprocess
import time
import unittest

from harness import BIN, SANITIZED, Case, main, np
from waiting import wait_for_handlers


class Several(Case):
    def test_all(self):
        for name in "a.bin", "b.bin":
            shutil.copy("night.bin", name)
        np.save("c.npy", self.night[:1])
        p = self.infer("-o", "o/", "--json", "a.bin", "b.bin", "c.npy")
        report = json.loads(p.stdout)
        self.assertEqual([i["epochs"] for i in report["inputs"]], [3, 3, 1])
        self.assertEqual(report["epochs"], 7)
        self.assertEqual(self.names("o"), ["a.safetensors", "b.safetensors", "c.safetensors"])
        self.assertEqual(self.metadata("o/c.safetensors")["inputs"], '["c.npy"]')
        sums = {self.metadata(f"o/{n}")["model_sha256"] for n in self.names("o")}
        self.assertEqual(len(sums), 1)

    def test_some_fail(self):
        """Each failure by its own; the rest are done, and the exit code is 1."""
        night = self.night.copy()
        night[0, 0, 0] = np.inf
        night.tofile("inf.bin")
        open("empty.bin", "w").close()
        p = self.infer("-o", "o/", "--json", "missing", "night.bin", "inf.bin", "empty.bin", code=1)
        self.assertEqual(self.names("o"), ["night.safetensors"])
        for name in "missing", "inf.bin", "empty.bin":
            self.assertRegex(p.stderr, rf"(?m)^osf-infer: error: {name}: ")
        self.assertIn("3 of 4 inputs failed", p.stderr)
        report = json.loads(p.stdout)
        self.assertEqual(report["exit_code"], 1)
        self.assertEqual([i["status"] for i in report["inputs"]],
                         ["failed", "done", "failed", "failed"])
        self.assertEqual([i["exit_code"] for i in report["inputs"]], [3, 0, 3, 3])
        self.assertEqual(report["inputs"][0]["output"], None)
        self.assertEqual(report["inputs"][1]["output"], "o/night.safetensors")
        self.assertIn("epoch 0", report["inputs"][2]["error"])
        self.infer("-o", "o/", "missing", "none", code=1)

    def test_many(self):
        """Nothing is held open from one input to the next."""
        def limit():
            resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24))
        names = [f"{i}.bin" for i in range(60)]
        for name in names:
            os.link("eeg.bin", name)
        self.eegpt_infer("-o", "o/", *names, preexec_fn=limit)
        self.assertEqual(len(self.names("o")), 60)

    def test_faults_of_all(self):
        """A fault of model, device or command line stops at once with its own code."""
        self.infer_fails(4, "none", "-o", "o/", "night.bin", "eeg.bin", model="none")
        self.infer_fails(5, "no such", "--device", "no such", "-o", "o/", "night.bin", "eeg.bin")
        self.infer_fails(3, "--samples", "--samples", 65, "-o", "o/", "night.bin", "eeg.bin")
        self.eegpt_fails(3, "--channels", "--channels", 4, "-o", "o/", "night.bin", "eeg.bin")
        self.eegpt_fails(4, "probe", "--outputs", "logits", "-o", "o/", "night.bin", "eeg.bin",
                         model=self.headless)


class Signals(Case):
    def setUp(self):
        super().setUp()
        with open("long.bin", "wb") as f:  # hours of work, no room on the disk
            f.truncate(92160 << 18)

    def start(self, *args, **kwargs):
        return subprocess.Popen([BIN / "osf-infer", "-m", self.osf, *args], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, **kwargs)

    def wait_for_work(self, p):
        """Until the first epochs are done."""
        self.assertIn(b'"done"', p.stderr.readline())

    def check(self, number, code, *args, **kwargs):
        before = self.files()
        with self.start("--progress", "json", *args, **kwargs) as p:
            self.wait_for_work(p)
            p.send_signal(number)
            rest = p.communicate(timeout=600)  # of hours
            self.assertEqual(p.returncode, code, rest)
        self.assertEqual(self.files(), before)

    def test_codes(self):
        for number, code in (signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9):
            for out in ["o.safetensors"], ["o.csv"], ["-", "--format", "npy"]:
                self.check(number, code, "-o", *out, "long.bin")
        self.check(signal.SIGINT, 130, "-o", "o/", "long.bin")

    def test_blocked(self):
        """A parent that ignores or blocks the signals does not shield its child from them."""
        def shield():
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        self.check(signal.SIGINT, 130, "-o", "o.npy", "long.bin", preexec_fn=shield)

    def test_finished_nights_stay(self):
        with self.start("--progress", "json", "-o", "o/", "night.bin", "long.bin", "eeg.bin") as p:
            while b"long.bin" not in p.stderr.readline():
                pass
            p.send_signal(signal.SIGTERM)
            p.communicate(timeout=600)
            self.assertEqual(p.returncode, 143)
        self.assertEqual(self.names("o"), ["night.safetensors"])

    def test_while_it_waits(self):
        """For a pipe that nobody writes to."""
        os.mkfifo("pipe")
        for number, code in (signal.SIGINT, 130), (signal.SIGTERM, 143):
            for out, *names in ["o.npy", "pipe"], ["o.npy", "-"], ["o/", "-", "night.bin"]:
                with self.start("-v", "-o", out, *names, stdin=subprocess.PIPE) as p:
                    wait_for_handlers(p)
                    time.sleep(0.5)
                    p.send_signal(number)
                    p.wait(timeout=600)
                    self.assertEqual(p.returncode, code)
                self.assertEqual(self.names(), ["eeg.bin", "long.bin", "night.bin", "pipe"])

    def test_while_it_waits_for_a_list(self):
        """For a list or aliases, from a pipe that nobody writes to: those are not to blame."""
        os.mkfifo("pipe")
        for args in ["--list", "-"], ["--list", "pipe"], ["--alias", "pipe", "night.bin"]:
            with self.start("-o", "o/", *args, stdin=subprocess.PIPE) as p:
                wait_for_handlers(p)
                time.sleep(0.5)
                p.send_signal(signal.SIGTERM)
                self.assertIn(b"error: interrupted", p.communicate(timeout=600)[1])
                self.assertEqual(p.returncode, 143)
            self.assertEqual(self.names(), ["eeg.bin", "long.bin", "night.bin", "pipe"])


class Talk(Case):
    def test_silence(self):
        """A run that goes well says nothing; -v says what it did; data never mixes with talk."""
        self.assertEqual(self.infer("-o", "o.npy", "night.bin").stderr, "")
        p = self.infer("-v", "-o", "o.npy", "night.bin")
        self.assertRegex(p.stderr, r"(?m)^osf-infer: night.bin: 3 epochs in .*o.npy$")
        self.assertEqual(p.stdout, b"")
        self.infer("-q", "-o", "o.npy", "missing", code=3)

    def test_report(self):
        report = json.loads(self.infer("--json", "--outputs", "cls,mean", "--threads", 1, "-o",
                                       "o.safetensors", "night.bin").stdout)
        metadata = self.metadata("o.safetensors")
        for key in ["model", "model_sha256", "variant", "precision", "backend", "device", "isa",
                    "version"]:
            self.assertEqual(report[key], metadata[key])
        self.assertEqual(report["program"], "osf-infer")
        self.assertEqual(report["threads"], 1)
        self.assertEqual(report["outputs"], ["cls", "mean"])
        self.assertEqual(report["exit_code"], 0)
        self.assertGreater(report["epochs_per_s"], 0)
        timings = report["timings"]
        self.assertEqual(set(timings), {"load_ms", "read_ms", "compute_ms", "write_ms", "total_ms"})
        self.assertGreaterEqual(timings["total_ms"], timings["load_ms"] + timings["compute_ms"])
        entry = report["inputs"][0]
        self.assertEqual((entry["input"], entry["status"], entry["epochs"], entry["samples"],
                          entry["dropped_samples"], entry["output"], entry["error"]),
                         ("night.bin", "done", 3, 1920, 0, "o.safetensors", None))
        self.assertEqual(entry["shapes"], {"cls": [3, 128], "mean": [3, 128]})
        self.assertGreater(entry["seconds"], 0)

    def test_progress_json(self):
        p = self.infer("--progress", "json", "--batch", 1, "-o", "o.npy", "night.bin")
        lines = [json.loads(line) for line in p.stderr.splitlines()]
        self.assertEqual(lines[-1]["done"], 3)
        for line in lines:
            self.assertEqual(set(line), {"input", "done", "total", "epochs_per_s", "seconds_left"})
            self.assertEqual((line["input"], line["total"]), ("night.bin", 3))
        done = [line["done"] for line in lines]
        self.assertEqual(done, sorted(set(done)))
        for args in ["--progress", "never"], ["--progress", "auto"], ["-q", "--progress", "json"]:
            self.assertEqual(self.infer(*args, "-o", "o.npy", "night.bin").stderr, "")

    def on_terminal(self, *args, until=None, seconds=600):
        """What standard error gets where it is a terminal. The run is ended when `until` has come,
        or after so many seconds."""
        ours, theirs = pty.openpty()
        p = subprocess.Popen([BIN / "osf-infer", "-m", self.osf, "-o", "o.npy", *args],
                             stdout=subprocess.DEVNULL, stderr=theirs)
        os.close(theirs)
        end = time.monotonic() + seconds
        text = b""
        while True:
            if time.monotonic() > end or until and until in text:
                p.terminate()
                end, until = end + 60, None
            if not select.select([ours], [], [], 0.05)[0]:
                continue
            try:
                text += os.read(ours, 65536)
            except OSError:  # Linux says so when the other end is closed
                break
        p.wait(timeout=600)
        os.close(ours)
        return text.decode()

    def test_bar(self):
        with open("long.bin", "wb") as f:
            f.truncate(92160 << 18)
        start = time.monotonic()
        text = self.on_terminal("long.bin", until=b"left")
        self.assertRegex(text, r"\r\x1b\[K\[[#.]{30}\] \d+/262144 epochs, \S+/s, \d+:\d\d left")
        self.assertLess(text.count("left"), 10 * (time.monotonic() - start))  # ten a second
        self.assertTrue(re.search(r"left\r\x1b\[Kosf-infer: error: interrupted", text), text)
        for args in ["-q", "long.bin"], ["--progress", "never", "long.bin"]:
            self.assertNotIn("epochs", self.on_terminal(*args, seconds=2.5))
        start = time.monotonic()
        text = self.on_terminal("night.bin")
        self.assertTrue(text == "" or time.monotonic() - start > 1, text)  # nothing before that


class Resources(Case):
    def peak(self, epochs, *args):
        """Peak resident memory, in bytes."""
        with open("long.bin", "wb") as f:
            f.truncate(epochs * 3 * 128 * 4)
        pid = os.spawnv(os.P_NOWAIT, BIN / "eegpt-infer",
                        ["eegpt-infer", "-m", self.eegpt, *args, "long.bin"])
        _, status, usage = os.wait4(pid, 0)
        self.assertEqual(os.waitstatus_to_exitcode(status), 0)
        return usage.ru_maxrss * 1024

    def test_memory(self):
        """It does not grow with the night: here by 31 MB of signal and 61 MB of features."""
        epochs = 5500 if SANITIZED else 20500
        for args in (["--outputs", "features,logits", "-o", "o.safetensors"], ["-o", "o.csv"],
                     ["--layout", "channels", "-o", "o.npy"]):
            short, long = self.peak(500, *args), self.peak(epochs, *args)
            self.assertLess(long - short, 8 << 20, args)

    @unittest.skipIf(SANITIZED, "AddressSanitizer has its own need of a stack")
    def test_small_stacks(self):
        """psgvit.h and the README say how small the threads' stacks may be."""
        env = {**os.environ, "OMP_STACKSIZE": "256k"}
        for isa in "auto", "c":
            args = ["-q", "--isa", isa, "--threads", "4"]
            self.infer("-o", "o.npy", *args, "night.bin", env=env)
            self.eegpt_infer("-o", "e.npy", *args, "eeg.bin", env=env)


class Model(Case):
    def test_changes_under_way(self):
        """The run goes on with what it loaded, and does not claim to know the hash."""
        expected = self.cls()
        shutil.copy(self.osf, "m.safetensors")
        os.mkfifo("pipe")
        p = subprocess.Popen([BIN / "osf-infer", "-m", "m.safetensors", "-o", "o.safetensors",
                              "pipe"], stderr=subprocess.PIPE)
        with open("pipe", "wb") as pipe:  # opened by the tool once the model is loaded
            os.truncate("m.safetensors", 100)
            pipe.write(self.night.tobytes())
        text = p.communicate(timeout=600)[1].decode()
        self.assertEqual(p.returncode, 0, text)
        self.assertEqual(self.metadata("o.safetensors")["model_sha256"], "unknown")
        self.assertRegex(text, r"warning: m.safetensors: model_sha256 is unknown: .*changed")
        np.testing.assert_array_equal(self.tensors("o.safetensors")["cls"], expected)


if __name__ == "__main__":
    main()
