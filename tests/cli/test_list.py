# SPDX-License-Identifier: MIT
"""Many files: sample lists, shards, the manifest, --resume, and what of a list can be wrong."""
import hashlib
import json
import os
import signal
import subprocess
import time

from harness import BIN, CONFIG, Case, main, np

SLURM = "SLURM_ARRAY_TASK_"


class Lists(Case):
    """Ten nights, n0.bin to n9.bin, of one to three epochs, and samples.lst with IDs s0 to s9."""

    def setUp(self):
        super().setUp()
        for i in range(10):
            self.night[i % 3:].tofile(f"n{i}.bin")
        self.write("samples.lst", "".join(f"s{i}\tn{i}.bin\n" for i in range(10)))

    def write(self, name, text):
        with open(name, "w", newline="") as f:
            f.write(text)

    def manifest(self, path):
        """The last line of each input, by ID."""
        with open(path) as f:
            return {line["id"]: line for line in map(json.loads, f)}

    def outputs(self, folder="o"):
        return [name for name in self.names(folder) if not name.startswith("manifest-")]

    def run_list(self, *args, **kwargs):
        return self.infer("-o", "o/", "--list", "samples.lst", *args, **kwargs)

    def contents(self, folder):
        out = {}
        for name in self.outputs(folder):
            with open(os.path.join(folder, name), "rb") as f:
                out[name] = f.read()
        return out


