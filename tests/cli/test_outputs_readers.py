# SPDX-License-Identifier: MIT
"""Hypnograms and pages as others read them: MNE, edfio and pandas, Luna itself (the library of the
package lunapi), and html5lib, which knows every rule of HTML."""
import importlib.util
import json
import pathlib
import subprocess
import unittest
import sys

from harness import BIN, Case, main, np, st

try:
    import edfio
    import html5lib
    import mne
    import pandas as pd
    LUNA = next(pathlib.Path(importlib.util.find_spec("lunapi").origin).parent.glob("lunapi0*.so"))
except (ImportError, AttributeError, StopIteration) as missing:
    sys.exit(f"{missing}: this test needs edfio, html5lib, mne, pandas and lunapi; "
             "scripts/test.sh installs them")

LABELS = ["W", "N1", "N2", "N3", "R"]
EPOCHS = 30
# The package's own __init__ wants a notebook's packages; its library alone doesn't. In a process of
# its own: Luna ends the process when it refuses a file.
ASK_LUNA = """
import importlib.util, json, sys
spec = importlib.util.spec_from_file_location("lunapi0", sys.argv[1])
lunapi0 = importlib.util.module_from_spec(spec)
spec.loader.exec_module(lunapi0)
luna = lunapi0.inaugurate()
one = luna.inst("one")
one.attach_edf("night.edf")
one.attach_annot("h.annot")
classes = one.annots()
print("ANSWER" + json.dumps([classes, one.fetch_annots(classes, 0),
                             one.fetch_full_annots(classes), one.has_staging()]))
"""


class Readers(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        rng = np.random.default_rng(5)
        signals = [edfio.EdfSignal(rng.standard_normal(rate * 30 * EPOCHS), rate, label=label,
                                   physical_dimension="uV")
                   for label, rate in (("C3-M2", 128), ("C4-M1", 128))]
        edfio.Edf(signals).write(cls.root / "night.edf")
        subprocess.run([BIN / "osf-infer", "-q", "-m", cls.osf, "-o", cls.root / "o.safetensors",
                        cls.root / "night.edf"], check=True)
        weight = rng.standard_normal((5, 128)).astype(np.float32)
        middle = st.load_file(cls.root / "o.safetensors")["cls"].mean(axis=0)
        st.save_file({"head.weight": weight, "head.bias": -weight @ middle},
                     cls.root / "head.safetensors", metadata={"labels": json.dumps(LABELS)})

    def write(self, name):
        (self.folder / "night.edf").write_bytes((self.root / "night.edf").read_bytes())
        self.infer("-q", "--head", self.root / "head.safetensors", "--hypnogram", name, "--report",
                   "n.html", "-o", "o.safetensors", "night.edf")
        t = self.tensors("o.safetensors")
        self.assertEqual(t["epoch_start_s"].tolist(), [30.0 * e for e in range(EPOCHS)])
        self.assertGreater(len(set(t["stage"])), 2)
        return t, [LABELS[i] for i in t["stage"]]

    def test_mne(self):
        t, stages = self.write("h.edf")
        found = mne.read_annotations("h.edf")
        self.assertEqual(list(found.description), [f"Sleep stage {s}" for s in stages])
        self.assertEqual(found.onset.tolist(), t["epoch_start_s"].tolist())
        self.assertEqual(set(found.duration), {30.0})
        raw = mne.io.read_raw_edf("night.edf", preload=True, verbose="error")
        raw.set_annotations(found)
        events, names = mne.events_from_annotations(raw, verbose="error")
        self.assertEqual(len(events), EPOCHS)
        self.assertEqual(set(names), {f"Sleep stage {s}" for s in stages})

    def test_edfio(self):
        t, stages = self.write("h.edf")
        found = edfio.read_edf("h.edf")
        self.assertEqual([(a.onset, a.duration, a.text) for a in found.annotations],
                         [(s, 30.0, f"Sleep stage {n}")
                          for s, n in zip(t["epoch_start_s"], stages)])
        self.assertEqual(len(found.signals), 0)

    def test_pandas(self):
        t, stages = self.write("h.tsv")
        table = pd.read_csv("h.tsv", sep="\t", na_values="n/a", keep_default_na=False)
        self.assertEqual(table["stage"].tolist(), stages)
        self.assertEqual(table["onset"].tolist(), t["epoch_start_s"].tolist())
        read = table[[f"p_{label}" for label in LABELS]].to_numpy(np.float32)
        np.testing.assert_array_equal(read, t["probabilities"])
        found = mne.Annotations(table["onset"], table["duration"], table["stage"])
        self.assertEqual(len(found), EPOCHS)

    def test_luna(self):
        t, stages = self.write("h.annot")
        asked = subprocess.run([sys.executable, "-c", ASK_LUNA, LUNA], check=True, timeout=600,
                               stdout=subprocess.PIPE, text=True)
        answer = asked.stdout[asked.stdout.index("ANSWER") + 6:].splitlines()[0]
        classes, intervals, full, staging = json.loads(answer)
        self.assertEqual(sorted(classes), sorted(LABELS))
        intervals.sort(key=lambda i: i[1])
        self.assertEqual([i[0] for i in intervals], stages)
        np.testing.assert_allclose([i[1] for i in intervals], t["epoch_start_s"], atol=1e-9)
        np.testing.assert_allclose([i[2] for i in intervals], t["epoch_start_s"] + 30, atol=1e-9)
        full.sort(key=lambda i: i[4])
        meta = np.array([[float(x) for x in i[3].split("|")] for i in full])
        expected = np.column_stack([t["probabilities"].max(axis=1),
                                    t["probabilities"][:, np.argsort(LABELS)]])
        np.testing.assert_allclose(meta, expected, rtol=1e-5)  # by the names of the columns
        self.assertTrue(staging)

    def test_html(self):
        self.write("h.tsv")
        parser = html5lib.HTMLParser()
        parser.parse((self.folder / "n.html").read_bytes())
        self.assertEqual(parser.errors, [])


if __name__ == "__main__":
    main()
