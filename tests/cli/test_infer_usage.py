# SPDX-License-Identifier: MIT
"""Exit code 2: what the command line alone shows, before anything is opened; --help, --version and
--list-devices; and the order of looking: command line, device, model, input, output."""
import json
import os
import re

from harness import Case, main

OPTIONS = """input-format samples layout cohort alias prep outputs head hypnogram report backend
device list-devices isa precision threads batch nan no-mmap progress json format list shard resume
version help""".split()
ALONE = {"osf-infer": ["no-clamp"],
         "eegpt-infer": ["channels", "unit", "reref", "resample", "window", "stride"]}


class Usage(Case):
    def test_unknown_options(self):
        for tool in "osf-infer", "eegpt-infer":
            for option in ["--nonsense", "--nonsense=3", "-x", "-qx", "--no", "--help-me", "-h"]:
                self.fails(tool, 2, ["unknown option -", option[-1], f"see {tool} --help"], option,
                           "-m", "x", "-o", "y.npy", "z")
        self.fails("osf-infer", 2, "unknown option --channels", "--channels", "12")
        self.fails("eegpt-infer", 2, "unknown option --no-clamp", "--no-clamp")
        for option in "unit", "reref", "resample", "window", "stride":
            self.fails("osf-infer", 2, f"unknown option --{option}", f"--{option}", "1")

    def test_no_abbreviations(self):
        self.infer_fails(2, "unknown option --prec", "--prec", "f32", "-o", "x.npy", "night.bin")
        self.infer_fails(2, "unknown option --prec", "--prec=f32", "-o", "x.npy", "night.bin")
        self.infer_fails(2, "unknown option --out", "--out", "cls", "-o", "x.npy", "night.bin")
        self.fails("psgvit-synth", 2, "unknown option --out", "osf-nano", "--out", "x.safetensors")
        self.fails("psgvit-inspect", 2, "unknown option --js", "--js", "night.bin")
        self.fails("psgvit-parity", 2, "unknown option --vec", "-m", self.osf, "--vec", "x")
        self.fails("psgvit-bench", 2, "unknown option --run=1", "osf-nano", "--run=1")

    def test_words_of_several_letters(self):
        """The letter that is wrong is named, whatever stands around it."""
        self.fails("psgvit-inspect", 2, "unknown option -z;", "--json", "-zc", "x")
        self.fails("psgvit-synth", 2, "no value behind -o;", "osf-nano", "-qo")
        self.fails("psgvit-inspect", 2, "takes no value: --json=3;", "--json=3", "x")

    def test_values(self):
        rest = ["-o", "x.npy", "night.bin"]
        for option in ["--samples", "--threads", "--batch"]:
            for value in ["x", "-1", "0", "", "1.5", "1e3", "0x10", "9" * 20, " 4", "4 "]:
                self.infer_fails(2, [option, f"'{value}'"], option, value, *rest)
        self.eegpt_fails(2, ["--channels", "'x'"], "--channels", "x", "-o", "x.npy", "eeg.bin")
        for option in ["--input-format", "--layout", "--backend", "--isa", "--precision", "--nan",
                       "--progress", "--format", "--outputs", "--cohort", "--prep", "--shard"]:
            for value in ["nonsense", "", "AUTO"]:
                self.infer_fails(2, [option, f"'{value}'"], option, value, *rest)
        for option in ["--unit", "--reref", "--resample", "--window", "--stride"]:
            for value in ["nonsense", "", "0", "-1", "1e3", "inf", "1.2.3", ".", "uv", "86401"]:
                self.eegpt_fails(2, [option, f"'{value}'"], option, value, *rest)
        for option in ["--device", "--head", "--hypnogram", "--report", "--list", "--alias"]:
            self.infer_fails(2, option, option, "", *rest)
        self.infer_fails(2, "--batch", "--cohort", "shhs", "--batch", "x", *rest)
        self.fails("osf-infer", 2, "-m MODEL is missing", "--cohort", "shhs", *rest)
        self.infer_fails(2, ["--prep", "osf-clean", "'eegpt-tueg'"], "--prep", "eegpt-tueg", *rest)
        self.eegpt_fails(2, ["--prep", "eegpt-sleep", "'osf-train'"], "--prep", "osf-train", *rest)

    def test_missing_values(self):
        for option in ["-m", "-o", "-c", "--batch", "--outputs", "--device"]:
            self.fails("osf-infer", 2, ["no value", option], option)
        self.fails("osf-infer", 2, ["no value", "--json"], "--json=yes")

    def test_missing_parts(self):
        self.fails("osf-infer", 2, "-m MODEL is missing")
        self.fails("osf-infer", 2, "-m MODEL is missing", "-o", "x.npy", "night.bin")
        self.fails("osf-infer", 2, "-m MODEL is missing", "-m", "", "-o", "x.npy", "night.bin")
        self.infer_fails(2, "-c: ", "-c", "", "-o", "x.npy", "night.bin")
        self.infer_fails(2, "-o OUT is missing", "night.bin")
        self.infer_fails(2, "-o OUT is missing", "-o", "", "night.bin")
        self.infer_fails(2, "INPUT is missing", "-o", "x.npy")
        self.infer_fails(2, "INPUT is empty", "-o", "x.npy", "")

    def test_outputs(self):
        self.infer_fails(2, "'cls' is named twice", "--outputs", "cls,mean,cls", "-o", "x.json",
                         "i")
        self.infer_fails(2, "''", "--outputs", "cls,", "-o", "x.json", "i")
        self.infer_fails(2, "'logits'", "--outputs", "logits", "-o", "x.json", "i")
        self.eegpt_fails(2, "'cls'", "--outputs", "cls", "-o", "x.json", "i")
        self.infer_fails(2, ".npy holds one", "--outputs", "cls,mean", "-o", "x.npy", "i")
        self.infer_fails(2, ".csv holds one", "--outputs", "cls,mean", "-o", "x.csv", "i")
        self.infer_fails(2, "patches", "--outputs", "patches", "-o", "x.csv", "i")
        self.eegpt_fails(2, "features", "--outputs", "features", "-o", "x.csv", "i")
        self.infer_fails(2, ".npy holds one", "--outputs", "cls,mean", "-o", "-", "--format", "npy",
                         "i")
        self.infer_fails(2, ".npy holds one", "--outputs", "cls,mean", "-o", "d/", "--format",
                         "npy", "i")

    def test_out(self):
        for out in ["x", "x.bin", "x.npyx", ".hidden", "a.npy/x"]:
            self.infer_fails(2, f"found {out}", "-o", out, "night.bin")
        self.infer_fails(2, "--format contradicts", "-o", "x.npy", "--format", "csv", "night.bin")
        self.infer_fails(2, "needs --format", "-o", "-", "night.bin")
        self.infer_fails(2, "standard output", "-o", "-", "--format", "npy", "--json", "night.bin")
        self.infer_fails(2, "several INPUTs", "-o", "x.npy", "night.bin", "eeg.bin")
        self.infer_fails(2, "several INPUTs", "-o", "-", "--format", "npy", "night.bin", "eeg.bin")

    def test_collisions(self):
        """Before anything is opened: neither the model nor the inputs need to exist."""
        def collide(*inputs, out="o/"):
            self.fails("osf-infer", 2, ["would both be written to", *inputs], "-m", "none", "-o",
                       out, *inputs)
        collide("a/n.bin", "b/n.bin")
        collide("n.bin", "n.npy")
        collide("n.bin", "n.bin")
        collide("-", "-")
        os.mkdir("there")
        collide("x/n.bin", "n.npy", out="there")

    def test_sources_survive(self):
        os.rename("night.bin", "night.npy")
        self.infer_fails(2, ["night.npy", "written over"], "-o", "./night.npy", "night.npy")
        self.infer_fails(2, ["night.npy", "written over"], "-o", ".", "--format", "npy",
                         "night.npy")
        os.link(self.osf, "model.safetensors")
        self.infer_fails(2, "written over", "-o", "model.safetensors", "night.npy",
                         model="model.safetensors")

    def test_double_dash(self):
        os.rename("night.bin", "--json")
        self.infer("-o", "x.npy", "--", "--json")
        self.infer_fails(2, "INPUT is missing", "-o", "y.npy", "--json")

    def test_order(self):
        """Of two faults the first in the order is the one that is told."""
        bad_device = ["--device", "no such device"]
        self.fails("osf-infer", 2, "unknown", "--nonsense", *bad_device, "-m", "none", "-o",
                   "x.npy", "none")
        self.fails("osf-infer", 5, "no such device", *bad_device, "-m", "none", "-o", "x.npy",
                   "none")
        self.fails("osf-infer", 4, "none", "-m", "none", "-o", "no/x.npy", "missing")
        self.infer_fails(3, "missing", "-o", "no/x.npy", "missing")
        self.infer_fails(7, "no/x.npy", "-o", "no/x.npy", "night.bin")