class Reading(Lists):
    def test_whole(self):
        self.run_list()
        self.assertEqual(self.names("o"), ["manifest-0-of-1.jsonl"] +
                         [f"s{i}.safetensors" for i in range(10)])
        self.assertEqual(self.metadata("o/s3.safetensors")["inputs"], '["n3.bin"]')
        self.infer("-o", "alone.safetensors", "n3.bin")
        with open("alone.safetensors", "rb") as a, open("o/s3.safetensors", "rb") as b:
            self.assertEqual(a.read(), b.read())
        self.run_list("--format", "csv")
        self.assertIn("s9.csv", self.names("o"))

    def test_forms(self):
        """Comments, blank lines, annotations, Windows' line ends, a byte order mark, no newline at
        the end, an ID with dots and blanks."""
        self.write("odd.lst", "\ufeff# a comment\r\n\r\na.b c\tn0.bin\tx.annot\ty.xml\r\n \t \r\n"
                              "#\nsecond\tn1.bin\t.")
        self.infer("-o", "o/", "--list", "odd.lst")
        self.assertEqual(self.outputs(), ["a.b c.safetensors", "second.safetensors"])

    def test_standard_input(self):
        with open("samples.lst", "rb") as f:
            self.infer("-o", "o/", "--list", "-", stdin=f)
        self.assertEqual(len(self.outputs()), 10)

    def test_one_line(self):
        """A list is a list, however long: the exit code is that of several."""
        self.write("one.lst", "s\tmissing.bin\n")
        p = self.infer("-o", "o/", "--list", "one.lst", code=1)
        self.assertIn("1 of 1 inputs failed", p.stderr)

    def test_same_recording_twice(self):
        self.write("twice.lst", "a\tn0.bin\nb\tn0.bin\n")
        self.infer("-o", "o/", "--list", "twice.lst")
        self.assertEqual(self.outputs(), ["a.safetensors", "b.safetensors"])

    def test_bad_lists(self):
        for text, words in [
                ("", "found none"), ("# nothing\n\n", "found none"),
                ("a\tn0.bin\nb n1.bin\n", ["line 2", "no tab"]),
                ("\tn0.bin\n", ["line 1", "ID"]), ("..\tn0.bin\n", ["line 1", "'..'"]),
                ("a/b\tn0.bin\n", ["line 1", "'a/b'"]), ("a\t\n", ["line 1", "recording"]),
                ("a\t\tx.annot\n", ["line 1", "recording"]), ("a\t-\n", ["line 1", "'-'"]),
                ("a\x01\tn0.bin\n", "line 1"), ("a\tn0\0.bin\n", "NUL")]:
            self.write("bad.lst", text)
            self.infer_fails(3, ["bad.lst: ", *([words] if isinstance(words, str) else words)],
                             "-o", "o/", "--list", "bad.lst")
        self.infer_fails(3, "none.lst", "-o", "o/", "--list", "none.lst")
        self.infer_fails(3, "directory", "-o", "o/", "--list", ".")
        self.infer_fails(3, "standard input", "-o", "o/", "--list", "-")

    def test_usage(self):
        """Before anything is opened: the model need not exist."""
        def fails(words, *args):
            self.infer_fails(2, words, *args, model="none")
        fails("--list and INPUT", "-o", "o/", "--list", "samples.lst", "n0.bin")
        fails("--list needs OUT to be a folder", "-o", "o.npy", "--list", "samples.lst")
        fails("--list needs OUT to be a folder", "-o", "-", "--format", "npy", "--list",
              "samples.lst")
        fails("--shard needs OUT to be a folder", "-o", "o.npy", "--shard", "0/2", "n0.bin")
        fails("--resume", "-o", "-", "--format", "json", "--resume", "n0.bin")
        for suffix in "npy", "csv", "tsv":
            fails(["--resume needs", "." + suffix], "-o", "o/", "--format", suffix, "--resume",
                  "n0.bin")

    def test_same_id(self):
        """Exit code 2 before anything is computed, whichever shard has them."""
        self.write("same.lst", "a\tn0.bin\n\nb\tn1.bin\na\tn2.bin\n")
        for shard in [], ["--shard", "0/3"], ["--shard", "1/3"]:
            self.infer_fails(2, ["same.lst", "lines 1 and 4", "same ID, a"], "-o", "o/", "--list",
                             "same.lst", *shard, model="none")

    def test_sources_survive(self):
        os.rename("n0.bin", "n0.npy")
        self.write("over.lst", "n0\tn0.npy\n")
        self.infer_fails(2, "written over", "-o", ".", "--format", "npy", "--list", "over.lst")
        os.link("samples.lst", "s1.json")
        self.infer_fails(2, "written over", "-o", ".", "--format", "json", "--list", "samples.lst")

    def test_other_sources_survive(self):
        """The recording of one input, beneath the output of another."""
        for name in "x", "y":
            np.save(f"{name}.npy", self.night)
        self.write("cross.lst", "y\tx.npy\nx\ty.npy\n")
        for shard in [], ["--shard", "0/2"], ["--shard", "1/2"]:
            self.infer_fails(2, ["written over", ".npy, an input"], "-o", ".", "--format", "npy",
                             "--list", "cross.lst", *shard)

    def test_unwritable(self):
        """At once, and nothing is computed."""
        open("file", "w").close()
        for out in "file/", "no/such/":
            self.infer_fails(7, out[:-1], "-o", out, "--list", "samples.lst")
        os.makedirs("o/manifest-0-of-1.jsonl")
        self.infer_fails(7, "manifest-0-of-1.jsonl", "-o", "o/", "--list", "samples.lst")


