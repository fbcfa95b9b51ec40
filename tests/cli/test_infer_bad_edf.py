# SPDX-License-Identifier: MIT
"""EDF files that can't be read, or only in part, through osf-infer: exit code, sentence, and what
is done nevertheless.

Usage: test_infer_bad_edf.py FOLDER_OF_TOOLS
"""
import os
import pathlib
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "recording"))
from make_edf import write_edf

import harness
import numpy as np

SECONDS = 150


def night(**header):
    """Two leads of OSF's and one that it does not know."""
    rng = np.random.default_rng(3)
    signals = [{"label": label, "unit": "uV", "rate": 64, "physical_min": -500,
                "physical_max": 500, "data": rng.normal(0, 50, 64 * SECONDS)}
               for label in ("C3-A2", "C4-A1", "Position")]
    signals[0]["header"] = header
    return signals


class BadEdf(harness.Case):
    def bytes_of(self, **how):
        write_edf("whole.edf", night(), **how)
        whole = pathlib.Path("whole.edf").read_bytes()
        os.remove("whole.edf")
        return whole

    def refused(self, words):
        self.infer_fails(3, ["x.edf", *words], "-o", "o.safetensors", "x.edf")

    def test_no_edf(self):
        pathlib.Path("x.edf").write_bytes(b"no recording" * 100)
        self.refused(["expected an EDF"])
        self.infer_fails(3, ["eeg.bin", "expected an EDF"], "--input-format", "edf", "-o", "o.csv",
                         "eeg.bin")

    def test_truncated_header(self):
        whole = self.bytes_of()
        for size in (8, 100, 255, 256, 1000, 1023):
            pathlib.Path("x.edf").write_bytes(whole[:size])
            self.refused(["header of", f"found {size}"])

    def test_contradictions(self):
        for header, words in (({"signals": "0"}, "number of signals: expected 1 to 4096"),
                              ({"signals": "2"}, "size of the header: expected 768"),
                              ({"record_seconds": "?"}, "duration of a data record")):
            write_edf("x.edf", night(), header=header)
            self.refused([words])
        write_edf("x.edf", night(per_record="many"))
        self.refused(["signal 0 ('C3-A2'): samples in a data record"])

    def test_no_onset(self):
        write_edf("x.edf", night(), plus="D", onsets=np.arange(SECONDS)[::-1])
        self.refused(["onset of data record 1"])

    def test_no_record(self):
        pathlib.Path("x.edf").write_bytes(self.bytes_of()[:1024])
        self.refused(["expected at least one epoch of 30 s, found 0 s"])

    def test_cut_inside_a_record(self):
        """What is whole is computed, and the log says what is not."""
        whole = self.bytes_of(header={"records": "-1"})
        pathlib.Path("x.edf").write_bytes(whole[:1024 + 65 * 384 + 100])
        p = self.infer("-o", "o.safetensors", "x.edf")
        self.assertEqual(self.tensors("o.safetensors")["cls"].shape[0], 2)
        self.assertIn("the file has 65", p.stderr)
        self.assertIn("100 bytes behind the last whole data record", p.stderr)

    def test_one_of_two(self):
        os.mkdir("out")
        write_edf("a.edf", night())
        pathlib.Path("x.edf").write_bytes(self.bytes_of()[:1000])
        p = self.run_tool("osf-infer", "-m", self.osf, "-o", "out/", "x.edf", "a.edf", code=1)
        self.assertIn("x.edf: expected a header of 1024 bytes for 3 signals, found 1000", p.stderr)
        self.assertEqual(self.names("out"), ["a.safetensors"])
        self.assertEqual(self.tensors("out/a.safetensors")["cls"].shape[0], 5)


if __name__ == "__main__":
    harness.main()
