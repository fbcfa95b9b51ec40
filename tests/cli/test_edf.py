# SPDX-License-Identifier: MIT
"""EDF and BDF through osf-infer and eegpt-infer: the options that say how, what is written, what is
said, and what is refused. Broken files are in test_infer_bad_edf.py, what the numbers must be in
tests/recording/."""
import csv
import json
import os
import pathlib
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "recording"))
from make_edf import write_edf

from harness import CONFIG, Case, main, np, st

OSF = """ECG EMG_Chin EMG_LLeg EMG_RLeg ABD THX NP SN EOG_E1_A2 EOG_E2_A1 EEG_C3_A2
EEG_C4_A1""".split()
SOURCES = ["EKG", "Chin EMG", "L Leg", "R Leg", "Abdo", "Thor", "Nasal Pressure", "Snore", "E1-M2",
           "E2-M1", "C3", "C4-A1"]
SECONDS = 95  # three epochs and a rest


def wave(rng, rate, seconds=SECONDS, scale=50):
    return scale * (rng.standard_normal(seconds * rate) +
                    np.sin(np.arange(seconds * rate) / rate * 6))


def psg(seconds=SECONDS, rate=128, labels=SOURCES, seed=3, **more):
    """All twelve, one of them to be derived, one in mV, and one that nobody wants."""
    rng = np.random.default_rng(seed)
    signals = [{"label": label, "unit": "mV" if label == "EKG" else "uV", "rate": rate,
                "data": wave(rng, rate, seconds), **more} for label in [*labels, "A2", "Light"]]
    return signals


class Edf(Case):
    def setUp(self):
        super().setUp()
        write_edf("night.edf", psg())

    def channels(self, path):
        return {c["name"]: c for c in json.loads(self.metadata(path)["channels"])}

    def cls_of(self, *args):
        self.infer("-q", "-o", "cls.npy", *args)
        return np.load("cls.npy")


