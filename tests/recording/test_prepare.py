# SPDX-License-Identifier: MIT
"""The presets against MNE-Python, pandas and SciPy on generated nights (reference_prepare.py).

Usage: test_prepare.py PROBE
"""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest
import warnings

import numpy as np

from make_edf import write_edf

try:
    import reference_prepare as reference
    from reference_prepare import LEADS
except ImportError as missing:
    sys.exit(f"{missing}: this test needs mne, pandas and scipy; scripts/test.sh installs them")

PROBE = sys.argv.pop(1)
OSF = "aliases=" + ";".join(f"{lead}={lead}" for lead in LEADS)
MUSCLES = [lead for lead in LEADS if lead.startswith("EMG")]
EEG = ["FZ", "C3", "CZ", "C4", "PZ"]
warnings.filterwarnings("ignore", message="filter_length")


def wave(rng, rate, seconds, offset=30.0, drift=5.0):
    """Something with a bit in every band, on a slow wave and an offset."""
    t = np.arange(round(rate * seconds)) / rate
    tones = sum(rng.uniform(2, 15) * np.sin(2 * np.pi * (f * t + rng.random()))
                for f in (0.3, 1.1, 5, 9, 13, 21, 29, 45) if f < rate / 2)
    return tones + 12 * rng.standard_normal(len(t)) + offset + drift * np.sin(t / 100)


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.path = self.folder / "night.edf"
        self.rng = np.random.default_rng(7)

    def write(self, signals, **options):
        """signals: {label: (data, rate) or a dict}. Returns {label: (physical, rate)}."""
        made = [dict(s if isinstance(s, dict) else {"data": s[0], "rate": s[1]}, label=label)
                for label, s in signals.items()]
        written = write_edf(self.path, made, **options)
        bits = (1 << 24) - 1 if options.get("bdf") else (1 << 16) - 1
        physical = {}
        for s, digital in zip(made, written):
            peak = max(np.ceil(np.abs(s["data"]).max()), 1.0)
            physical[s["label"]] = (2 * peak / bits * (digital + (bits + 1) / 2) - peak, s["rate"])
        return physical

    def probe(self, *options):
        return subprocess.run([PROBE, self.path, self.folder / "out", *options],
                              capture_output=True, text=True, check=False)

    def prepare(self, *options):
        """What the library says, and the epochs."""
        done = self.probe(*options)
        self.assertEqual(done.returncode, 0, done.stderr)
        info = json.loads(done.stdout)
        shape = (info["epochs"], info["channels"], info["samples"])
        return info, np.fromfile(self.folder / "out", "<f4").reshape(shape)

    def fails(self, words, *options, code=3):
        done = self.probe(*options)
        self.assertEqual(done.returncode, code, done.stderr)
        for word in words if isinstance(words, list) else [words]:
            self.assertIn(word, done.stderr)

    def close(self, ours, theirs, most, what=""):
        self.assertEqual(ours.shape, theirs.shape)
        self.assertLess(np.abs(ours - theirs).max(), most, what)