class Shards(Lists):
    def test_shares(self):
        self.run_list()
        expected = self.contents("o")
        for count in 1, 3, 12:
            folder = f"o{count}/"
            for i in range(count):
                self.infer("-q", "-o", folder, "--list", "samples.lst", "--shard", f"{i}/{count}")
                lines = self.manifest(f"{folder}manifest-{i}-of-{count}.jsonl")
                self.assertEqual(list(lines), [f"s{k}" for k in range(10)])
                for k in range(10):
                    line = lines[f"s{k}"]
                    self.assertEqual(line["shard"], k % count)
                    self.assertEqual(line["status"], "done" if k % count == i else "elsewhere")
            self.assertEqual(self.contents(folder), expected)

    def test_inputs(self):
        """Of the command line, too."""
        names = [f"n{i}.bin" for i in range(5)]
        report = json.loads(self.infer("-o", "o/", "--shard", "1/2", "--json", *names).stdout)
        self.assertEqual(self.names("o"), ["manifest-1-of-2.jsonl", "n1.safetensors",
                                           "n3.safetensors"])
        self.assertEqual((report["shard"], report["shards"]), (1, 2))
        self.assertEqual([i["id"] for i in report["inputs"]], ["n1", "n3"])
        self.infer("-o", "p/", "--shard", "1/2", "n0.bin")  # nothing for this one to do
        self.assertEqual(self.names("p"), ["manifest-1-of-2.jsonl"])

    def test_slurm(self):
        """i and n from the environment, and only when asked for."""
        def env(**values):
            return {**{k: v for k, v in os.environ.items() if not k.startswith("SLURM")},
                    **{SLURM + k: str(v) for k, v in values.items()}}
        for task, least, step, count, i in [(0, 0, 1, 4, 0), (3, 0, 1, 4, 3), (7, 1, 2, 4, 3),
                                            (5, 5, 1, 1, 0)]:
            self.run_list("-q", "--shard", "slurm",
                          env=env(ID=task, MIN=least, STEP=step, COUNT=count))
            self.assertIn(f"manifest-{i}-of-{count}.jsonl", self.names("o"))
        self.infer("-o", "all/", "--list", "samples.lst",
                   env=env(ID=1, MIN=0, STEP=1, COUNT=4))
        self.assertEqual(len(self.outputs("all")), 10)
        args = ["-o", "new/", "--list", "samples.lst", "--shard", "slurm"]
        for values, words in [({}, "SLURM_ARRAY_TASK_ID"), ({"ID": 1}, "SLURM_ARRAY_TASK_MIN"),
                              ({"ID": 9, "MIN": 3, "STEP": 1, "COUNT": 3}, "task 9 of 3"),
                              ({"ID": 4, "MIN": 3, "STEP": 2, "COUNT": 3}, "even steps"),
                              ({"ID": 2, "MIN": 3, "STEP": 1, "COUNT": 3}, "from 3 on"),
                              ({"ID": "x", "MIN": 0, "STEP": 1, "COUNT": 3}, "'x'"),
                              ({"ID": 1, "MIN": 0, "STEP": 0, "COUNT": 3}, "_STEP")]:
            self.infer_fails(2, ["--shard slurm", words], *args, env=env(**values))

    def test_bad(self):
        for value in ["2/2", "0/0", "-1/2", "1", "1/", "/2", "a/b", "0/2/3", "0 /2", "SLURM",
                      "0/99999999999"]:
            self.infer_fails(2, ["--shard", f"'{value}'"], "-o", "o/", "--shard", value, "n0.bin")