class Osf(Edf):
    def test_whole(self):
        self.infer("-o", "o.safetensors", "night.edf")
        tensors = self.tensors("o.safetensors")
        self.assertEqual(tensors["cls"].shape, (3, 128))
        np.testing.assert_array_equal(tensors["epoch_start_s"], [0, 30, 60])
        np.testing.assert_array_equal(tensors["channel_mask"], np.ones(12))
        metadata = self.metadata("o.safetensors")
        for key, value in [("prep", "osf-train"), ("prep_version", "1"), ("cohort", "generic"),
                           ("start", "2001-02-03T22:30:00"), ("source", "night.edf"),
                           ("inputs", '["night.edf"]'), ("options", "{}"), ("skipped", "[]"),
                           ("source_bytes", str(os.path.getsize("night.edf")))]:
            self.assertEqual(metadata[key], value, key)
        channels = self.channels("o.safetensors")
        self.assertEqual(list(channels), OSF)
        self.assertEqual(channels["ECG"]["unit"], "mV")
        self.assertEqual(channels["EEG_C3_A2"]["source"], "C3 - A2")
        self.assertEqual({c["state"] for c in channels.values()}, {"found", "derived"})

    def test_said(self):
        """A table of one recording, a line of each of several, nothing with -q."""
        text = self.infer("-o", "o.npy", "night.edf").stderr
        self.assertRegex(text, r"(?m)^osf-infer: night.edf: 12 channels: 11 found, 1 derived; "
                               r"cohort generic, prep osf-train 1, start 2001-02-03T22:30:00; "
                               r"the last 5 s are in no whole epoch$")
        for name, source in zip(OSF, SOURCES):
            self.assertRegex(text, rf"(?m)^osf-infer: night.edf: +{name} +{re.escape(source)}\b")
        self.assertEqual(self.infer("-q", "-o", "o.npy", "night.edf").stderr, "")
        write_edf("other.edf", psg(labels=SOURCES[:1] + SOURCES[8:]))
        text = self.infer("-o", "o/", "night.edf", "other.edf").stderr
        self.assertEqual(len(text.splitlines()), 2)
        self.assertIn("other.edf: 12 channels: 4 found, 1 derived, 7 missing (EMG_Chin, EMG_LLeg",
                      text)
        text = self.infer("-v", "-o", "o/", "night.edf", "other.edf").stderr
        self.assertRegex(text, r"other.edf: +EMG_Chin +missing: zeros")

    def test_report(self):
        report = json.loads(self.infer("--json", "-o", "o.npy", "night.edf").stdout)
        recording = report["inputs"][0]["recording"]
        self.assertEqual(recording["start"], "2001-02-03T22:30:00")
        self.assertEqual((recording["cohort"], recording["prep"], recording["prep_version"]),
                         ("generic", "osf-train", 1))
        self.assertEqual(recording["skipped_s"], [])
        self.assertEqual([c["name"] for c in recording["channels"]], OSF)
        for channel in recording["channels"]:
            self.assertEqual(set(channel), {"name", "state", "source", "unit", "rate", "flat",
                                            "clipped", "note"})
        report = json.loads(self.infer("--json", "-o", "o.npy", "night.bin").stdout)
        self.assertNotIn("recording", report["inputs"][0])

    def test_tables(self):
        """Epochs lie where they lie in the recording."""
        for suffix, delimiter in ("csv", ","), ("tsv", "\t"):
            self.infer("-q", "-o", f"o.{suffix}", "night.edf")
            with open(f"o.{suffix}", newline="") as f:
                rows = list(csv.DictReader(f, delimiter=delimiter))
            self.assertEqual([float(row["onset"]) for row in rows], [0, 30, 60])
            self.assertEqual({float(row["duration"]) for row in rows}, {30})

    def test_pipe(self):
        expected = self.cls_of("night.edf")
        with open("night.edf", "rb") as f:
            self.infer("-q", "-o", "o.npy", "-", stdin=f)
        np.testing.assert_array_equal(np.load("o.npy"), expected)
        self.infer("-q", "-o", "o.npy", "-", input=pathlib.Path("night.edf").read_bytes())
        np.testing.assert_array_equal(np.load("o.npy"), expected)
        os.rename("night.edf", "night")  # by its content
        np.testing.assert_array_equal(self.cls_of("night"), expected)
        np.testing.assert_array_equal(self.cls_of("--input-format", "edf", "night"), expected)

    def test_parts(self):
        """A night of several parts gives the same as its epochs one at a time."""
        write_edf("long.edf", psg(seconds=200 * 30, rate=16, labels=SOURCES[:3]))
        self.infer("-q", "-o", "o.safetensors", "long.edf")
        whole = self.tensors("o.safetensors")
        np.testing.assert_array_equal(whole["epoch_start_s"], 30.0 * np.arange(200))
        np.testing.assert_allclose(self.cls_of("--batch", 1, "long.edf"), whole["cls"], 1e-4, 1e-5)

    def test_exact(self):
        """Without preparation the model sees the samples as they stand in the file."""
        night = np.random.default_rng(5).integers(-6, 7, (12, 3 * 1920))
        for name, bdf in ("exact.edf", False), ("exact.bdf", True):
            write_edf(name, [{"label": label, "rate": 64, "digital": row}
                             for label, row in zip(["C3-A2" if s == "C3" else s for s in SOURCES],
                                                   night)], bdf=bdf)
            night.astype("f4").tofile("exact.bin")
            expected = self.cls_of("--layout", "channels", "exact.bin")
            np.testing.assert_array_equal(self.cls_of("--prep", "none", name), expected)

    def test_preparation(self):
        """Presets differ, and each says its name."""
        made = {}
        for prep in "osf-train", "osf-clean":
            self.infer("-q", "--prep", prep, "-o", "o.safetensors", "night.edf")
            self.assertEqual(self.metadata("o.safetensors")["prep"], prep)
            made[prep] = self.tensors("o.safetensors")["cls"]
        self.assertGreater(np.abs(made["osf-train"] - made["osf-clean"]).max(), 1e-4)
        np.testing.assert_array_equal(self.cls_of("night.edf"), made["osf-train"])

    def test_aliases(self):
        labels = ["heart", *SOURCES[1:]]
        write_edf("odd.edf", psg(labels=labels))
        self.infer("-q", "-o", "o.safetensors", "odd.edf")
        self.assertEqual(self.tensors("o.safetensors")["channel_mask"][0], 0)
        self.assertEqual(self.channels("o.safetensors")["ECG"]["state"], "missing")
        with open("aliases.txt", "w") as f:
            f.write("ECG=nothing,heart\nEMG_Chin=L Leg-R Leg\n")
        for args in ["--alias", "aliases.txt"], ["--alias", "ECG=heart", "--alias",
                                                 "EMG_Chin=L Leg-R Leg"]:
            self.infer("-q", "-o", "o.safetensors", *args, "odd.edf")
            channels = self.channels("o.safetensors")
            self.assertEqual((channels["ECG"]["state"], channels["ECG"]["source"]),
                             ("found", "heart"))
            self.assertEqual(channels["EMG_Chin"]["source"], "L Leg - R Leg")
            self.assertIn("heart", self.metadata("o.safetensors")["options"])
        p = self.infer("--alias", "ECG=haert", "-o", "o.npy", "odd.edf")
        self.assertIn("osf-infer: warning: odd.edf: none of the aliases of ECG is among its "
                      "channels", p.stderr)
        self.infer_fails(2, ["alias", "no_such"], "--alias", "no_such=x", "-o", "o.npy", "odd.edf")
        self.infer_fails(3, "none.txt", "--alias", "none.txt", "-o", "o.npy", "odd.edf")

    def test_cohorts(self):
        """The same labels mean what the cohort says."""
        write_edf("shhs.edf", psg(labels=["ECG", "EMG", "EEG", "EEG(sec)", "ABDO RES"]))
        self.infer("-q", "--cohort", "shhs", "-o", "o.safetensors", "shhs.edf")
        self.assertEqual(self.metadata("o.safetensors")["cohort"], "shhs")
        self.assertEqual(self.channels("o.safetensors")["EEG_C4_A1"]["source"], "EEG")
        self.infer("-q", "--cohort", "generic", "-o", "o.safetensors", "shhs.edf")
        self.assertEqual(self.channels("o.safetensors")["EEG_C4_A1"]["state"], "missing")