class OsfTrain(Case):
    """At most 1e-4 after the z-score is what is asked for; ours is nearer."""

    def check(self, physical, seconds, *options, most=1e-5, samples=1920):
        info, ours = self.prepare(OSF, *options)
        theirs = reference.osf_train(physical, seconds, samples)
        self.close(ours[:len(theirs)], theirs, most)
        return info, ours

    def test_every_rate_at_every_lead(self):
        rates = [64, 100, 125, 128, 200, 256, 500, 512, 1, 10, 32, 65, 129, 499]
        for turn in range(len(rates)):
            signals = {}
            for row, lead in enumerate(LEADS):
                rate = rates[(turn + row) % len(rates)]
                if lead in MUSCLES and rate < 18:
                    rate = 18
                signals[lead] = (wave(self.rng, rate, 65), rate)
            info, _ = self.check(self.write(signals), 65)
            self.assertEqual(info["epochs"], 2)
            self.assertEqual(info["dropped"], 5 * 64)
            self.assertEqual([c["rate"] for c in info["channel"]],
                             [signals[lead][1] for lead in LEADS])

    def test_lengths(self):
        for seconds in 30, 31, 89, 90, 1500:
            signals = {lead: (wave(self.rng, 128, seconds), 128) for lead in LEADS[::3]}
            info, _ = self.check(self.write(signals), seconds)
            self.assertEqual(info["epochs"], seconds // 30)

    def test_half_an_hour_of_a_laboratory(self):
        rates = dict.fromkeys(LEADS, 256) | {"ECG": 512, "ABD": 32, "THX": 32, "NP": 100, "SN": 500}
        self.check(self.write({lead: (wave(self.rng, rates[lead], 1800), rates[lead])
                               for lead in LEADS}), 1800)

    def test_statistics_of_twelve_hours(self):
        seconds = int(12.1 * 3600)
        slow = np.linspace(0, 1000, seconds * 10)
        physical = self.write({"ABD": (wave(self.rng, 10, seconds) + slow, 10),
                               "SN": (wave(self.rng, 8, seconds), 8)})
        info, ours = self.check(physical, seconds)
        self.assertEqual(info["epochs"], seconds // 30)
        self.assertGreater(ours[-1, LEADS.index("ABD")].mean(), 1.6)  # beyond the statistics

    def test_records_of_other_durations(self):
        for record_seconds in 30, 0.5, 7, 0.25:
            signals = {lead: (wave(self.rng, 100, 210), 100) for lead in LEADS}
            self.check(self.write(signals, record_seconds=record_seconds), 210)

    def test_a_small_signal_on_a_large_offset(self):
        signals = {lead: (wave(self.rng, 256, 95, offset=150000.0, drift=3000.0), 256)
                   for lead in LEADS}
        physical = self.write(signals, bdf=True)
        _, ours = self.prepare(OSF)
        # pandas would have rounded to float32 before it takes the mean away, so it gets less.
        level = {lead: (x - 150000.0, rate) for lead, (x, rate) in physical.items()}
        self.close(ours, reference.osf_train(level, 95), 1e-4)

    def test_shorter_epochs(self):
        signals = {lead: (wave(self.rng, 200, 70), 200) for lead in LEADS}
        info, _ = self.check(self.write(signals), 70, "samples=640", samples=640)
        self.assertEqual(info["epoch_seconds"], 10)

    def test_derived(self):
        for left, right in (256, 256), (256, 200), (128, 500):
            a = self.write({"C3": (wave(self.rng, left, 95), left),
                            "A2": (wave(self.rng, right, 95), right),
                            "Lchin": (wave(self.rng, left, 95), left),
                            "Cchin": (wave(self.rng, right, 95), right)})
            info, ours = self.prepare("aliases=EEG_C3_A2=C3-A2;EMG_Chin=Lchin-Cchin")
            theirs = reference.osf_train({"EEG_C3_A2": (*a["C3"], *a["A2"]),
                                          "EMG_Chin": (*a["Lchin"], *a["Cchin"])}, 95)
            self.close(ours, theirs, 1e-5)
            self.assertEqual(info["channel"][10]["state"], "derived")

    def test_units_before_a_difference(self):
        c3, a2 = wave(self.rng, 128, 60), wave(self.rng, 128, 60)
        self.write({"C3": {"data": c3 / 1e3, "rate": 128, "unit": "mV", "physical_min": -0.2,
                           "physical_max": 0.2},
                    "A2": {"data": a2, "rate": 128, "unit": "uV"}})
        _, ours = self.prepare("aliases=EEG_C3_A2=C3-A2")
        theirs = reference.osf_train({"EEG_C3_A2": (c3 - a2, 128)}, 60)
        self.close(ours, theirs, 2e-3)  # as many digits as 16 bits leave

    def test_missing_and_flat(self):
        signals = {lead: (wave(self.rng, 128, 60), 128) for lead in LEADS if lead != "NP"}
        signals["THX"] = (np.full(60 * 128, 3.0), 128)
        signals["SN"][0][1000:3000] = 40.0  # flat for 15.6 s of 60
        signals["ECG"][0][:1280] = 1e6
        physical = self.write(signals | {"ECG": dict(
            data=signals["ECG"][0], rate=128, physical_min=-100, physical_max=100)})
        physical["ECG"] = (np.clip(signals["ECG"][0], -100, 100), 128)
        del physical["THX"]  # MNE's rounding makes noise of it
        info, ours = self.prepare(OSF)
        theirs = reference.osf_train(physical, 60)
        self.close(ours[:, 1:], theirs[:, 1:], 1e-5)
        self.close(ours[:, 0], theirs[:, 0], 1e-2)
        self.assertFalse(ours[:, 5].any() or ours[:, 6].any())
        channel = {c["name"]: c for c in info["channel"]}
        self.assertEqual(channel["NP"]["state"], "missing")
        self.assertEqual((channel["THX"]["state"], channel["THX"]["flat"]), ("found", 1.0))
        self.assertIn("flat: zeros", channel["THX"]["note"])
        self.assertAlmostEqual(channel["SN"]["flat"], 2000 / 7680, places=3)
        self.assertAlmostEqual(channel["ECG"]["clipped"], 1280 / 7680, places=3)
        self.assertEqual(channel["EMG_Chin"]["flat"], 0.0)

    def test_rates_that_are_no_whole_numbers(self):
        """The reference isn't defined there; ours is near a neighbour's."""
        t = np.arange(16 * 62) / 62.5
        self.write({"EEG_C3_A2": (10 * np.sin(2 * np.pi * 3 * t[:1000]), 62.5),
                    "ABD": (10 * np.sin(2 * np.pi * 0.2 * np.arange(1250) / 12.5), 12.5)},
                   record_seconds=4)
        info, ours = self.prepare(OSF, "samples=640")
        self.assertEqual(info["epochs"], 10)
        t = np.arange(64, 576) / 64
        for row, tone, most in (10, 3, 0.5), (4, 0.2, 0.2):
            for epoch in range(1, 9):
                want = np.sqrt(2) * np.sin(2 * np.pi * tone * (t + 10 * epoch))
                if epoch * 10 + 9 < 16 or row == 4:
                    self.close(ours[epoch, row, 64:576], want, most)

    def test_rates_that_are_too_low(self):
        self.write({"ECG": (wave(self.rng, 100, 60), 100), "EMG_Chin": (wave(self.rng, 16, 60), 16),
                    "ABD": (wave(self.rng, 0.5, 60), 0.5)}, record_seconds=2)
        info, ours = self.prepare(OSF)
        self.assertEqual([c["state"] for c in info["channel"][:5]], ["found"] + 4 * ["missing"])
        self.assertIn("16 Hz is too low for the high-pass at 10 Hz", info["channel"][1]["note"])
        self.assertIn("0.5 Hz is too low", info["channel"][4]["note"])
        self.assertFalse(ours[:, 1:].any())
        self.write({"ABD": (wave(self.rng, 0.5, 60), 0.5)}, record_seconds=2)
        self.fails(["night.edf", "no channel can be prepared: ABD: 0.5 Hz"], OSF)


class Threads(Case):
    def test_same_bits(self):
        """However many threads, however many epochs at a time."""
        self.write({lead: (wave(self.rng, 500, 640), 500) for lead in LEADS})
        for prep in "osf-train", "osf-clean":
            first = self.prepare(OSF, f"prep={prep}", "threads=1")[1]
            self.assertEqual(len(first), 21)
            for threads, capacity in (2, 1), (3, 5), (8, 64):
                again = self.prepare(OSF, f"prep={prep}", f"threads={threads}",
                                     f"capacity={capacity}")[1]
                np.testing.assert_array_equal(first, again)


class Gaps(Case):
    """EDF+D: the grid of epochs stays on the file's start, and each segment is its own."""

    def test_segments(self):
        onsets = [*range(0, 100), *range(110, 200), *range(205, 220), *range(300, 360)]
        x = wave(self.rng, 200, len(onsets))
        written = self.write({"EEG_C3_A2": (x, 200), "EMG_Chin": (x, 200), "SN": (x, 200)},
                             plus="D", onsets=onsets)["SN"][0]
        info, ours = self.prepare(OSF)
        self.assertEqual(info["starts"], [0, 30, 60, 120, 150, 300, 330])
        self.assertEqual(info["skipped_starts"], [90, 180, 210, 240, 270])
        self.assertEqual(info["skipped"], 5)
        parts = [(0, written[:20000]), (110, written[20000:38000]), (205, written[38000:41000]),
                 (300, written[41000:])]
        for lead in "EEG_C3_A2", "EMG_Chin", "SN":
            grids = [reference.grid_of(part, 200, lead) for _, part in parts]
            whole = np.concatenate([g.to_numpy() for g in grids])
            mean, deviation = whole.mean(), whole.std(ddof=1)
            for epoch, start in enumerate(info["starts"]):
                k = max(i for i, (onset, _) in enumerate(parts) if onset <= start)
                rate = reference.target_of(lead)
                index = np.round((start - parts[k][0] + np.arange(1920) / 64) * rate - 0.4999)
                index = np.maximum(index.astype(int) - 1, 0)
                want = (grids[k].to_numpy()[index] - mean) / deviation
                step = 64 // rate
                self.close(ours[epoch, LEADS.index(lead), ::step], want[::step], 1e-5)

    def test_segments_off_the_grid(self):
        onsets = [0.0, *(30.3 + np.arange(100))]
        self.write({"EEG_C3_A2": (wave(self.rng, 100, 101), 100)}, plus="D", onsets=onsets)
        info, ours = self.prepare(OSF)
        self.assertEqual(info["starts"], [60, 90])
        self.assertEqual(info["skipped_starts"], [0, 30])
        self.assertTrue(np.isfinite(ours).all())

    def test_late_start(self):
        """The 12 h whose statistics count begin with the first sample."""
        signals = {"EEG_C3_A2": (wave(self.rng, 100, 100), 100)}
        self.write(signals, plus="D", onsets=np.arange(100))
        info, first = self.prepare(OSF)
        self.assertGreater(np.abs(first).max(), 0)
        for onset in 12 * 3600, 100 * 3600:
            self.write(signals, plus="D", onsets=onset + np.arange(100))
            later, ours = self.prepare(OSF)
            self.assertEqual(later["starts"], [onset + start for start in info["starts"]])
            self.assertEqual(later["skipped"], onset // 30)
            np.testing.assert_array_equal(ours, first)

    def test_years_of_gap(self):
        signals = {"EEG_C3_A2": (wave(self.rng, 100, 100), 100)}
        for onset in 2e8, 9e8:
            self.write(signals, plus="D", onsets=[*range(40), *(onset + np.arange(60))])
            self.fails(["night.edf", "leave out at most 4194304 epochs of 30 s", "sound?"], OSF)

    def test_nothing_but_gaps(self):
        self.write({"ECG": (wave(self.rng, 100, 40), 100)}, plus="D",
                   onsets=[2.0 * i for i in range(40)])
        self.fails(["night.edf", "a gap in each of 2"], OSF)


class OsfClean(Case):
    def tone(self, rate, frequencies, seconds=120):
        t = np.arange(round(rate * seconds)) / rate
        return sum(10 * np.sin(2 * np.pi * f * t + f) for f in frequencies)

    def test_what_passes_is_where_it_was(self):
        """Tones inside the band come out on the true time axis, at any rate."""
        inside = {"ECG": [1, 17.3], "EMG_Chin": [11, 20], "ABD": [0.2, 1.7], "SN": [0.5, 13],
                  "EEG_C3_A2": [0.4, 9.7, 23]}
        for rate in 64, 80, 100, 125, 128, 200, 256, 499, 512:
            self.write({lead: (self.tone(rate, tones), rate) for lead, tones in inside.items()})
            _, ours = self.prepare(OSF, "prep=osf-clean")
            for lead, tones in inside.items():
                want = self.tone(64, tones)
                want = (want / want.std()).reshape(4, 1920)
                self.close(ours[1:3, LEADS.index(lead)], want[1:3], 4e-3, f"{lead} at {rate}")

    def test_slow_sources(self):
        for rate in 1, 10, 16, 32:
            tones = [0.11, 0.31 * rate]
            tones = [f for f in tones if f < 3.9]
            self.write({"ABD": (self.tone(rate, tones), rate)})
            _, ours = self.prepare(OSF, "prep=osf-clean")
            want = self.tone(64, tones)
            want = (want / want.std()).reshape(4, 1920)
            self.close(ours[1:3, 4], want[1:3], 2e-2, f"at {rate}")

    def test_what_does_not_pass(self):
        outside = {"ECG": 33, "EMG_Chin": 5, "ABD": 7, "SN": 21, "EEG_C3_A2": 40}
        for rate in 100, 256, 500:
            kept = {"ECG": 5, "EMG_Chin": 15, "ABD": 1, "SN": 5, "EEG_C3_A2": 5}
            self.write({lead: (self.tone(rate, [kept[lead]]) + 50 * self.tone(rate, [tone]), rate)
                        for lead, tone in outside.items()})
            _, ours = self.prepare(OSF, "prep=osf-clean")
            for lead in outside:
                want = self.tone(64, [kept[lead]])
                want = (want / want.std()).reshape(4, 1920)[1:3]
                got = ours[1:3, LEADS.index(lead)]
                got = got * (want * want).sum() / (got * want).sum()  # the night's ends ring
                self.close(got, want, 0.02, f"{lead} at {rate}")

    def test_as_scipy(self):
        """Noise: the same band by another's polyphase filter is nearly the same signal."""
        x = wave(self.rng, 512, 120)
        physical = self.write({"EEG_C3_A2": (x, 512)})["EEG_C3_A2"][0]
        _, ours = self.prepare(OSF, "prep=osf-clean")
        theirs = reference.resampled(physical, 512, 64)
        theirs = ((theirs - theirs.mean()) / theirs.std()).reshape(4, 1920)
        self.assertGreater(np.corrcoef(ours[:, 10].ravel(), theirs.ravel())[0, 1], 0.95)


class Eegpt(Case):
    def eeg(self, rate, seconds, names=None):
        physical = self.write({name: (wave(self.rng, rate, seconds), rate)
                               for name in names or EEG})
        return np.stack([x for x, _ in physical.values()])

    def options(self, *options, names=None):
        return self.prepare("names=" + ",".join(names or EEG), "samples=1024", *options)

    def test_pretrain(self):
        for rate in 100, 128, 160, 200, 250, 256, 500, 512:
            x = self.eeg(rate, 23)
            info, ours = self.options()
            self.assertEqual((info["prep"], info["epochs"], info["rate"]),
                             ("eegpt-pretrain", 5, 256))
            self.close(ours, reference.eegpt_pretrain(x, rate, 1024, 4), 1e-6, rate)
            info, ours = self.options("stride=2.5")
            self.assertEqual(info["starts"][:3], [0, 2.5, 5])
            self.close(ours, reference.eegpt_pretrain(x, rate, 1024, 2.5), 1e-6, rate)

    def test_sleep(self):
        for rate in 100, 256, 61:
            x = self.eeg(rate, 65)
            info, ours = self.options("prep=eegpt-sleep", "samples=7680")
            self.assertEqual(info["epochs"], 2)
            self.close(ours, reference.eegpt_sleep(x, rate, 7680, 30), 1e-5, rate)

    def test_p300(self):
        """MNE pads by less than the filter rings: at the two ends its own result is off."""
        x = self.eeg(256, 24)
        _, ours = self.options("prep=eegpt-p300", "reref=none")
        want = reference.eegpt_p300(x, 256).reshape(5, 6, 1024).transpose(1, 0, 2)
        self.close(ours[1:5], want[1:5], 1e-7)
        self.close(ours, want, 1e-4)
        _, ours = self.options("prep=eegpt-p300")
        self.close(ours[1:5], (want - want.mean(1, keepdims=True))[1:5], 1e-7)
        for rate in 2048, 500:
            x = reference.eegpt_p300(self.eeg(rate, 24), rate)
            _, ours = self.options("prep=eegpt-p300", "reref=none", "resample=nearest")
            want = reference.nearest(reference.windows(x, rate, 4, 4), 1024)
            self.close(ours[1:5], want[1:5], 1e-7)
            self.close(ours, want, 1e-4)

    def test_tueg(self):
        for rate in 200, 160, 500:
            x = reference.eegpt_tueg(self.eeg(rate, 120), rate)
            _, ours = self.options("prep=eegpt-tueg", "samples=800", "rate=200",
                                   "resample=nearest")
            want = reference.nearest(reference.windows(x, rate, 4, 4), 800)
            self.close(ours, want, 2e-5, rate)

    def test_polyphase(self):
        """Tones on the true time axis, at the rate that the model wants."""
        for rate, target in (500, 256), (200, 256), (512, 200), (250, 250), (256, 173.61):
            samples = 1024
            t = np.arange(rate * 40) / rate
            tones = [(f, 10 + f) for f in (1.0, 7.3, 31.0, 60.0) if f < 0.43 * min(rate, target)]
            self.write({"CZ": (sum(a * np.sin(2 * np.pi * f * t) for f, a in tones), rate)})
            info, ours = self.prepare("names=CZ", f"samples={samples}", f"rate={target}",
                                      "resample=polyphase", "reref=none", "unit=uV")
            for epoch in range(1, info["epochs"] - 1):
                at = info["starts"][epoch] + np.arange(samples) / target
                want = sum(a * np.sin(2 * np.pi * f * at) for f, a in tones)
                self.close(ours[epoch, 0], want, 0.1, f"{rate} to {target}")

    def test_units(self):
        x = self.eeg(256, 8)
        for unit, scale in ("V", 1e-6), ("mV", 1e-3), ("uV", 1.0):
            _, ours = self.options(f"unit={unit}", "reref=none")
            want = x.reshape(5, 2, 1024).transpose(1, 0, 2) * scale
            self.close(ours / scale, want / scale, 1e-4)
        _, ours = self.options("prep=none")
        self.close(ours, x.reshape(5, 2, 1024).transpose(1, 0, 2), 1e-4)
        self.write({"CZ": {"data": x[0] / 1e3, "rate": 256, "unit": "mV"}})
        _, ours = self.options("prep=none", names=["CZ"])
        self.close(ours[:, 0], x[0].reshape(2, 1024) / 1e3, 1e-4)  # in the file's unit

    def test_missing(self):
        """Zeros, and no part of the average."""
        x = self.eeg(256, 8, names=["FZ", "CZ"])
        info, ours = self.options(names=["FZ", "PZ", "CZ"])
        self.assertEqual([c["state"] for c in info["channel"]], ["found", "missing", "found"])
        self.assertFalse(ours[:, 1].any())
        self.close(ours[:, [0, 2]], reference.eegpt_pretrain(x, 256, 1024, 4), 1e-6)


class Refused(Case):
    def setUp(self):
        super().setUp()
        self.write({"ECG": (wave(self.rng, 100, 29), 100)})

    def test_too_short(self):
        self.fails(["night.edf", "at least one epoch of 30 s, found 29 s"], OSF)

    def test_none_does_not_resample(self):
        self.fails(["night.edf", "ECG", "100 Hz, expected 64"], OSF, "prep=none", "samples=64")

    def test_arguments(self):
        for words, options in [
                ("prepares OSF's leads", ["names=CZ", "prep=osf-train"]),
                ("makes 64 Hz, 100 were", [OSF, "prep=osf-train", "rate=100"]),
                ("no choice of unit", [OSF, "unit=mV"]),
                ("no choice of unit", [OSF, "prep=osf-clean", "reref=none"]),
                ("no choice of unit", [OSF, "prep=none", "resample=nearest"]),
                ("stride_seconds is -1", [OSF, "stride=-1"]),
                ("multiple of 0.125", [OSF, "stride=0.1"]),
                ("params.rate is -5", [OSF, "rate=-5"]),
                ("params.names is NULL", ["channels=3"]),
                ("prep is 8", [OSF, "prep=nonsense"])]:
            names = options[0].startswith("names")
            self.write({"CZ" if names else "ECG": (wave(self.rng, 100, 60), 100)})
            self.fails(words, *options, code=2)

    def test_to_look_at_only(self):
        for options in ["channels=0"], ["channels=0", "samples=64"]:
            done = self.probe(*options)
            self.assertEqual(done.returncode, 2)  # there is nothing to read
            self.assertIn("unknown", done.stderr)
            self.assertEqual(json.loads(done.stdout)["start"], "2001-02-03T22:30:00")


if __name__ == "__main__":
    unittest.main()
