# SPDX-License-Identifier: MIT
"""psgvit-parity on the cases of tests/vectors: it passes where the numbers are right, fails where
they are not, and refuses what it can't judge.

Usage: test_parity_tool.py <folder of the tools> <scripts folder>
"""
import json
import unittest

import numpy as np
from safetensors.numpy import save_file

import synthetic
import tools


class ParityTool(tools.Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        case = cls()
        for name, what in (("osf_nano", "osf-nano"), ("eegpt_odd", "eegpt")):
            config, _ = synthetic.case(name)
            config = {key: value for key, value in config.items() if key != "ch_names"}
            (cls.root / f"{name}.json").write_text(json.dumps(config))
            case.tool("psgvit-synth", what, "-o", f"{name}.safetensors", "--seed", config["seed"],
                      "--config", f"{name}.json")

    def parity(self, model, vectors, *args, **kwargs):
        return self.tool("psgvit-parity", "-m", f"{model}.safetensors", "--vectors", vectors,
                         "--backend", "cpu", *args, **kwargs)

    def refused(self, code, words, *args):
        self.fails(self.tool, "psgvit-parity", code, words, *args)

    def file(self, case, change, error=True):
        """The case with some tensors changed, None leaves one out."""
        config, tensors = synthetic.case(case)
        tensors = {key: value for key, value in {**tensors, **change(tensors)}.items()
                   if value is not None}
        if not error:
            del config["pytorch_f32_error"]
        path = self.root / "changed.safetensors"
        save_file(tensors, path, {"config": json.dumps(config)})
        return path

    def test_passes(self):
        for name, outputs in (("osf_nano", ["cls", "patches", "mean"]),
                              ("eegpt_odd", ["features", "logits"])):
            vectors = synthetic.VECTORS / f"{name}.safetensors"
            said = self.parity(name, vectors).stdout
            self.assertEqual([line.split()[0] for line in said.splitlines()[2:]],
                             [*outputs, "PASS"])
            found = json.loads(self.parity(name, vectors, "--json", "--threads", "1").stdout)
            self.assertTrue(found["pass"])
            self.assertEqual((found["threads"], found["precision"]), (1, "f32"))
            own = synthetic.case(name)[0]["pytorch_f32_error"]
            for output in found["outputs"]:
                self.assertEqual(output["pytorch_max_error"], own[output["name"]]["max"])
                self.assertLess(0, output["mean_error"])
                self.assertLess(output["mean_error"], output["max_error"])
                self.assertLess(1 - 1e-9, output["least_cosine"])
            self.assertEqual([o["name"] for o in found["outputs"]], outputs)
            self.assertEqual(self.parity(name, vectors, "-q").stdout, "")

    def test_errors_are_those_of_numpy(self):
        """A change of known size in the truth is what the tool finds."""
        def change(tensors):
            cls = tensors["cls"].copy()
            cls[1, 5] += 0.5
            return {"cls": cls, "patches": None, "mean": None}
        p = self.parity("osf_nano", self.file("osf_nano", change), "--json", code=1)
        found = json.loads(p.stdout)
        self.assertEqual([o["name"] for o in found["outputs"]], ["cls"])
        self.assertAlmostEqual(found["outputs"][0]["max_error"], 0.5, 4)
        self.assertAlmostEqual(found["outputs"][0]["mean_error"], 0.5 / (3 * 128), 4)
        self.assertFalse(found["pass"])
        self.assertIn("psgvit-parity: error: cls: expected a mean error of at most", p.stderr)

    def test_one_number_is_enough(self):
        for value, code in ((3e-6, 0), (1e-5, 1), (np.nan, 1)):
            def change(tensors, value=value):
                cls = tensors["cls"].copy()
                cls[0, 0] += value
                return {"cls": cls}
            said = self.parity("osf_nano", self.file("osf_nano", change), code=code)
            self.assertEqual(said.stdout.splitlines()[-1], "FAIL" if code else "PASS")

    def test_without_pytorch(self):
        """The floors of the promise alone: mean is within them, cls is not."""
        path = self.file("osf_nano", lambda tensors: {}, error=False)
        found = json.loads(self.parity("osf_nano", path, "--json", code=1).stdout)
        self.assertEqual({o["name"]: o["pass"] for o in found["outputs"]},
                         {"cls": False, "patches": False, "mean": True})
        self.assertIsNone(found["outputs"][0]["pytorch_max_error"])

    def test_wrong_weights(self):
        self.tool("psgvit-synth", "osf-nano", "-o", "other.safetensors", "--seed", "2")
        self.parity("other", synthetic.VECTORS / "osf_nano.safetensors", code=1)

    def test_usage(self):
        vectors = synthetic.VECTORS / "osf_nano.safetensors"
        model = ("-m", "osf_nano.safetensors")
        self.refused(2, "-m MODEL", "--vectors", vectors)
        self.refused(2, "--vectors FILE", *model)
        self.refused(2, "'more'", *model, "--vectors", vectors, "more")
        self.refused(2, "--isa", *model, "--vectors", vectors, "--isa", "sse")
        self.refused(2, "--frob", *model, "--vectors", vectors, "--frob")
        self.refused(2, "--threads", *model, "--vectors", vectors, "--threads", "0")
        self.assertIn("Usage", self.tool("psgvit-parity", "--help").stdout)
        self.assertRegex(self.tool("psgvit-parity", "--version").stdout,
                         r"^psgvit-parity \d+\.\d+\.\d+\n$")

    def test_refusals(self):
        vectors = synthetic.VECTORS / "osf_nano.safetensors"
        model = ("-m", "osf_nano.safetensors", "--vectors")
        self.refused(5, "999", *model, vectors, "--device", "999")
        self.refused(4, "none", "-m", "none", "--vectors", vectors)
        self.refused(4, "osf_nano.json", "-m", "osf_nano.json", "--vectors", vectors)
        self.refused(3, "none", *model, "none")
        self.refused(3, "osf_nano.json", *model, "osf_nano.json")
        odd = synthetic.case("eegpt_odd")[1]["input"].shape
        self.refused(3, ["input", "[epochs, 12, samples]", f"found {list(odd)}"], *model,
                     synthetic.VECTORS / "eegpt_odd.safetensors")
        self.refused(3, ["input", "found none"], *model, "osf_nano.safetensors")
        few = {"cls": None, "patches": None, "mean": None}
        self.refused(3, ["'cls', 'patches' or 'mean'", "OSF"], *model,
                     self.file("osf_nano", lambda t: few))
        self.refused(3, ["'cls'", "expected [3, 128], found [3, 127]"], *model,
                     self.file("osf_nano", lambda t: {"cls": t["cls"][:, 1:].copy()}))
        self.refused(3, ["'input'", "found 1900 samples"], *model,
                     self.file("osf_nano", lambda t: {"input": t["input"][:, :, :1900].copy()}))
        self.refused(3, "finite", *model,
                     self.file("osf_nano", lambda t: {"input": np.full_like(t["input"], np.nan)}))


if __name__ == "__main__":
    unittest.main()