class Gaps(Edf):
    def test_left_out(self):
        """An epoch that a gap lies in is left out, listed, and moves no other."""
        onsets = [*range(40), *range(70, 70 + SECONDS - 40)]
        write_edf("gap.edf", psg(), plus="D", onsets=onsets)
        p = self.infer("--json", "-o", "o.safetensors", "gap.edf")
        self.assertRegex(p.stderr, r"gap.edf: \d+ epochs are left out because a gap lies in them")
        recording = json.loads(p.stdout)["inputs"][0]["recording"]
        starts = self.tensors("o.safetensors")["epoch_start_s"]
        skipped = json.loads(self.metadata("o.safetensors")["skipped"])
        self.assertEqual(recording["skipped_s"], skipped)
        self.assertTrue(skipped)
        self.assertEqual(len(starts), json.loads(p.stdout)["epochs"])
        self.assertFalse(set(starts) & set(skipped))
        for start in starts:
            self.assertTrue(all(not (start < gap < start + 30) for gap in (40, 70)), start)
        self.infer("-q", "-o", "o.csv", "gap.edf")
        with open("o.csv", newline="") as f:
            self.assertEqual([float(row["onset"]) for row in csv.DictReader(f)], list(starts))

    def test_start_within_a_second(self):
        """As in an EDF+C, the first sample is the first epoch's, and the last is in none."""
        self.infer("-q", "-o", "c.safetensors", "night.edf")
        for begin in 0.5, 0.3, 0.999:
            write_edf("late.edf", psg(), plus="D", onsets=begin + np.arange(SECONDS))
            p = self.infer("-v", "-o", "o.safetensors", "late.edf")
            self.assertIn(f"late.edf: it starts {begin} s after the second in its header", p.stderr)
            for name, tensor in self.tensors("c.safetensors").items():
                np.testing.assert_array_equal(self.tensors("o.safetensors")[name], tensor)
        os.rename("late.edf", "late\n2.edf")  # whose line in the log stays one
        p = self.infer("-v", "-o", "o.npy", "late\n2.edf")
        self.assertIn("osf-infer: late?2.edf: it starts 0.999 s after", p.stderr)
        write_edf("late.edf", psg(), plus="D", onsets=1.0 + np.arange(SECONDS))
        self.infer("-q", "-o", "o.safetensors", "late.edf")  # a second is missing
        self.assertEqual(list(self.tensors("o.safetensors")["epoch_start_s"]), [30, 60])

    def test_before_the_start(self):
        """What lies before the header's time is in no epoch: it isn't lost without a word."""
        write_edf("early.edf", psg(), plus="D", onsets=np.arange(SECONDS) - 40)
        self.infer_fails(3, ["early.edf: onset of data record 0", "expected 0 s or more",
                             "found -40 s"], "-o", "o.npy", "early.edf")