class Manifest(Lists):
    def test_lines(self):
        os.unlink("n1.bin")
        open("n4.bin", "w").close()
        self.run_list(code=1)
        with open("o/manifest-0-of-1.jsonl") as f:
            lines = [json.loads(line) for line in f]
        self.assertEqual([line["id"] for line in lines], 2 * [f"s{i}" for i in range(10)])
        for line in lines[:10]:
            self.assertEqual(set(line), {"id", "input", "shard", "status"})
            self.assertEqual(line["status"], "pending")
        for i, line in enumerate(lines[10:]):
            self.assertEqual((line["input"], line["shard"]), (f"n{i}.bin", 0))
            if i in (1, 4):
                self.assertEqual((line["status"], line["code"], line["output"]),
                                 ("failed", 3, None))
                self.assertIn(f"n{i}.bin", line["error"])
            else:
                self.assertEqual((line["status"], line["code"], line["error"]), ("done", 0, None))
                self.assertEqual(line["output"], f"o/s{i}.safetensors")
                self.assertEqual(line["epochs"], 3 - i % 3)
                self.assertGreaterEqual(line["seconds"], 0)

    def test_anew(self):
        """Each run begins it anew; without a list there is none."""
        self.run_list()
        self.run_list("--resume")
        with open("o/manifest-0-of-1.jsonl") as f:
            self.assertEqual(len(f.readlines()), 20)
        self.infer("-o", "p/", "n0.bin", "n1.bin")
        self.assertEqual(self.names("p"), ["n0.safetensors", "n1.safetensors"])

    def test_interrupted(self):
        """What is done stays, what is under way is named, the rest is still pending. Epochs one by
        one: the tool gives itself a second to come to its end, also on a machine that is busy."""
        with open("n2.bin", "wb") as f:  # hours of work
            f.truncate(92160 << 18)
        for number, code in (signal.SIGTERM, 143), (signal.SIGINT, 130):
            with subprocess.Popen([BIN / "osf-infer", "-m", self.osf, "-o", "o/", "--list",
                                   "samples.lst", "--progress", "json", "--batch", "1",
                                   "--threads", "1"],
                                  stderr=subprocess.PIPE) as p:
                while b"n2.bin" not in p.stderr.readline():
                    pass
                p.send_signal(number)
                p.communicate(timeout=600)
                self.assertEqual(p.returncode, code)
            self.assertEqual(self.outputs(), ["s0.safetensors", "s1.safetensors"])
            lines = self.manifest("o/manifest-0-of-1.jsonl")
            self.assertEqual([lines[f"s{i}"]["status"] for i in range(4)],
                             ["done", "done", "interrupted", "pending"])
            self.assertEqual(lines["s2"]["code"], code)

    def test_waiting(self):
        """For a pipe that nobody writes to, in the middle of a list."""
        os.unlink("n2.bin")
        os.mkfifo("n2.bin")
        with subprocess.Popen([BIN / "osf-infer", "-m", self.osf, "-o", "o/", "--list",
                               "samples.lst"], stderr=subprocess.PIPE) as p:
            while p.poll() is None and not os.path.exists("o/s1.safetensors"):
                time.sleep(0.02)
            p.send_signal(signal.SIGTERM)
            p.communicate(timeout=600)
            self.assertEqual(p.returncode, 143)
        self.assertEqual(self.outputs(), ["s0.safetensors", "s1.safetensors"])

    def test_pipe(self):
        """One that somebody does write to is an input like another."""
        os.unlink("n2.bin")
        os.mkfifo("n2.bin")
        with subprocess.Popen([BIN / "osf-infer", "-m", self.osf, "-o", "o/", "--list",
                               "samples.lst"]) as p:
            with open("n2.bin", "wb") as pipe:
                pipe.write(self.night.tobytes())
            self.assertEqual(p.wait(timeout=600), 0)
        self.assertEqual(self.tensors("o/s2.safetensors")["cls"].shape, (3, 128))
        self.assertNotIn("source_bytes", {k for k, v in
                                          self.metadata("o/s2.safetensors").items() if v})


