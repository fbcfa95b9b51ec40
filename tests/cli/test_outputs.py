# SPDX-License-Identifier: MIT
"""What an output says of time, channels and stages; hypnograms; and the page, which a browser draws
where there is one."""
import csv
import html.parser
import json
import os
import pathlib
import shutil
import subprocess
import sys
import unittest

from harness import Case, main, np, st

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "recording"))
from make_edf import write_edf  # noqa: E402

LABELS = ["W", "N1", "N2", "N3", "R"]
# A gap behind 100 s, so that two epochs are left out, those from 90 s and from 120 s on; ten stay.
SECONDS, GAP_AT, GAP = 340, 100, 35.5
SIGNALS = (("ECG", "mV", 256), ("C3", "uV", 128), ("A2", "uV", 128), ("THOR EFFORT", "", 32))


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


class Night(Case):
    """night.edf with a gap, and a head for the model's 128 numbers."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        rng = np.random.default_rng(3)
        onsets = [t if t < GAP_AT else t + GAP for t in range(SECONDS)]
        write_edf(cls.root / "night.edf",
                  [{"label": label, "unit": unit, "rate": rate,
                    "data": rng.standard_normal(rate * SECONDS)} for label, unit, rate in SIGNALS],
                  plus="D", onsets=onsets)
        cls.weight = (rng.standard_normal((5, 128)) / 8).astype(np.float32)
        cls.bias = rng.standard_normal(5).astype(np.float32)
        cls.head = cls.make_head("head.safetensors", LABELS)

    @classmethod
    def make_head(cls, name, labels, weight=None):
        weight = cls.weight if weight is None else weight
        st.save_file({"head.weight": weight, "head.bias": cls.bias[:len(weight)]}, cls.root / name,
                     metadata={"labels": json.dumps(labels)} if labels else None)
        return str(cls.root / name)

    def setUp(self):
        super().setUp()
        self.edf = str(self.root / "night.edf")

    def rows(self, path, delimiter):
        with open(path, newline="") as f:
            return list(csv.DictReader(f, delimiter=delimiter))


class Embeddings(Night):
    def test_safetensors(self):
        self.infer("--head", self.head, "-o", "o.safetensors", self.edf)
        t = self.tensors("o.safetensors")
        starts, epochs = t["epoch_start_s"], len(t["cls"])
        self.assertEqual({k: (v.dtype.name, v.shape) for k, v in t.items()},
                         {"cls": ("float32", (epochs, 128)), "stage": ("int32", (epochs,)),
                          "probabilities": ("float32", (epochs, 5)),
                          "epoch_start_s": ("float64", (epochs,)),
                          "channel_mask": ("uint8", (12,))})
        metadata = self.metadata("o.safetensors")
        skipped = json.loads(metadata["skipped"])
        self.assertEqual(skipped, [90, 120])
        self.assertEqual(sorted([*starts, *skipped]), [30.0 * i for i in range(12)])
        channels = json.loads(metadata["channels"])
        self.assertEqual([c["state"] != "missing" for c in channels],
                         [bool(m) for m in t["channel_mask"]])
        self.assertEqual({c["name"]: c["source"] for c in channels if c["state"] != "missing"},
                         {"ECG": "ECG", "THX": "THOR EFFORT", "EEG_C3_A2": "C3 - A2"})
        expected = {"source": self.edf, "start": "2001-02-03T22:30:00", "epoch_seconds": "30",
                    "stride_seconds": "30", "cohort": "generic", "prep": "osf-train",
                    "prep_version": "1", "head": self.head, "labels": json.dumps(LABELS)}
        self.assertEqual({k: metadata[k] for k in expected}, expected)
        self.assertEqual(len(metadata["head_sha256"]), 64)
        p = softmax(t["cls"].astype(np.float64) @ self.weight.T.astype(np.float64) + self.bias)
        np.testing.assert_allclose(t["probabilities"], p, rtol=0, atol=1e-6)
        np.testing.assert_array_equal(t["stage"], p.argmax(axis=1))

    def test_tables_and_json(self):
        for name in "o.safetensors", "o.csv", "o.tsv", "o.json":
            self.infer("-q", "--head", self.head, "-o", name, self.edf)
        t = self.tensors("o.safetensors")
        for name, delimiter in ("o.csv", ","), ("o.tsv", "\t"):
            rows = self.rows(name, delimiter)
            self.assertEqual(list(rows[0])[:5], ["onset", "duration", "epoch", "stage",
                                                 "confidence"])
            self.assertEqual(list(rows[0])[5:11], [f"p_{label}" for label in LABELS] + ["cls_0"])
            for e, row in enumerate(rows):
                self.assertEqual((float(row["onset"]), row["duration"], row["epoch"]),
                                 (t["epoch_start_s"][e], "30", str(e)))
                self.assertEqual(row["stage"], LABELS[t["stage"][e]])
                self.assertEqual(np.float32(row["confidence"]), t["probabilities"][e].max())
                self.assertEqual([np.float32(row[f"cls_{i}"]) for i in range(128)],
                                 list(t["cls"][e]))
        with open("o.json") as f:
            report = json.load(f)
        self.assertEqual(report["channel_mask"], t["channel_mask"].tolist())
        self.assertEqual([e["stage"] for e in report["epochs"]], t["stage"].tolist())
        self.assertEqual([e["epoch_start_s"] for e in report["epochs"]],
                         t["epoch_start_s"].tolist())
        self.assertEqual(np.float32([e["probabilities"] for e in report["epochs"]]).tolist(),
                         t["probabilities"].tolist())

    def test_no_clock(self):
        """Raw and NPY know no time, and their outputs say nothing of it."""
        self.infer("-o", "o.safetensors", "night.bin")
        self.assertEqual(set(self.tensors("o.safetensors")), {"cls"})
        metadata = self.metadata("o.safetensors")
        self.assertFalse({"start", "channels", "skipped", "prep"} & set(metadata))
        self.infer("-o", "o.csv", "night.bin")
        self.assertEqual(list(self.rows("o.csv", ",")[0])[:2], ["epoch", "cls_0"])
        self.infer("--head", self.head, "-o", "o.safetensors", "night.bin")
        self.assertEqual(set(self.tensors("o.safetensors")), {"cls", "probabilities", "stage"})

    def test_not_finite(self):
        night = self.night.copy()
        night[1, 4, 7] = np.nan
        night.tofile("nan.bin")
        self.infer("--nan", "propagate", "--head", self.head, "--hypnogram", "h.tsv", "--report",
                   "n.html", "-o", "o.tsv", "nan.bin")
        for name in "o.tsv", "h.tsv":
            rows = self.rows(name, "\t")
            self.assertEqual([row["stage"] in LABELS for row in rows], [True, False, True])
            self.assertEqual({rows[1][k] for k in ("stage", "confidence", "p_W")}, {"n/a"})
        text = pathlib.Path("n.html").read_text()
        self.assertEqual((text.count('class="cell"'), text.count('class="cell none"')), (2, 1))


class Head(Night):
    def test_types(self):
        """The same head in half precision, and without labels."""
        st.save_file({"head.weight": self.weight.astype(np.float16),
                      "head.bias": self.bias.astype(np.float16)}, "half.safetensors")
        self.infer("--head", "half.safetensors", "-o", "o.safetensors", "night.bin")
        t = self.tensors("o.safetensors")
        z = (t["cls"].astype(np.float64) @ self.weight.astype(np.float16).astype(np.float64).T
             + self.bias.astype(np.float16))
        np.testing.assert_allclose(t["probabilities"], softmax(z), rtol=0, atol=1e-6)
        self.assertEqual(self.metadata("o.safetensors")["labels"], '["0", "1", "2", "3", "4"]')

    def test_refused(self):
        wide = self.make_head("wide.safetensors", None, np.zeros((5, 64), np.float32))
        for head, words in [
                ("none.safetensors", ["none.safetensors", "No such file"]),
                ("night.bin", ["night.bin"]),
                (wide, ["wide.safetensors", "head.weight", "128", "64"]),
                (self.osf, ["head.weight [K,D], found none"]),
                (self.make_head("one.safetensors", ["a"], self.weight[:1]), ["2 to 256 classes"]),
                (self.make_head("two.safetensors", ["a", "b"]), ["5 strings", "labels"]),
                (self.make_head("same.safetensors", ["a", "b", "c", "d", "a"]), ["both 'a'"])]:
            self.infer_fails(4, words, "--head", head, "-o", "o.safetensors", "night.bin")


class Hypnogram(Night):
    def write(self, name, *args):
        self.infer("-q", "--head", self.head, "--hypnogram", name, "-o", "o.safetensors",
                   *(args or [self.edf]))
        t = self.tensors("o.safetensors")
        return t, [LABELS[i] for i in t["stage"]]

    def test_tsv(self):
        t, stages = self.write("h.tsv")
        rows = self.rows("h.tsv", "\t")
        self.assertEqual(list(rows[0]), ["onset", "duration", "stage", "confidence"]
                         + [f"p_{label}" for label in LABELS])
        self.assertEqual([row["stage"] for row in rows], stages)
        self.assertEqual([float(row["onset"]) for row in rows], t["epoch_start_s"].tolist())
        self.assertEqual({row["duration"] for row in rows}, {"30"})
        self.assertEqual([np.float32(row["p_N2"]) for row in rows],
                         t["probabilities"][:, 2].tolist())

    def test_annot(self):
        t, stages = self.write("h.annot")
        lines = pathlib.Path("h.annot").read_text().splitlines()
        self.assertEqual([line.split()[1] for line in lines[:5]], LABELS)
        self.assertEqual(lines[5].split("\t"), "class instance channel start stop meta".split())
        rows = [line.split("\t") for line in lines[6:]]
        self.assertEqual([row[0] for row in rows], stages)
        self.assertEqual([float(row[3]) for row in rows], t["epoch_start_s"].tolist())
        self.assertEqual({float(row[4]) - float(row[3]) for row in rows}, {30})
        self.assertEqual({len(row) for row in rows}, {6})

    def test_annot_tells_labels_apart(self):
        """Luna's form has no room for every character: what would fall together is numbered, or
        refused where it is the class itself."""
        labels = ["a-b", "a b", "ä", "ö", "c"]
        head = self.make_head("odd.safetensors", labels)
        self.infer("-q", "--head", head, "--hypnogram", "h.annot", "-o", "o.safetensors", self.edf)
        stages = [labels[i] for i in self.tensors("o.safetensors")["stage"]]
        lines = pathlib.Path("h.annot").read_text().splitlines()
        keys = ["confidence", "p_a_b_0", "p_a_b_1", "p____2", "p____3", "p_c_4"]
        self.assertEqual(lines[0].split(" | ")[2].split(), [key + "[num]" for key in keys])
        rows = [line.split("\t") for line in lines[6:]]
        self.assertEqual([row[0] for row in rows], stages)
        for row in rows:
            self.assertEqual([pair.split("=")[0] for pair in row[5].split(";")], keys)
        head = self.make_head("twins.safetensors", ["c", "a|b", "d", "a'b", "e"])
        self.infer_fails(4, ["twins.safetensors: labels: classes 1 and 3, 'a|b' and 'a'b'"],
                         "--head", head, "--hypnogram", "h2.annot", "-o", "o2.csv", self.edf)
        self.infer("-q", "--head", head, "--hypnogram", "h.tsv", "-o", "o.csv", self.edf)

    def test_no_clock(self):
        _, stages = self.write("h.tsv", "night.bin")
        rows = self.rows("h.tsv", "\t")
        self.assertEqual([row["onset"] for row in rows], ["0", "30", "60"])
        self.assertEqual([row["stage"] for row in rows], stages)

    def test_whole_or_not_at_all(self):
        """One input's files come together: none of them where one can't be made, or an epoch is
        refused after others were written."""
        night = self.night.copy()
        night[2, 4, 7] = np.nan
        night.tofile("nan.bin")
        files = ["--head", self.head, "--report", "n.html", "--batch", "1"]
        self.infer_fails(3, "nan.bin", *files, "--hypnogram", "h.edf", "-o", "o.tsv", "nan.bin")
        self.infer_fails(7, "no/h.edf", *files, "--hypnogram", "no/h.edf", "-o", "o.tsv",
                         "night.bin")
        os.mkdir("h.edf")
        self.infer_fails(7, "h.edf", *files, "--hypnogram", "h.edf", "-o", "o.tsv", "night.bin")


class Looker(html.parser.HTMLParser):
    """Counts elements by class, keeps the cells of tables, and sees that all is closed."""

    VOID = {"meta", "rect", "path", "br"}

    def __init__(self, text):
        super().__init__()
        self.open, self.classes, self.cells, self.outside = [], {}, [], []
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        for name in dict(attrs).get("class", "").split():
            self.classes[name] = self.classes.get(name, 0) + 1
        self.outside += [v for k, v in attrs if k in ("src", "href", "srcset", "action")]
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "td":
            self.cells.append("")

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open and self.open.pop() == tag, tag

    def handle_data(self, data):
        if "td" in self.open:
            self.cells[-1] += data


class Page(Night):
    def write(self, *args):
        self.infer("-q", "--report", "n.html", "-o", "o.safetensors", *args)
        return pathlib.Path("n.html").read_text(encoding="utf-8")

    def test_night(self):
        text = self.write("--head", self.head, self.edf)
        page, epochs = Looker(text), len(self.tensors("o.safetensors")["cls"])
        self.assertEqual(page.classes["cell"], epochs)
        self.assertEqual(page.classes["channel"], 12)
        self.assertEqual((page.classes["missing"], page.classes["outline"]), (9, 3))
        self.assertEqual(page.classes["gap"], 1)
        for words in "C3 - A2", "missing: zeros", "mV", "N2":
            self.assertIn(words, page.cells)
        for words in self.metadata("o.safetensors")["model_sha256"], "22:31:30, 22:32:00":
            self.assertIn(words, text)

    def test_alone(self):
        """It loads nothing, and what comes from files is no markup."""
        name = "<script>alert(1)</script>&\"'.edf".replace("/", "_")
        shutil.copy(self.edf, name)
        head = self.make_head("html.safetensors", ["<b>W", "&amp;", "\"N2\"", "'", "R"])
        text = self.write("--head", head, name)
        page = Looker(text)
        self.assertEqual(page.outside, [])
        for words in "<script", "<b>", "http:", "https:", "url(h", "@import":
            self.assertNotIn(words, text)
        self.assertIn("&lt;script&gt;alert(1)&lt;_script&gt;&amp;&quot;&#39;.edf</h1>", text)
        self.assertIn("<b>W", page.cells)
        self.assertIn("default-src 'none'", text)

    def test_others(self):
        self.assertEqual(Looker(self.write("night.bin")).classes["cell"], 3)
        self.eegpt_infer("--report", "e.html", "-o", "e.safetensors", "eeg.bin")
        page = Looker(pathlib.Path("e.html").read_text())
        self.assertEqual((page.classes["cell"], page.classes["channel"]), (5, 3))

    def test_browser(self):
        browser = shutil.which("chromium") or shutil.which("google-chrome")
        if not browser:
            self.skipTest("no chromium here: the page is not drawn")
        self.write("--head", self.head, self.edf)
        drawn = subprocess.run(
            [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             f"--user-data-dir={self.folder}/profile", "--dump-dom",
             f"file://{self.folder}/n.html"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=600, check=True, text=True)
        self.assertEqual(Looker(drawn.stdout).classes["cell"],
                         len(self.tensors("o.safetensors")["cls"]))


if __name__ == "__main__":
    main()
