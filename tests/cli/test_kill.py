# SPDX-License-Identifier: MIT
"""SIGKILL at random times while a cohort is written: whoever looks sees whole files or none, and a
run with --resume makes the rest, byte for byte.

Usage: test_kill.py <folder of the tools> [kills]
"""
import json
import os
import random
import shutil
import subprocess
import sys
import time

from harness import BIN, Case, main, np

KILLS = int(sys.argv.pop(1)) if len(sys.argv) > 1 else 40
FORMATS = "safetensors", "json", "csv", "npy"
INPUTS = 30


class Kill(Case):
    def setUp(self):
        super().setUp()
        self.random = random.Random(8)
        eeg = np.tile(self.eeg, (20, 1, 1))
        for i in range(INPUTS):
            eeg[i:].tofile(f"n{i}.bin")
        with open("samples.lst", "w") as f:
            f.writelines(f"s{i}\tn{i}.bin\n" for i in range(INPUTS))
        for suffix in FORMATS:
            self.eegpt_infer(*self.args("whole", suffix))
        self.expected = {name: self.read("whole/" + name) for name in self.names("whole")
                         if not name.startswith("manifest")}
        self.assertEqual(len(self.expected), INPUTS * len(FORMATS))

    def args(self, folder, suffix):
        return ["--threads", "1", "--outputs", "logits" if suffix == "csv" else "features",
                "--format", suffix, "-o", folder + "/", "--list", "samples.lst"]

    def read(self, path):
        with open(path, "rb") as f:
            return f.read()

    def check(self, folder):
        """All that has a name of ours is whole. Returns the temporary names."""
        left = []
        for name in self.names(folder):
            if name.startswith(".psgvit-") and name.endswith(".tmp"):
                left.append(name)
            elif name.startswith("manifest-"):
                text = self.read(f"{folder}/{name}").decode()
                self.assertEqual([json.loads(line)["id"] for line in text.split("\n")[:INPUTS]],
                                 [f"s{i}" for i in range(INPUTS)])
            else:
                self.assertEqual(self.read(f"{folder}/{name}"), self.expected[name], name)
        return left

    def start(self, folder, suffix):
        """Begins a run and waits until it has something to write."""
        seen = os.stat(folder).st_mtime_ns if os.path.exists(folder) else 0
        p = subprocess.Popen([BIN / "eegpt-infer", "-m", self.eegpt, *self.args(folder, suffix)],
                             stderr=subprocess.DEVNULL)
        while p.poll() is None and (not os.path.exists(folder) or
                                    os.stat(folder).st_mtime_ns == seen):
            time.sleep(0.001)
        return p

    def measure(self, suffix):
        """Seconds from there to the end."""
        with self.start("whole", suffix) as p:
            start = time.monotonic()
            p.wait()
            return time.monotonic() - start

    def kill_one(self, folder, suffix, seconds):
        with self.start(folder, suffix) as p:
            time.sleep(self.random.random() * seconds)
            p.kill()
            return p.wait() == -9

    def test_random(self):
        seconds = {suffix: self.measure(suffix) for suffix in FORMATS}
        killed = runs = partial = 0
        while killed < KILLS and runs < 20 * KILLS:
            suffix = FORMATS[runs % len(FORMATS)]
            if runs % 3 == 0 and os.path.exists("o"):  # names that are new, and names to replace
                shutil.rmtree("o")
            killed += self.kill_one("o", suffix, seconds[suffix])
            runs += 1
            if os.path.exists("o"):
                self.check("o")
                count = sum(name.endswith(suffix) for name in self.names("o"))
                partial += 0 < count < INPUTS
        print(f"{killed} kills in {runs} runs, {partial} of them in the midst", file=sys.stderr)
        self.assertEqual(killed, KILLS)
        self.assertGreater(partial, KILLS // 20)
        for suffix in FORMATS:
            resume = ["--resume"] if suffix in ("safetensors", "json") else []
            self.eegpt_infer(*self.args("o", suffix), *resume)
        for name in self.check("o"):  # a minute later the next run sweeps them
            os.utime("o/" + name, (1, 1))
        self.eegpt_infer(*self.args("o", "npy"))
        self.assertEqual(self.check("o"), [])
        self.assertEqual({name for name in self.names("o") if not name.startswith("manifest")},
                         set(self.expected))


if __name__ == "__main__":
    main()