class Words(Case):
    def test_help(self):
        for tool, extra in ALONE.items():
            p = self.run_tool(tool, "--help")
            text = p.stdout.decode()
            self.assertEqual(p.stderr, "")
            for option in OPTIONS + extra:
                self.assertRegex(text, rf"(?m)^ .*--{option}\b", option)
            for option in "mcoqv":
                self.assertRegex(text, rf"(?m)^  -{option} ")
            shown = set(re.findall(r"(?m)^      --([a-z-]+)", text))
            self.assertEqual(shown, set(OPTIONS + extra))
            for code in [0, 1, 2, 3, 4, 5, 6, 7, 130, 143]:
                self.assertRegex(text, rf"\b{code}  [a-z]")
            self.assertIn("Example", text)
            self.assertIn("most windows at once" if tool == "eegpt-infer" else
                          "most epochs at once", text)
            self.assertLess(max(map(len, text.splitlines())), 101)

    def test_version(self):
        for tool in "osf-infer", "eegpt-infer":
            self.assertEqual(self.run_tool(tool, "--version").stdout, f"{tool} 0.1.0\n".encode())

    def test_list_devices(self):
        for tool in "osf-infer", "eegpt-infer":
            text = self.run_tool(tool, "--list-devices").stdout.decode()
            self.assertRegex(text, r"(?m)^0  .*\bcpu\b.*\bf32\b")
            devices = json.loads(self.run_tool(tool, "--list-devices", "--json").stdout)
            self.assertEqual(len(devices), len(text.splitlines()))
            for i, device in enumerate(devices):
                self.assertEqual(device["index"], i)
                for key in ["name", "backend", "type", "driver", "uuid", "isa", "memory_bytes",
                            "threads", "precisions", "usable", "reason"]:
                    self.assertIn(key, device)
            self.assertIn("cpu", [d["backend"] for d in devices])

    def test_standard_output_is_checked(self):
        for args in [["--help"], ["--version"], ["--list-devices"], ["--list-devices", "--json"]]:
            with open("/dev/full", "wb") as full:
                self.fails("osf-infer", 7, "standard output", *args, stdout=full)
        for tool in "bench", "inspect", "parity", "synth":
            for option in "--help", "--version":
                with open("/dev/full", "wb") as full:
                    self.fails(f"psgvit-{tool}", 7, "standard output", option, stdout=full)


