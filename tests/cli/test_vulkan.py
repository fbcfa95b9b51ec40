# SPDX-License-Identifier: MIT
"""Vulkan on the command line: the list of devices, which one computes, and what is said where there
is no loader, no driver, or no such device. Lavapipe is the only driver where the tests run.

Usage: test_vulkan.py <folder of the tools> <folder of a libvulkan.so.1 that has no functions>
"""
import json
import os
import pathlib
import sys

EMPTY = sys.argv.pop(2)

import harness
import numpy as np
from harness import main

OUT = ["-o", "x.safetensors", "night.bin"]


class Vulkan(harness.Case):
    def setUp(self):
        super().setUp()
        pathlib.Path("broken").mkdir()
        pathlib.Path("broken/libvulkan.so.1").write_text("this is no library\n")
        # Each with a part of what is said: no loader, one that isn't one, one without a driver.
        self.without = [
            ({"LD_LIBRARY_PATH": str(pathlib.Path("broken").resolve())},
             "there is no Vulkan loader: "),
            ({"LD_LIBRARY_PATH": EMPTY}, "libvulkan.so.1 has no vkGetInstanceProcAddr"),
            ({"VK_ICD_FILENAMES": "/nonexistent", "VK_DRIVER_FILES": "/nonexistent"},
             "libvulkan.so.1 has found no driver (VK_ERROR_INCOMPATIBLE_DRIVER)"),
        ]

    def devices(self, **kwargs):
        return json.loads(self.run_tool("osf-infer", "--list-devices", "--json", **kwargs).stdout)

    def test_list(self):
        cpu, gpu = self.devices()
        self.assertEqual((cpu["index"], cpu["backend"], cpu["type"]), (0, "cpu", "cpu"))
        self.assertEqual((gpu["index"], gpu["backend"], gpu["type"]), (1, "vulkan", "software"))
        self.assertIn("llvmpipe", gpu["name"])
        self.assertIn("Mesa", gpu["driver"])
        self.assertRegex(gpu["uuid"], "^[0-9a-f]{32}$")
        self.assertGreater(gpu["memory_bytes"], 1 << 20)
        self.assertEqual((gpu["usable"], gpu["reason"]), (True, ""))
        self.assertEqual((gpu["precisions"], gpu["isa"], gpu["threads"]), (["f32"], "", 0))
        p = self.run_tool("eegpt-infer", "--list-devices")
        lines = p.stdout.decode().splitlines()
        self.assertEqual(len(lines), 2)
        for part in "1  llvmpipe", "(vulkan, software, ", " GiB, ", gpu["driver"], gpu["uuid"]:
            self.assertIn(part, lines[1])
        self.assertEqual(p.stderr, "")

    def test_without(self):
        for change, sentence in self.without:
            env = {**os.environ, **change}
            p = self.run_tool("osf-infer", "--list-devices", "--json", env=env)
            self.assertEqual([d["backend"] for d in json.loads(p.stdout)], ["cpu"])
            self.assertIn(f"osf-infer: backend vulkan: {sentence}", p.stderr)
            self.infer_fails(5, f"backend vulkan: {sentence}", "--backend", "vulkan", *OUT, env=env)
            self.infer_fails(5, "device '1': there is none", "--device", "1", *OUT, env=env)
            p = self.infer("-v", *OUT, env=env)
            self.assertIn(f"backend auto takes the CPU: backend vulkan: {sentence}", p.stderr)
            self.assertEqual(self.metadata("x.safetensors")["backend"], "cpu")
            os.unlink("x.safetensors")

    def test_auto(self):
        p = self.infer("-v", *OUT)
        self.assertIn("backend auto takes the CPU: there is no discrete or integrated GPU",
                      p.stderr)
        self.assertEqual(self.metadata("x.safetensors")["backend"], "cpu")
        self.assertEqual(self.infer(*OUT).stderr.count("auto"), 0)

    def test_vulkan(self):
        gpu = self.devices()[1]
        p = self.infer("--backend", "vulkan", "--outputs", "cls,patches,mean", *OUT)
        self.assertIn(f"backend vulkan: there is no GPU, {gpu['name']} computes on the CPU",
                      p.stderr)
        facts = self.metadata("x.safetensors")
        self.assertEqual((facts["backend"], facts["device"], facts["isa"], facts["precision"]),
                         ("vulkan", gpu["name"], "", "f32"))
        found = self.tensors("x.safetensors")
        self.infer("--backend", "cpu", "--outputs", "cls,patches,mean", *OUT)
        expected = self.tensors("x.safetensors")
        self.assertEqual(sorted(found), sorted(expected))
        for name in expected:
            np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=1e-5)

    def test_limit_of_the_cpu(self):
        """Of no effect here, and said; with --backend auto an --isa takes the CPU."""
        limit = "isa c is a limit of the CPU: it has no effect on llvmpipe"
        for choice in ["--backend", "vulkan"], ["--device", "1"]:
            self.assertIn(limit, self.infer("--isa", "c", *choice, *OUT).stderr)
        self.assertNotIn("no effect", self.infer("--isa", "auto", *choice, *OUT).stderr)
        self.infer("--isa", "c", *OUT)
        self.assertEqual(self.metadata("x.safetensors")["backend"], "cpu")

    def test_bench(self):
        """A GPU has no instruction set and no threads to tell of."""
        for backend, words in (("vulkan", r" \(vulkan\), f32, 1 runs$"),
                               ("cpu", r" \(cpu, \w+, 1 threads\), f32, 1 runs$")):
            p = self.run_tool("psgvit-bench", "osf-nano", "--backend", backend, "--batch", "1",
                              "--runs", "1", "--threads", "1")
            self.assertRegex(p.stdout.decode().splitlines()[0], words)

    def test_eegpt(self):
        out = ["-o", "x.safetensors", "eeg.bin"]
        self.eegpt_infer("--backend", "vulkan", *out)
        found = self.tensors("x.safetensors")["logits"]
        self.eegpt_infer("--backend", "cpu", *out)
        np.testing.assert_allclose(found, self.tensors("x.safetensors")["logits"], rtol=0,
                                   atol=1e-5)

    def test_parts(self):
        """A GPU gets 720 epochs at a time, to have a batch under way while another is read back:
        none of its batches, of 73 windows here, ends where a part for the CPU does."""
        np.random.default_rng(1).standard_normal((760, 3, 128), dtype="f4").tofile("long.bin")
        out = ["-o", "x.npy", "long.bin"]
        p = self.eegpt_infer("--backend", "vulkan", "--progress", "json", *out, timeout=600)
        found = np.load("x.npy")
        done = [json.loads(line)["done"] for line in p.stderr.splitlines() if line[0] == "{"]
        self.assertEqual(done[-1], 760)
        self.assertGreater(len(done), 2)
        self.assertLessEqual(set(done), {*range(73, 720, 73), 720, 760})
        self.eegpt_infer("--backend", "cpu", *out)
        np.testing.assert_allclose(found, np.load("x.npy"), rtol=0, atol=1e-5)

    def test_profile(self):
        """The same steps as on the CPU, but those that it needs no dispatch for, by the device's
        clock; each names its shader."""
        steps = {}
        for backend in "cpu", "vulkan":
            p = self.run_tool("psgvit-bench", "osf-nano", "--backend", backend, "--batch", "2",
                              "--runs", "2", "--profile", "--json")
            (row,) = json.loads(p.stdout)
            steps[backend] = {(s["op"], s["shape"]): s for s in row["profile"]}
        self.assertEqual(set(steps["vulkan"]), set(steps["cpu"]))
        for key, step in steps["vulkan"].items():
            other = steps["cpu"][key]
            self.assertEqual((step["count"], step["flops"]), (other["count"], other["flops"]))
            self.assertTrue(step["kernel"].startswith(step["op"]), step["kernel"])
            self.assertGreater(step["ms"], 0)
        total = sum(step["ms"] for step in steps["vulkan"].values())
        # The same unit; in other runs, in which the machine may have been busier.
        self.assertTrue(0.02 < total / row["gpu_ms"] < 50, (total, row["gpu_ms"]))

    def test_by_name(self):
        cpu, gpu = self.devices()
        out = ["-o", "x.safetensors", "--input-format", "raw", "short.bin"]
        self.night[:1].tofile("short.bin")
        for wanted in "1", "LLVMPIPE", gpu["uuid"], gpu["uuid"].upper():
            p = self.infer("--device", wanted, *out)
            self.assertEqual(self.metadata("x.safetensors")["backend"], "vulkan")
            self.assertNotIn("there is no GPU", p.stderr) # it was asked for
        self.infer("--backend", "vulkan", "--device", "1", *out)
        self.infer("--device", "0", *out)
        self.assertEqual(self.metadata("x.safetensors")["backend"], "cpu")
        os.unlink("x.safetensors")
        both = next(c for c in gpu["name"].lower() if c.isalpha() and c in cpu["name"].lower())
        self.infer_fails(5, [f"device '{both}': 2 answer to that: 0 '", f"1 '{gpu['name']}"],
                         "--device", both, *out)
        self.infer_fails(5, "device 'H200': there is none of that index, UUID or name; there are: "
                            f"1 '{gpu['name']}' ({gpu['uuid']})",
                         "--backend", "vulkan", "--device", "H200", *out)
        self.infer_fails(5, "device '0': there is none", "--backend", "vulkan", "--device", "0",
                         *out)
        self.infer_fails(5, "device 'llvmpipe': there is none", "--backend", "cpu", "--device",
                         "llvmpipe", *out)

    def test_precision(self):
        for precision in "f16", "bf16":
            self.infer_fails(5, ["llvmpipe", f"precision {precision} is not supported, f32 is"],
                             "--backend", "vulkan", "--precision", precision, *OUT)


if __name__ == "__main__":
    main()
