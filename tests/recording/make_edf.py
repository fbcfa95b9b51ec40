# SPDX-License-Identifier: MIT
"""Writes EDF, EDF+C, EDF+D, BDF and BDF+ files, sound ones and such that are broken as real ones
are. NumPy alone. For tests: import it, with tests/recording in sys.path.

    write_edf("night.edf", [dict(label="EEG C3-A2", unit="uV", rate=256, data=x),
                            dict(label="EKG", unit="mV", rate=512, data=y)])
"""
import datetime

import numpy as np

START = datetime.datetime(2001, 2, 3, 22, 30, 0)
MONTHS = "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split()
FILE_FIELDS = (("version", 8), ("patient", 80), ("recording", 80), ("date", 8), ("time", 8),
               ("header_bytes", 8), ("reserved", 44), ("records", 8), ("record_seconds", 8),
               ("signals", 4))
SIGNAL_FIELDS = (("label", 16), ("transducer", 80), ("unit", 8), ("physical_min", 8),
                 ("physical_max", 8), ("digital_min", 8), ("digital_max", 8), ("prefilter", 80),
                 ("per_record", 8), ("reserved", 32))


def number(value, width=8):
    """The most exact text of a number that fits the field."""
    if float(value) == int(value) and len(str(int(value))) <= width:
        return str(int(value))
    for digits in range(17, 0, -1):
        text = f"{value:.{digits}g}"
        if len(text) <= width:
            return text
    raise ValueError(f"{value} does not fit {width} characters")


def field(value, width):
    """A field of the header: bytes stand as they are, text is padded with blanks."""
    raw = value if isinstance(value, bytes) else str(value).encode("latin-1")
    if len(raw) > width:
        raise ValueError(f"{value!r} has more than {width} characters")
    return raw.ljust(width)


def samples(signal, bdf):
    """The header's numbers of a signal and its digital samples."""
    low, high = (-8388608, 8388607) if bdf else (-32768, 32767)
    low = signal.get("digital_min", low)
    high = signal.get("digital_max", high)
    if "digital" in signal:
        digital = np.asarray(signal["digital"])
        least, most = signal.get("physical_min", low), signal.get("physical_max", high)
        return digital.astype(np.int32), (number(least), number(most), low, high)
    data = np.asarray(signal["data"], dtype=np.float64)
    peak = np.ceil(np.abs(data).max()) if data.size else 1.0
    least = number(signal.get("physical_min", -max(peak, 1.0)))
    most = number(signal.get("physical_max", max(peak, 1.0)))
    gain = (float(most) - float(least)) / (high - low)
    digital = np.rint((data - float(most)) / gain + high)
    return np.clip(digital, low, high).astype(np.int32), (least, most, low, high)


def seconds(value, sign="+"):
    """Of an annotation: a decimal fraction, never an exponent."""
    text = f"{abs(value):.9f}".rstrip("0").rstrip(".")
    return ("-" if value < 0 else sign) + text


def annotation_lists(onsets, annotations):
    """The bytes of the annotation signal, a row for each record."""
    rows = [bytearray(seconds(t).encode() + b"\x14\x14\0") for t in onsets]
    for onset, duration, text in annotations:
        later = [i for i, t in enumerate(onsets) if t <= onset]
        row = rows[later[-1] if later else 0]
        length = b"" if duration is None else b"\x15" + seconds(duration, "").encode()
        row += seconds(onset).encode() + length + b"\x14" + text.encode() + b"\x14\0"
    return rows


def to_bytes(digital, bdf):
    """[records, samples] as [records, bytes]."""
    if not bdf:
        return np.ascontiguousarray(digital.astype("<i2")).view(np.uint8)
    wide = np.ascontiguousarray(digital.astype("<i4")).view(np.uint8)
    return wide.reshape(len(digital), -1, 4)[:, :, :3].reshape(len(digital), -1)