class Resume(Lists):
    def setUp(self):
        super().setUp()
        self.run_list("--outputs", "cls,mean")
        self.made = self.times()

    def times(self):
        return {name: os.stat("o/" + name).st_mtime_ns for name in self.outputs()}

    def redone(self, *args, folder="o/", **kwargs):
        """Which IDs a run with --resume computes."""
        p = self.infer("--outputs", "cls,mean", "-o", folder, "--list", "samples.lst", "--resume",
                       "--json", *args, **kwargs)
        inputs = json.loads(p.stdout)["inputs"]
        self.assertEqual({i["status"] for i in inputs} - {"done", "skipped"}, set())
        lines = self.manifest(folder + "manifest-0-of-1.jsonl")
        for entry in inputs:
            self.assertEqual(lines[entry["id"]]["status"], entry["status"])
            self.assertEqual(lines[entry["id"]]["epochs"], 3 - int(entry["id"][1]) % 3)
            self.assertEqual(lines[entry["id"]]["output"], entry["output"])
        return [i["id"] for i in inputs if i["status"] == "done"]

    def test_nothing_to_do(self):
        self.assertEqual(self.redone(), [])
        self.assertEqual(self.times(), self.made)
        self.assertEqual(self.redone("--threads", "1", "--batch", "1"), [])

    def test_missing_and_broken(self):
        os.unlink("o/s1.safetensors")
        with open("o/s2.safetensors", "r+b") as f:
            f.truncate(os.path.getsize("o/s2.safetensors") - 1)
        open("o/s3.safetensors", "w").close()
        self.assertEqual(self.redone(), ["s1", "s2", "s3"])
        self.assertEqual(self.redone(), [])

    def test_changed_input(self):
        """One that is newer, one that is written anew, one that has moved."""
        later = time.time() + 100
        os.utime("n1.bin", (later, later))
        self.night[:1].tofile("n2.bin")
        os.rename("n3.bin", "moved.bin")
        with open("samples.lst") as f:
            text = f.read()
        self.write("samples.lst", text.replace("n3.bin", "moved.bin"))
        self.assertEqual(self.redone(), ["s1", "s2", "s3"])

    def test_size(self):
        """An older file of another size, such as an archive unpacks."""
        self.night[:2].tofile("n2.bin")
        os.utime("n2.bin", (1, 1))
        p = self.infer("--outputs", "cls,mean", "-o", "o/", "--list", "samples.lst", "--resume",
                       "--json")
        self.assertEqual([i["id"] for i in json.loads(p.stdout)["inputs"]
                          if i["status"] == "done"], ["s2"])
        self.assertEqual(self.tensors("o/s2.safetensors")["cls"].shape[0], 2)

    def test_changed_making(self):
        everything = [f"s{i}" for i in range(10)]
        self.assertEqual(self.redone("--nan", "zero"), everything)
        self.assertEqual(self.redone("--nan", "zero"), [])
        self.assertEqual(self.redone("--no-clamp"), everything)
        self.assertEqual(self.redone(), everything)
        other = self.synth("other.safetensors", "osf-nano", "--config",
                           str(self.root / "osf.json"), "--seed", "2")
        self.assertEqual(self.redone(model=other), everything)
        self.assertEqual(self.redone(model=other), [])
        os.link(other, "same.safetensors")  # its content is what matters, not its name
        self.assertEqual(self.redone(model="same.safetensors"), [])
        self.assertEqual(self.redone("--alias", "ECG=x"), everything)

    def test_changed_config(self):
        """-c is part of the making: another content, or none, is another output; the same content
        by another name isn't."""
        def redone(*args, tool=self.eegpt_infer, inputs=("eeg.bin",)):
            made = json.loads(tool("-o", "c/", "--resume", "--json", *args, *inputs).stdout)
            return made["inputs"][0]["status"] == "done"
        def config(name, **changes):
            self.write(name, json.dumps({**CONFIG, **changes}))
            return "-c", name
        for name in "a.json", "same.json":
            config(name)
        config("heads.json", num_heads=1)
        for args, expected in [((), True), (("-c", "a.json"), True), (("-c", "same.json"), False),
                               (("-c", "heads.json"), True), (("-c", "heads.json"), False),
                               (("-c", "a.json"), True), ((), True), ((), False)]:
            self.assertEqual(redone(*args), expected, args)
        with open("a.json", "rb") as f:
            redone("-c", "a.json")
            self.assertEqual(self.metadata("c/eeg.safetensors")["config_sha256"],
                             hashlib.sha256(f.read()).hexdigest())
        osf = ["-c", str(self.root / "osf.json")]
        for args, expected in [((), True), (osf, True), (osf, False), ((), True)]:
            self.assertEqual(redone(*args, tool=self.infer, inputs=["n0.bin"]), expected)

    def test_other_outputs(self):
        """An output that is not in the file is not done."""
        p = self.infer("--outputs", "cls,patches", "-o", "o/", "--list", "samples.lst", "--resume",
                       "--json")
        self.assertEqual({i["status"] for i in json.loads(p.stdout)["inputs"]}, {"done"})

    def test_json(self):
        self.assertEqual(len(self.redone("--format", "json")), 10)
        self.assertEqual(self.redone("--format", "json"), [])
        with open("o/s5.json", "r+") as f:
            f.truncate(500)
        self.assertEqual(self.redone("--format", "json"), ["s5"])
        with open("o/s6.json") as f:
            lines = f.readlines()
        for cut in lines[:2] + lines[3:], lines[:-2] + lines[-1:], [*lines, "\n"], [
                *lines[:2], lines[2][:-1], *lines[3:]], [*lines[:2], lines[2][:50] + lines[3][50:],
                                                         *lines[4:]]:
            with open("o/s6.json", "w") as f:
                f.writelines(cut)
            self.assertEqual(self.redone("--format", "json"), ["s6"])
        self.assertEqual(self.redone("--format", "json"), [])
        self.assertEqual(len(self.redone("--format", "json", "--nan", "zero")), 10)

    def test_one_input(self):
        """A single file resumes, too."""
        self.infer("-o", "one.safetensors", "--resume", "n0.bin")
        made = os.stat("one.safetensors").st_mtime_ns
        self.infer("-o", "one.safetensors", "--resume", "n0.bin")
        self.assertEqual(os.stat("one.safetensors").st_mtime_ns, made)

    def test_all_shards_then_whole(self):
        """Outputs of shards are complete for a run without them."""
        for i in range(3):
            self.infer("--outputs", "cls,mean", "-o", "p/", "--list", "samples.lst", "--shard",
                       f"{i}/3")
        self.assertEqual(self.redone(folder="p/"), [])
        self.assertEqual(self.contents("p"), self.contents("o"))