class Bad(Edf):
    def refused(self, code, words, *args):
        self.infer_fails(code, words, "-q", "-o", "o.safetensors", *args)

    def test_no_channel(self):
        write_edf("x.edf", psg(labels=[]))
        self.refused(3, "x.edf", "x.edf")

    def test_ambiguous(self):
        """Two signals that could be meant: both are named, neither is taken."""
        write_edf("x.edf", psg(labels=["ECG", "EKG", *SOURCES[1:]]))
        self.refused(3, ["x.edf", "ECG", "EKG"], "x.edf")
        self.infer("-q", "--alias", "ECG=EKG", "-o", "o.npy", "x.edf")

    def test_short(self):
        write_edf("x.edf", psg(seconds=29))
        self.refused(3, ["x.edf", "29 s"], "x.edf")

    def test_low_rate(self):
        """One that no filter can be made for is missing, and told; all of them are an error."""
        write_edf("x.edf", psg(rate=16))
        self.infer("-q", "-o", "o.safetensors", "x.edf")
        channel = self.channels("o.safetensors")["EMG_Chin"]
        self.assertEqual(channel["state"], "missing")
        self.assertIn("16 Hz is too low", channel["note"])
        os.unlink("o.safetensors")
        slow = [{**signal, "rate": 0.5, "data": signal["data"][:48]} for signal in psg()]
        write_edf("x.edf", slow, record_seconds=2)
        self.refused(3, ["x.edf", "too low"], "x.edf")

    def test_not_for_others(self):
        """What would change an EDF's numbers is not silently ignored for prepared signals."""
        self.refused(3, ["night.bin", "--prep"], "--prep", "osf-clean", "night.bin")
        self.assertEqual(self.infer("--prep", "none", "--cohort", "auto", "-o", "o.npy",
                                    "night.bin").stderr, "")
        for option, value in ("--cohort", "shhs"), ("--alias", "ECG=EKG"):
            p = self.infer(option, value, "-o", "o.npy", "night.bin")
            self.assertIn(f"osf-infer: warning: night.bin: {option} has no effect", p.stderr)
            self.assertEqual(self.infer("-q", option, value, "-o", "o.npy", "night.bin").stderr, "")
            self.assertNotIn("no effect", self.infer(option, value, "-o", "o.npy",
                                                     "night.edf").stderr)

    def test_other_leads(self):
        """A model of other leads than OSF's twelve, which nobody has named."""
        (self.root / "eight.json").write_text('{"depth": 1, "num_leads": 8}')
        model = self.synth("eight.safetensors", "osf-nano", "--config",
                           str(self.root / "eight.json"))
        self.infer_fails(3, ["night.edf", "12 leads", "has 8"], "-o", "o.npy", "night.edf",
                         model=model)
        self.infer("-o", "o.npy", "--samples", "64", "night.bin", model=model)

    def test_among_others(self):
        write_edf("x.edf", psg(seconds=29))
        self.infer("-q", "-o", "o/", "night.edf", "x.edf", "night.bin", code=2)
        os.rename("night.bin", "raw.bin")
        self.infer("-q", "-o", "o/", "night.edf", "x.edf", "raw.bin", code=1)
        self.assertEqual(self.names("o"), ["night.safetensors", "raw.safetensors"])

    def test_flat_and_saturated(self):
        """Reported by their share; the numbers are finite."""
        signals = psg()
        signals[0]["data"][:] = 0
        signals[1]["data"][:] = 4000
        signals[1]["physical_max"] = 100
        signals[1]["physical_min"] = -100
        write_edf("x.edf", signals)
        self.infer("-q", "-o", "o.safetensors", "x.edf")
        channels = self.channels("o.safetensors")
        self.assertEqual(channels["ECG"]["flat"], 1)
        self.assertEqual(channels["EMG_Chin"]["clipped"], 1)
        self.assertTrue(np.isfinite(self.tensors("o.safetensors")["cls"]).all())