class Devices(Case):
    def setUp(self):
        super().setUp()
        found = self.run_tool("osf-infer", "--list-devices", "--json").stdout
        self.devices = json.loads(found)
        self.cpu = next(d for d in self.devices if d["backend"] == "cpu")

    def test_levels(self):
        levels = ["c", "avx2", "avx512", "amx"]
        have = levels.index(self.cpu["isa"])
        for i, level in enumerate(levels):
            args = ["--backend", "cpu", "--isa", level, "-o", "x.safetensors", "night.bin"]
            if i <= have:
                self.infer(*args)
                self.assertEqual(self.metadata("x.safetensors")["isa"], level)
                os.unlink("x.safetensors")
            else:
                self.infer_fails(5, level, *args)

    def test_missing(self):
        rest = ["-o", "x.npy", "night.bin"]
        self.infer_fails(5, "no such device", "--device", "no such device", *rest)
        self.infer_fails(5, "99", "--device", "99", *rest)
        for precision in "f16", "bf16":
            if precision not in self.cpu["precisions"]:
                self.infer_fails(5, precision, "--backend", "cpu", "--precision", precision, *rest)
        if not any(d["backend"] == "vulkan" for d in self.devices):
            self.infer_fails(5, "ulkan", "--backend", "vulkan", *rest)

    def test_chosen(self):
        for device in str(self.cpu["index"]), self.cpu["name"]:
            self.infer("--device", device, "-o", "x.safetensors", "night.bin")
            self.assertEqual(self.metadata("x.safetensors")["device"], self.cpu["name"])


if __name__ == "__main__":
    main()
