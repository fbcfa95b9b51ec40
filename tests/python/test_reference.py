# SPDX-License-Identifier: MIT
"""The executable specification, run in float64 and rounded to float32, against vectors of the
authors' own code: every number to one unit in the last place, every tensor by name and shape.

Usage: test_reference.py <scripts folder> CASE...
"""
import pathlib
import sys
import unittest

import numpy as np
import torch

import synthetic

sys.path.insert(0, sys.argv.pop(1))
from reference import eegpt, osf  # noqa: E402

CASES = sys.argv[1:]
del sys.argv[1:]


def ordered(x):
    """float32 as whole numbers whose difference counts the floats between."""
    bits = np.ascontiguousarray(x, np.float32).view(np.int32).astype(np.int64)
    return np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)


def run(config, weights, signal):
    """All outputs and stages as float64."""
    stages = {}

    def stage(name, x):
        stages[f"stage.{name}"] = x

    with torch.no_grad():
        if config["model"] == "osf":
            outputs = osf.encode(weights, signal, stage)
        else:
            outputs = eegpt.encode(weights, config, signal, stage)
    return outputs, stages


class Reference(unittest.TestCase):
    def check(self, name):
        config, tensors = synthetic.case(name)
        table = (osf if config["model"] == "osf" else eegpt).shapes(config)
        self.assertEqual(table, config["tensors"])
        if "chans_id" in table:
            self.assertEqual(eegpt.channel_ids(config).tolist(), config["chans_id"])
        weights = {key: torch.from_numpy(value) if value.dtype == np.int64
                   else torch.from_numpy(value).double()
                   for key, value in synthetic.model(table, config).items()}
        outputs, stages = run(config, weights, torch.from_numpy(tensors.pop("input")).double())
        self.assertEqual(set(outputs), {key for key in tensors if not key.startswith("stage.")})
        for key, truth in tensors.items():
            found = {**outputs, **stages}[key].numpy().astype(np.float32)
            self.assertEqual(found.shape, truth.shape)
            units = int(np.abs(ordered(found) - ordered(truth)).max())
            differ = np.mean(found != truth)
            print(f"{name:18} {key:14} {units} units, {differ:.1e} of all numbers differ")
            self.assertLessEqual(units, 1, f"{name} {key}")


def test_of(name):
    return lambda self: self.check(name)


for case in CASES:
    setattr(Reference, f"test_{case}", test_of(case))

if __name__ == "__main__":
    if not CASES:
        sys.exit(__doc__)
    unittest.main()