class Eegpt(Edf):
    NAMES = ["FP1", "FPZ", "FP2"]  # of ids 0 to 2, which a model without names has

    def setUp(self):
        super().setUp()
        rng = np.random.default_rng(4)
        self.signals = [{"label": f"EEG {name}-REF", "unit": "uV", "rate": 200,
                         "data": wave(rng, 200, 20)} for name in self.NAMES]
        write_edf("eeg.edf", self.signals)

    def logits(self, *args, name="eeg.edf"):
        self.eegpt_infer("-q", "-o", "o.safetensors", *args, name)
        return self.tensors("o.safetensors")["logits"]

    def test_whole(self):
        logits = self.logits()
        self.assertEqual(logits.shape, (40, 4))  # 20 s of windows of 128 samples at 256 Hz
        starts = self.tensors("o.safetensors")["epoch_start_s"]
        np.testing.assert_allclose(starts, 0.5 * np.arange(40))
        self.assertEqual(self.metadata("o.safetensors")["prep"], "eegpt-pretrain")
        self.assertEqual(list(self.channels("o.safetensors")), self.NAMES)

    def test_windows(self):
        self.logits("--window", "0.5")
        self.assertEqual(json.loads(self.metadata("o.safetensors")["options"]), {"samples": 128})
        self.assertEqual(len(self.logits("--window", "0.5", "--samples", 128)), 40)
        self.eegpt_infer("-q", "--outputs", "features", "--window", "1", "-o", "o.safetensors",
                         "eeg.edf")
        self.assertEqual(self.tensors("o.safetensors")["features"].shape[0], 20)
        self.assertEqual(self.metadata("o.safetensors")["epoch_seconds"], "1")
        overlapping = self.logits("--stride", "0.25")
        self.assertEqual(len(overlapping), 79)
        np.testing.assert_allclose(self.tensors("o.safetensors")["epoch_start_s"],
                                   0.25 * np.arange(79))
        np.testing.assert_allclose(overlapping[::2], self.logits(), 1e-4, 1e-5)
        self.eegpt_fails(3, ["--window 0.1", "25.6"], "--window", "0.1", "-o", "o.npy", "eeg.edf")
        self.eegpt_fails(3, ["--window 1", "128", "256"], "--window", "1", "--samples", "128", "-o",
                         "o.npy", "eeg.edf")
        self.eegpt_fails(3, ["--window 0.1", "64"], "--window", "0.125", "-o", "o.npy", "eeg.edf")
        self.assertEqual(len(self.logits("--window", "0.5", name="eeg.bin")), 5)
        self.assertIn("the last 19.5 s are in no whole epoch\n",
                      self.eegpt_infer("--stride", "100", "-o", "o.npy", "eeg.edf").stderr)
        self.assertEqual(len(self.logits("--stride", "0.00390625")), 4993)
        os.unlink("o.npy")
        self.eegpt_fails(3, ["--stride 0.0039", "256 Hz", "0.00390625 s"], "--stride", "0.0039",
                         "-o", "o.npy", "eeg.edf")

    def test_rate(self):
        """One that no EDF is prepared for is still that of a raw file."""
        fast = self.synth_eegpt("fast.safetensors", {**CONFIG, "sfreq": 30000})
        self.eegpt_fails(3, ["eeg.edf: ", "20000 Hz", "30000"], "-o", "o.npy", "eeg.edf",
                         model=fast)
        self.eegpt_infer("-o", "o.npy", "eeg.bin", model=fast)

    def test_options(self):
        """Each changes the numbers, and is told in the metadata."""
        made = [self.logits()]
        for option, value in [("unit", "uV"), ("reref", "none"), ("resample", "polyphase"),
                              ("prep", "eegpt-tueg")]:
            made.append(self.logits("--" + option, value))
            metadata = self.metadata("o.safetensors")
            self.assertIn(value, metadata["prep"] if option == "prep" else metadata["options"])
        for i, one in enumerate(made):
            for other in made[:i]:
                self.assertGreater(np.abs(one - other).max(), 1e-4)

    def test_not_for_others(self):
        for option, value in [("unit", "uV"), ("reref", "none"), ("resample", "nearest"),
                              ("stride", "1"), ("prep", "eegpt-tueg")]:
            self.eegpt_fails(3, ["eeg.bin", f"--{option}"], f"--{option}", value, "-o", "o.npy",
                             "eeg.bin")

    def test_no_names(self):
        """A model that projects channels and does not name them can't find them."""
        model = self.synth_eegpt("projected.safetensors", {
            "n_chans": 3, "n_times": 128, "sfreq": 256, "n_outputs": 4, "patch_size": 64,
            "patch_stride": 32, "embed_num": 4, "embed_dim": 64, "depth": 1, "num_heads": 2,
            "chan_proj_type": "linear", "n_chans_target": 19})
        self.eegpt_fails(3, ["eeg.edf", "names"], "-o", "o.npy", "eeg.edf", model=model)
        self.eegpt_infer("-o", "o.npy", "eeg.bin", model=model)


