# SPDX-License-Identifier: MIT
"""The EDF reader against EDFlib and edfio: generated files of every kind, sound and broken as real
ones are, sample by sample.

Usage: test_edf_oracle.py PROBE [NUMBER OF FILES]
"""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest
import warnings

import numpy as np

from make_edf import START, SIGNAL_FIELDS, number, write_edf

try:
    import edfio
except ImportError as missing:
    sys.exit(f"{missing}: this test needs edfio; scripts/test.sh installs it")

PROBE = sys.argv.pop(1)
FILES = int(sys.argv.pop(1)) if len(sys.argv) > 1 else 1000
LABELS = ["EEG C3-A2", "EEG(sec)", "EKG", "EOG(L)", "Thor", "SaO2", "C4-M1", " Chin1", "x" * 16, ""]
UNITS = ["uV", "mV", "V", "", "%", "cmH2O", "mmHg", "degreeC"]


class Reader:
    """The probe, which stays: one start for all files."""

    def __init__(self):
        self.process = subprocess.Popen([PROBE], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def read(self, path):
        """What it says of a file, with the samples of each signal as `physical`, `digital`."""
        self.process.stdin.write(f"{path}\n".encode())
        self.process.stdin.flush()
        report = json.loads(self.process.stdout.readline())
        for signal in report.get("signals", []):
            if not signal["annotations"]:
                size = 4 * report["records"] * signal["per_record"]
                signal["physical"] = np.frombuffer(self.process.stdout.read(size), "<f4")
                signal["digital"] = np.frombuffer(self.process.stdout.read(size), "<i4")
        return report

    def close(self):
        self.process.stdin.close()
        code = self.process.wait()
        self.process.stdout.close()
        return code


def random_range(rng, bdf):
    """Ends of a physical and of a digital range; now and then a narrow or an inverted one."""
    low, high = (-8388608, 8388607) if bdf else (-32768, 32767)
    if rng.random() < 0.5:
        low, high = sorted(int(v) for v in rng.choice(high, 2, replace=False) - high // 2)
    scale = 10.0 ** rng.integers(-3, 5)
    ends = [float(number(v, 8)) for v in rng.uniform(-1, 1, 2) * scale]
    if rng.random() < 0.5:
        ends = [-ends[1], ends[1]]
    if rng.random() < 0.25:  # a zero that is nearly one: rounding shows there
        step = [0.1, 0.05, 0.3, 0.7][rng.integers(4)]
        low, ends = int(rng.integers(-4096, 2)), [round(-2048 * step, 2), round(2047 * step, 2)]
        high = low + 4095
    if ends[0] == ends[1]:
        ends = [-1, 1]
    return {"physical_min": ends[0], "physical_max": ends[1], "digital_min": low,
            "digital_max": high}


def random_signal(rng, bdf, per_record, records, record_seconds):
    limits = random_range(rng, bdf)
    reach = 1.0 if rng.random() < 0.8 else 2.0  # beyond the digital range
    low, high = limits["digital_min"], limits["digital_max"]
    middle, half = (low + high) / 2, (high - low) / 2 * reach
    most = 8388607 if bdf else 32767
    digital = rng.uniform(middle - half, middle + half, per_record * records)
    digital = np.clip(np.rint(digital), -most - 1, most).astype(np.int64)
    if digital.size:
        digital[rng.integers(digital.size)] = low
        digital[rng.integers(digital.size)] = high
        gain = (limits["physical_max"] - limits["physical_min"]) / (high - low)
        zero = np.rint(high - limits["physical_max"] / gain)
        digital[rng.integers(digital.size)] = np.clip(zero, low, high)
    return {"label": LABELS[rng.integers(len(LABELS))], "unit": UNITS[rng.integers(len(UNITS))],
            "transducer": "AgAgCl"[:rng.integers(7)], "prefilter": "HP:0.1Hz LP:75Hz",
            "rate": per_record / record_seconds, "digital": digital, **limits}


def random_file(rng):
    """The arguments of write_edf for a sound file."""
    bdf = bool(rng.random() < 0.35)
    plus = [None, "C", "D"][rng.integers(3)]
    record_seconds = [1, 1, 0.5, 2, 30, 0.1, 10, 0.25, 0.0625, 60][rng.integers(10)]
    records = int(rng.integers(1, 12))
    signals = [random_signal(rng, bdf, int(rng.integers(1, 400)), records, record_seconds)
               for _ in range(rng.integers(1, 9))]
    start = START + np.timedelta64(int(rng.integers(-500_000_000, 2_600_000_000)), "s").item()
    made = {"signals": signals, "record_seconds": record_seconds, "bdf": bdf, "plus": plus,
            "start": start}
    if plus == "D":
        gaps = np.round(10 ** rng.uniform(-2, 3, records), 3) * (rng.random(records) < 0.3)
        made["onsets"] = np.arange(records) * record_seconds + np.cumsum(gaps)
    if plus:
        length = records * record_seconds
        made["annotations"] = [
            (round(float(rng.uniform(0, length)), 3), [None, 0.5, 30.0][rng.integers(3)],
             ["Arousal", "Schlaf \u00fc", "N2"][rng.integers(3)]) for _ in range(rng.integers(6))]
    return made


def set_signal(rng, made, **fields):
    """Changes the header of one signal; returns its number."""
    i = int(rng.integers(len(made["signals"])))
    made["signals"][i].setdefault("header", {}).update(fields)
    return i


# Each defect spoils a file and returns what must be in the log, and which signal gets a defect.

def wrong_count(rng, made):
    made["header"] = {"records": ["1000", "0", "77"][rng.integers(3)]}
    return "its header tells of", None


def unknown_count(rng, made):
    made["header"] = {"records": "-1"}
    return "does not tell the number of data records", None


def trailing_bytes(rng, made):
    made["tail"] = bytes(1)
    return "1 bytes behind the last whole data record", None


def cut_inside(rng, made):
    made["cut"] = -1
    return "behind the last whole data record", None


def flat_range(rng, made):
    return "its physical range is zero", set_signal(rng, made, physical_min="7", physical_max="7")


def no_range(rng, made):
    return "no numbers", set_signal(rng, made, physical_min="", physical_max="")


def flat_digital(rng, made):
    return "its digital range is zero", set_signal(rng, made, digital_min="5", digital_max="5")


def swapped_digital(rng, made):
    set_signal(rng, made, digital_min="100", digital_max="-101")
    return "is swapped", None


def comma(rng, made):
    set_signal(rng, made, physical_min="-1,25", physical_max="3,5")
    return "the comma is taken as the decimal point", None


def twin_labels(rng, made):
    made["signals"].append(dict(made["signals"][0], label="EEG"))
    made["signals"].append(dict(made["signals"][0], label=" EEG"))
    return "has the same label as", None


def odd_unit(rng, made):
    set_signal(rng, made, unit=b"\xb5V", transducer=b"\xfc\0")
    return "", None


def bad_date(rng, made):
    made["header"] = {"date": "99.99.99", "recording": "Startdate 99-XXX-9999"}
    return "its start can't be read", None


DEFECTS = [wrong_count, unknown_count, trailing_bytes, cut_inside, flat_range, no_range,
           flat_digital, swapped_digital, comma, twin_labels, odd_unit, bad_date]


class Oracle(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name) / "night.edf"
        self.reader = Reader()

    def tearDown(self):
        self.assertEqual(self.reader.close(), 0)

    def check_segments(self, made, report):
        """Segment by segment the onsets that were written; a start within the header's second is
        the file's own, as in EDFlib."""
        onsets = np.concatenate([[onset + k * made["record_seconds"] for k in range(count)]
                                 for _, count, onset in report["segments"]] or [[]])
        records = report["records"]
        expected = np.arange(records) * made["record_seconds"]
        if made["plus"] == "D":
            expected = made["onsets"][:records]
            expected = expected - (expected[0] if records and expected[0] < 1 else 0)
            gaps = np.diff(expected) > made["record_seconds"] + 1e-3
            self.assertEqual(len(report["segments"]), np.count_nonzero(gaps) + bool(records))
        np.testing.assert_allclose(onsets, expected, rtol=0, atol=1e-6)

    def check_written(self, made, written, report):
        """What was written is what is read."""
        records = report["records"]
        for i, digital in enumerate(written):
            signal = report["signals"][i]
            np.testing.assert_array_equal(signal["digital"],
                                          digital[:records * signal["per_record"]])
            self.assertAlmostEqual(signal["rate"], made["signals"][i]["rate"], places=9)
        self.check_segments(made, report)

    def check_edfio(self, report, bdf):
        """Stored samples to the bit; physical ones too, where edfio rounds the header's numbers to
        the same double, else to the last bit of their range."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = (edfio.read_bdf if bdf else edfio.read_edf)(self.path,
                                                                 header_encoding="latin-1")
            ours = [s for s in report["signals"] if not s["annotations"]]
            self.assertEqual(len(ours), len(theirs.signals))
            for mine, other in zip(ours, theirs.signals):
                self.assertEqual(mine["label"], other.label.strip())
                np.testing.assert_array_equal(mine["digital"], other.digital)
                if mine["defect"] or "," in str(other._physical_min):
                    continue
                want = other.data.astype(np.float32)
                if (mine["physical_min"], mine["physical_max"]) == other.physical_range:
                    np.testing.assert_array_equal(mine["physical"], want)
                else:
                    self.rounded += 1
                    reach = np.abs(other.physical_range).max() * 2.0 ** -22
                    np.testing.assert_allclose(mine["physical"], want, rtol=1e-6, atol=reach)

    def test_sound_files(self):
        rng = np.random.default_rng(20010203)
        refused = 0
        self.rounded = 0
        for i in range(FILES):
            made = random_file(rng)
            written = write_edf(self.path, **made)
            with self.subTest(file=i):
                report = self.reader.read(self.path)
                self.assertNotIn("error", report)
                self.assertEqual(report["edflib"], "refused" if made["plus"] == "D" else "same")
                self.assertEqual(report["start"], made["start"].isoformat())
                self.assertEqual(report["annotations"], len(made.get("annotations", ())))
                self.check_written(made, written, report)
                self.check_edfio(report, made["bdf"])
            refused += report["edflib"] != "same"
        print(f"{FILES} files, {FILES - refused} of them EDFlib's; headers that edfio rounds "
              f"otherwise: {self.rounded}", file=sys.stderr)

    def test_broken_files(self):
        rng = np.random.default_rng(7)
        self.rounded = 0
        for i in range(FILES // 2):
            defect = DEFECTS[i % len(DEFECTS)]
            made = random_file(rng)
            words, signal = defect(rng, made)
            written = write_edf(self.path, **made)
            with self.subTest(file=i, defect=defect.__name__):
                report = self.reader.read(self.path)
                self.assertNotIn("error", report)
                self.assertIn(words, report["log"])
                # What EDFlib takes, it takes in the same way.
                self.assertIn(report["edflib"], ("refused", "same"))
                for k, s in enumerate(report["signals"]):
                    self.assertEqual(s["defect"] != "", k == signal)
                self.check_written(made, written, report)
                self.check_edfio(report, made["bdf"])

    def test_every_truncation(self):
        """Each byte of the header and of two records."""
        rng = np.random.default_rng(9)
        for plus in (None, "D"):
            signals = [random_signal(rng, False, n, 3, 1) for n in (3, 5)]
            write_edf(self.path, signals, plus=plus)
            whole = self.path.read_bytes()
            header = 256 * (3 if plus is None else 4)
            record = (len(whole) - header) // 3
            for size in range(len(whole)):
                self.path.write_bytes(whole[:size])
                report = self.reader.read(self.path)
                if size < header:
                    self.assertIn("expected", report["error"])
                else:
                    self.assertEqual(report["records"], (size - header) // record)

    def check_one(self, *args, **kwargs):
        written = write_edf(self.path, *args, **kwargs)
        report = self.reader.read(self.path)
        self.assertEqual(report["edflib"], "same")
        for signal, digital in zip(report["signals"], written):
            np.testing.assert_array_equal(signal["digital"], digital)
        return report

    def test_limits(self):
        """One sample in all; 16 kHz; as many signals as EDFlib takes; 72 hours."""
        rng = np.random.default_rng(11)
        self.check_one([{"rate": 1, "digital": [-7]}])
        self.check_one([{"rate": 16000, "digital": rng.integers(-32768, 32767, 48000)}], bdf=True)
        report = self.check_one([{"label": f"S{i}", "rate": 2, "digital": [i, -i]}
                                 for i in range(640)])
        self.assertEqual(len(report["signals"]), 640)
        report = self.check_one([{"rate": 1, "digital": rng.integers(-9, 9, 72 * 3600)}])
        self.assertEqual(report["segments"], [[0, 72 * 3600, 0]])

    def test_fields(self):
        """A field of every signal in its own column: no two swap places."""
        names = [name for name, _ in SIGNAL_FIELDS[:3]]
        signals = [{"rate": 1, "digital": [i], **{n: f"{n[:3]}{i}" for n in names}}
                   for i in range(5)]
        report = self.check_one(signals)
        self.assertEqual([s["label"] for s in report["signals"]], [f"lab{i}" for i in range(5)])
        self.assertEqual([s["unit"] for s in report["signals"]], [f"uni{i}" for i in range(5)])


if __name__ == "__main__":
    unittest.main()