class Pipeline(Lists):
    def test_failures_among_others(self):
        """Inputs that fail at once, in their middle or at their end leave the others' numbers."""
        long = np.tile(self.night, (200, 1, 1))
        for i in range(4):
            long.tofile(f"n{i}.bin")
        long[300, 5, 77] = np.inf
        long.tofile("n4.bin")
        with open("n6.bin", "ab") as f:
            f.write(b"x")
        self.run_list("--batch", "8", code=1)
        self.assertEqual(self.outputs(), [f"s{i}.safetensors" for i in (0, 1, 2, 3, 5, 7, 8, 9)])
        lines = self.manifest("o/manifest-0-of-1.jsonl")
        self.assertIn("epoch 300", lines["s4"]["error"])
        for i in 3, 5, 9:
            self.infer("-o", "alone.safetensors", "--batch", "8", f"n{i}.bin")
            np.testing.assert_array_equal(self.tensors("alone.safetensors")["cls"],
                                          self.tensors(f"o/s{i}.safetensors")["cls"])

    def test_readers(self):
        """A GPU, or what passes for one, is fed by several threads: the order stays."""
        devices = json.loads(self.run_tool("osf-infer", "--list-devices", "--json").stdout)
        if not any(d["backend"] == "vulkan" and d["usable"] for d in devices):
            self.skipTest("no Vulkan device")
        for i in range(10):
            self.eeg[i % 4:].tofile(f"n{i}.bin")
        self.night.tofile("n4.bin")
        os.unlink("n7.bin")
        args = ["--list", "samples.lst", "--outputs", "features"]
        self.eegpt_infer("-o", "o/", "--backend", "vulkan", *args, code=1, timeout=600)
        self.eegpt_infer("-o", "p/", "--backend", "cpu", *args, code=1)
        self.assertEqual(self.outputs("o"), self.outputs("p"))
        for name in self.outputs("o"):
            np.testing.assert_allclose(self.tensors("o/" + name)["features"],
                                       self.tensors("p/" + name)["features"], 1e-3, 1e-4)

    def test_report(self):
        report = json.loads(self.run_list("--json").stdout)
        self.assertGreater(report["busy"], 0)
        self.assertLessEqual(report["busy"], 1)
        self.assertEqual([i["id"] for i in report["inputs"]], [f"s{i}" for i in range(10)])


if __name__ == "__main__":
    main()