class Beside(Edf):
    """Heads, hypnograms and pages."""

    def setUp(self):
        super().setUp()
        rng = np.random.default_rng(6)
        self.weight = rng.standard_normal((5, 128), dtype="f4")
        st.save_file({"head.weight": self.weight, "head.bias": np.zeros(5, "f4")},
                     "head.safetensors", {"labels": '["W", "N1", "N2", "N3", "R"]'})

    def test_head(self):
        self.infer("-q", "--head", "head.safetensors", "--hypnogram", "o.tsv", "--report", "o.html",
                   "-o", "o.safetensors", "night.edf")
        tensors = self.tensors("o.safetensors")
        scores = tensors["cls"] @ self.weight.T
        np.testing.assert_array_equal(tensors["stage"], scores.argmax(axis=1))
        with open("o.tsv", newline="") as f:
            rows = list(csv.DictReader(f, delimiter="\t"))
        self.assertEqual([row["stage"] for row in rows],
                         [["W", "N1", "N2", "N3", "R"][i] for i in tensors["stage"]])
        self.assertIn("<html", pathlib.Path("o.html").read_text().lower())

    def test_head_alone(self):
        """The head's embedding is computed, though nobody asked to have it written."""
        self.infer("-q", "--outputs", "mean", "--head", "head.safetensors", "-o", "o.safetensors",
                   "night.edf")
        tensors = self.tensors("o.safetensors")
        self.assertNotIn("cls", tensors)
        np.testing.assert_array_equal(tensors["stage"],
                                      (self.cls_of("night.edf") @ self.weight.T).argmax(axis=1))

    def test_folders(self):
        write_edf("other.edf", psg(seed=9))
        self.infer("-q", "--head", "head.safetensors", "--hypnogram", "o/stages/.annot", "--report",
                   "pages/", "-o", "o/", "night.edf", "other.edf")
        self.assertEqual(self.names("o"), ["night.safetensors", "other.safetensors", "stages"])
        self.assertEqual(self.names("o/stages"), ["night.annot", "other.annot"])
        self.assertEqual(self.names("pages"), ["night.html", "other.html"])
        args = ["--head", "head.safetensors", "--hypnogram", "o/stages/.annot", "-o", "o/",
                "--json", "--resume", "night.edf", "other.edf"]
        statuses = [[i["status"] for i in json.loads(self.infer("-q", *args).stdout)["inputs"]]]
        os.unlink("o/stages/other.annot")
        for _ in range(2):
            statuses.append([i["status"] for i in json.loads(self.infer("-q", *args).stdout)
                             ["inputs"]])
        self.assertEqual(statuses, [["skipped", "skipped"], ["skipped", "done"],
                                    ["skipped", "skipped"]])

    def test_resumed(self):
        """A hypnogram or a page that embeddings written since did not bring along is made anew."""
        st.save_file({"head.weight": -self.weight, "head.bias": np.zeros(len(self.weight), "f4")},
                     "other.safetensors")
        beside = ["--hypnogram", "o.tsv", "--report", "o.html"]

        def status(head, *more):
            head = ["--head", head] if head else []
            report = self.infer("-q", *head, *more, "-o", "o.safetensors", "--resume", "--json",
                                "night.edf").stdout
            return json.loads(report)["inputs"][0]["status"]
        self.assertEqual(status("head.safetensors", *beside), "done")
        self.assertEqual(status("head.safetensors", *beside), "skipped")
        with open("o.tsv", "rb") as f:
            first = f.read()
        self.assertEqual(status("other.safetensors"), "done")
        for kind in beside[:2], beside[2:]:
            self.assertEqual(status("other.safetensors", *kind), "done")
            self.assertEqual(status("other.safetensors", *kind), "skipped")
        with open("o.tsv", "rb") as f:
            self.assertNotEqual(f.read(), first)
        self.assertEqual(status(None), "skipped")  # the embeddings are those of any head
        self.assertEqual(status(None, *beside[2:]), "done")  # the page isn't
        self.assertEqual(status(None, *beside[2:]), "skipped")

    def test_eegpt(self):
        """There the mean of the features stands for an epoch."""
        weight = np.random.default_rng(2).standard_normal((2, 64), dtype="f4")
        st.save_file({"head.weight": weight, "head.bias": np.zeros(2, "f4")}, "h.safetensors")
        self.eegpt_infer("--outputs", "features,logits", "--head", "h.safetensors", "--report",
                         "o.html", "-o", "o.safetensors", "eeg.bin")
        tensors = self.tensors("o.safetensors")
        mean = tensors["features"].mean(axis=(1, 2))
        np.testing.assert_array_equal(tensors["stage"], (mean @ weight.T).argmax(axis=1))

    def test_nothing_half(self):
        """Where one of the three can't be, none is."""
        os.mkdir("o.html")
        self.infer_fails(7, "o.html", "-q", "--head", "head.safetensors", "--hypnogram", "o.tsv",
                         "--report", "o.html", "-o", "o.safetensors", "night.edf")

    def test_usage(self):
        def fails(words, *args, out="o.safetensors"):
            self.infer_fails(2, words, *args, "-o", out, "night.edf", model="none")
        fails("--hypnogram needs --head", "--hypnogram", "o.tsv")
        head = ["--head", "head.safetensors"]
        fails(".npy has no room", *head, out="o.npy")
        for name in "o", "o.csv", "o/.csv", "stages.d/o":
            fails(["--hypnogram", name], *head, "--hypnogram", name)
        for name in "o", "o.htm", "o/.tsv":
            fails(["--report", name], "--report", name)
        fails(["--report", "several", "o.html"], "--report", "o.html", "night.bin", out="o/")
        fails(["--hypnogram", "several", "o.tsv"], *head, "--hypnogram", "o.tsv", "night.bin",
              out="o/")
        fails("two things would be written to o.tsv", *head, "--hypnogram", "o.tsv", out="o.tsv")
        fails("two things", *head, "--hypnogram", "o/", "--format", "tsv", out="o/")
        fails("two things", *head, "--hypnogram", "./o.tsv", out="o.tsv")
        fails("two things", *head, "--hypnogram", "./o/", "--format", "tsv", out="o/")
        os.link("head.safetensors", "h.safetensors")
        fails("written over", *head, out="h.safetensors")
        self.infer_fails(4, "none.safetensors", "--head", "none.safetensors", "-o",
                         "o.safetensors", "night.edf")


class ResumeEdf(Edf):
    def test_prep(self):
        """Another preset makes another EDF, and the same of what is prepared."""
        os.rename("night.bin", "raw.bin")
        args = ["-q", "-o", "o/", "--resume", "--json", "night.edf"]

        def status(*more):
            return json.loads(self.infer(*args, *more).stdout)["inputs"][0]["status"]
        self.assertEqual([status(), status(), status("--prep", "osf-train")],
                         ["done", "skipped", "skipped"])
        self.assertEqual([status("--prep", "osf-clean"), status("--prep", "osf-clean"), status()],
                         ["done", "skipped", "done"])
        self.assertEqual([status("--cohort", "shhs", "--alias", "ECG=EKG"), status()],
                         ["done", "done"])


if __name__ == "__main__":
    main()