def header_of(values, columns, bdf, plus, start, given):
    """The file's part and the signals' part. `given` replaces fields of the file's part."""
    kind = "BDF" if bdf else "EDF"
    date = f"{start.day:02d}-{MONTHS[start.month - 1]}-{start.year}"
    fields = {"version": b"\xffBIOSEMI" if bdf else "0",
              "patient": "X X X X" if plus else "",
              "recording": f"Startdate {date} X X X" if plus else "",
              "date": start.strftime("%d.%m.%y"), "time": start.strftime("%H.%M.%S"),
              "header_bytes": 256 * (len(columns) + 1),
              "reserved": f"{kind}+{plus}" if plus else "24BIT" if bdf else "",
              "signals": len(columns), **values, **given}
    head = b"".join(field(fields[name], width) for name, width in FILE_FIELDS)
    return head + b"".join(field(column[name], width)
                           for name, width in SIGNAL_FIELDS for column in columns)


def write_edf(path, signals, record_seconds=1, start=START, plus=None, onsets=None, bdf=False,
              annotations=(), header=None, tail=b"", cut=None):
    """Writes a file and returns the digital samples of each signal, as they stand in it.

    signals: a list of dicts. label, unit, rate (Hz); data (physical) or digital (integers);
        optional physical_min, physical_max (else what holds the data), digital_min, digital_max
        (else all bits), transducer, prefilter, and header={field: raw text}, which replaces fields
        of SIGNAL_FIELDS after all else was computed: a broken file.
    plus: None, "C" or "D": with an annotation signal behind the others. annotations: tuples of
        onset, duration or None, and text. onsets: seconds at which the records begin ("D").
    header: {field: raw text}, replaces fields of FILE_FIELDS. tail: bytes behind the last record.
    cut: keep that many bytes of the file alone; negative: leave out as many.

    A signal that ends inside the last record is filled up with the value nearest to zero.
    """
    kind = "BDF" if bdf else "EDF"
    made, columns, records = [], [], len(onsets) if onsets is not None else 0
    for signal in signals:
        digital, (least, most, low, high) = samples(signal, bdf)
        per_record = round(signal["rate"] * record_seconds)
        if abs(per_record - signal["rate"] * record_seconds) > 1e-6:
            raise ValueError(f"{signal['rate']} Hz gives no whole number in {record_seconds} s")
        if per_record:
            records = max(records, -(-len(digital) // per_record))
        made.append((digital, per_record, min(max(0, low), high)))
        columns.append({"label": signal.get("label", ""), "unit": signal.get("unit", "uV"),
                        "transducer": signal.get("transducer", ""),
                        "prefilter": signal.get("prefilter", ""), "physical_min": least,
                        "physical_max": most, "digital_min": low, "digital_max": high,
                        "per_record": per_record, "reserved": "", **signal.get("header", {})})
    written, blocks = [], []
    for digital, per_record, filler in made:
        whole = np.full(records * per_record, filler, dtype=np.int32)
        whole[:len(digital)] = digital[:len(whole)]
        written.append(whole)
        blocks.append(to_bytes(whole.reshape(records, per_record), bdf))
    if plus:
        times = np.arange(records) * float(record_seconds) if onsets is None else onsets
        rows = annotation_lists(list(times), annotations)
        sample = 3 if bdf else 2
        width = -(-max([len(row) for row in rows] + [1]) // sample)
        columns.append({"label": f"{kind} Annotations", "transducer": "", "unit": "",
                        "physical_min": -1, "physical_max": 1,
                        "digital_min": -8388608 if bdf else -32768,
                        "digital_max": 8388607 if bdf else 32767, "prefilter": "",
                        "per_record": width, "reserved": ""})
        block = b"".join(bytes(row).ljust(width * sample, b"\0") for row in rows)
        blocks.append(np.frombuffer(block, np.uint8).reshape(records, width * sample))
    head = header_of({"records": records, "record_seconds": number(record_seconds)}, columns, bdf,
                     plus, start, header or {})
    body = np.concatenate(blocks, axis=1).tobytes() if blocks else b""
    whole = head + body + tail
    with open(path, "wb") as f:
        f.write(whole[:cut] if cut is not None else whole)
    return written
