# SPDX-License-Identifier: MIT
"""The rows of benchmarks, of one machine or several, as generate_figures.py draws them: which
series each belongs to, what a series looks like and is called, and which machine it is from."""
import json
import re
import sys

LINEAR_ALONE = "linear layers alone, bare OpenBLAS"
# What a series looks like wherever it is drawn: colour, hatch, marker, line. Any of them tells it.
# A second machine's is lighter, with more hatching and an empty marker.
LOOKS = {
    ("", "cpu", "f32"): ("#1b4f8a", "", "o", "-"),
    ("", "cpu", "bf16"): ("#79b4dd", "///", "s", "--"),
    ("", "vulkan", "f32"): ("#d9661f", "xx", "D", "-"),
    ("", "vulkan", "f16"): ("#f2b45c", "...", "d", "--"),
    ("", "vulkan", "bf16"): ("#ead9a0", "**", "*", ":"),
    ("pytorch", "cpu", "f32"): ("#a6a6a6", "", "^", "--"),
    ("pytorch", "cpu", "bf16"): ("#cfcfcf", "..", "2", "--"),
    ("pytorch-compiled", "cpu", "f32"): ("#d9d9d9", "\\\\\\", "v", "-."),
    ("pytorch-compiled", "cpu", "bf16"): ("#ededed", "\\\\", "1", "-."),
    ("onnxruntime", "cpu", "f32"): ("#5f9e6e", "---", "<", ":"),
    ("openvino", "cpu", "f32"): ("#a678b8", "+++", ">", (0, (6, 1, 1, 1, 1, 1))),
    ("openvino", "cpu", "bf16"): ("#d9c6e3", "++", "+", (0, (6, 1, 1, 1))),
    ("pytorch", "cuda", "f32"): ("#595959", "|||", "P", "--"),
    ("pytorch-graph", "cuda", "f32"): ("#8c8c8c", "--", "p", ":"),
    ("pytorch-compiled", "cuda", "f32"): ("#f5f5f5", "OO", "X", "-."),
    ("pytorch", "cuda", "f16"): ("#47707d", "||", "H", "--"),
    ("pytorch-graph", "cuda", "f16"): ("#79a8b5", "+", "h", ":"),
    ("pytorch-compiled", "cuda", "f16"): ("#d3e8ee", "oo", "8", "-."),
    ("pytorch", "cuda", "bf16"): ("#5d4f78", "|", "3", "--"),
    ("pytorch-graph", "cuda", "bf16"): ("#9384b0", "-", "4", ":"),
    ("pytorch-compiled", "cuda", "bf16"): ("#dcd6e8", "o", "x", "-."),
    ("osf-rs", "cpu", "f32"): ("#8f3b2e", "\\\\", "s", "-."),
    ("eegpt-rs", "cpu", "f32"): ("#a05a4e", "\\\\", "s", "-."),
    ("osf-rs", "vulkan", "f32"): ("#c0574a", "//", "<", "-."),
    (LINEAR_ALONE, "cpu", "f32"): ("#ffffff", "", "_", ":"),
}
PEERS = {"pytorch": "PyTorch", "pytorch-graph": "PyTorch, one graph",
         "pytorch-compiled": "PyTorch, compiled", "onnxruntime": "ONNX Runtime",
         "openvino": "OpenVINO", "osf-rs": "osf-rs", "eegpt-rs": "eegpt-rs",
         LINEAR_ALONE: LINEAR_ALONE}
PLACES = {"cpu": "CPU", "vulkan": "Vulkan", "cuda": "CUDA"}
QUIET = 0.25  # a load average, for each core, up to which numbers are worth something
AGAIN = ["", "--", "||", "++"]  # hatching on top, by machine


class Row:
    """One measured row: its times in ms, and what it belongs to. Of our own on a GPU that is the
    GPU's time with the signal and the results in its memory, as its peers are timed; `runs` are
    whole runs, from host memory to host memory."""

    def __init__(self, fields, machine):
        self.machine = machine  # index in Results.machines
        self.model, self.batch = fields["model"], fields["batch"]
        self.channels = fields.get("channels")
        self.runs = fields.get("times_ms") or [fields["min_ms"], fields["median_ms"],
                                               fields["p99_ms"]]
        gpu = fields.get("gpu_ms")
        self.times, self.median = ([gpu], gpu) if gpu else (self.runs, fields["median_ms"])
        self.load, self.memory = fields.get("load_ms"), fields.get("peak_rss_mb")
        self.peer, self.backend = fields.get("peer"), fields["backend"]
        self.precision = fields["precision"]
        self.isa, self.threads = fields.get("isa"), fields.get("threads")

    @property
    def series(self):
        return (self.peer or "", self.backend, self.precision, self.machine)

    @property
    def key(self):
        return (self.series, self.model, self.batch, self.channels)

    def spread(self, scale=1.0):
        """Of the whiskers, below and above the median."""
        return ((self.median - min(self.times)) * scale, (max(self.times) - self.median) * scale)


def linear_alone(fields, machine):
    """The row of bare BLAS that was measured in turn with this one; only its median is known."""
    blas = fields["blas_ms"]
    return Row({**fields, "peer": LINEAR_ALONE, "median_ms": blas, "times_ms": [blas]}, machine)


def mixed(colour, share):
    """With so much of white."""
    parts = (int(colour[i:i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(part + (255 - part) * share):02x}" for part in parts)


def same_machine(one, other):
    """Were both run by the same code on the same day? One may not have looked at the GPU."""
    keys = ("cpu", "cores", "system", "version", "commit", "modified")
    gpus = {machine.get("gpu") for machine in (one, other)} - {None}
    return (len(gpus) < 2 and one["time"][:10] == other["time"][:10]
            and all(one.get(key) == other.get(key) for key in keys))


class Results:
    """The rows of all machines, and what their series look like and are called."""

    def __init__(self, folders):
        self.machines, measured, alone = [], {}, {}
        for folder in folders:
            try:
                machine = json.loads((folder / "machine.json").read_text(encoding="utf-8"))
                fields = json.loads((folder / "results.json").read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                sys.exit(f"{folder}: not the results of a benchmark: {error}")
            i = self.add_machine(machine)
            for f in fields:  # of a row that was measured again the last counts
                row = Row(f, i)
                measured[row.key] = row
                if f.get("blas_ms") and not row.peer:
                    alone[row.key] = linear_alone(f, i)
        self.rows, self.blas = list(measured.values()), list(alone.values())
        self.osf = self.main_osf()
        self.looks = self.all_looks()

    def add_machine(self, machine):
        """Its index; several folders of one machine, each with a part of the rows, are one."""
        for i, known in enumerate(self.machines):
            if same_machine(known, machine):
                if not known.get("gpu"):
                    known.update(gpu=machine.get("gpu"), gpu_driver=machine.get("gpu_driver"))
                return i
        self.machines.append(machine)
        return len(self.machines) - 1

    def all_looks(self):
        """{series: its look}; ours first, then peers by name, each by machine."""
        there, looks = {row.series for row in self.rows + self.blas}, {}
        for unknown in sorted({series[:3] for series in there} - set(LOOKS)):
            sys.exit(f"rows by {', '.join(filter(None, unknown))}: bench_rows.py knows no look "
                     "of theirs")
        for kind, (colour, hatch, marker, line) in LOOKS.items():
            machines = [i for i in range(len(self.machines)) if (*kind, i) in there]
            for again, i in enumerate(machines):
                own = mixed(colour, min(0.45 * again, 0.8))
                looks[(*kind, i)] = (own, hatch + AGAIN[again % len(AGAIN)], marker, line,
                                   "#ffffff" if again else own)
        return looks

    def label(self, series):
        peer, backend, precision, machine = series
        name = PEERS.get(peer, peer) if peer else "psgvit"
        if peer != LINEAR_ALONE:
            name += f", {PLACES[backend]}" + ("" if precision == "f32" else f", {precision}")
        return f"{name} [{letter(machine)}]" if len(self.machines) > 1 else name

    def place(self, i):
        """A machine as a caption names it: by what its own rows were computed by."""
        m = self.machines[i]
        own = [r for r in self.rows if r.machine == i and r.backend == "cpu" and not r.peer]
        isa = own[0].isa if own and own[0].isa else m["isa"]
        threads = own[0].threads if own and own[0].threads else m["threads"]
        text = f"{m['cpu']} ({isa}, {threads} threads)"
        if m.get("gpu"):
            text += f"; {m['gpu']} (driver {m['gpu_driver']})"
        if m.get("load_average", 0) > QUIET * m.get("cores", 1):
            text += f", which was not quiet (load average {m['load_average']:.1f})"
        code = m["commit"] + (" with changes" if m["modified"] else "")
        return (f"{text}. libpsgvit {m['version']}{', commit ' + code if m['commit'] else ''}; "
                f"{m['system']}, {m['compiler'] or 'compiler unknown'}; {m['time'][:10]}.")

    def main_osf(self):
        """The OSF that was measured at the most batches."""
        batches = {}
        for row in self.rows:
            if row.model.startswith("osf-"):
                batches.setdefault(row.model, set()).add(row.batch)
        return max(batches, key=lambda m: len(batches[m])) if batches else None

    def pick(self, keep, blas=False):
        """{series: [row...]} of the rows that `keep` wants, in the order of all_looks."""
        found = {}
        for row in self.rows + (self.blas if blas else []):
            if keep(row):
                found.setdefault(row.series, []).append(row)
        return {series: found[series] for series in self.looks if series in found}

    def osf_rows(self, keep=lambda r: True, blas=False):
        return self.pick(lambda r: r.model == self.osf and r.channels == 12 and keep(r), blas)


def by_place(rows):
    """{"CPU": rows, "GPU": rows}, those that there are: one axis would hide the faster ones."""
    places = {}
    for series, of_series in rows.items():
        places.setdefault("CPU" if series[1] == "cpu" else "GPU", {})[series] = of_series
    return places


def letter(machine):
    return chr(ord("A") + machine)


def eegpt_size(model):
    """(channels, samples) of "eegpt:22x1000[:8]"."""
    found = re.match(r"eegpt:(\d+)x(\d+)", model)
    return (int(found[1]), int(found[2])) if found else None


def row_order(row):
    """EEGPT by channels, then by samples; OSF by batch."""
    channels, samples = eegpt_size(row.model) or (0, 0)
    return (samples != 1000, channels, samples, row.batch)


def sizes_label(rows):
    """Of an axis with EEGPT's configurations; psgvit-bench's depth is 2 where none is named."""
    models = [r.model.split(":") for of_series in rows.values() for r in of_series]
    depths = sorted({m[2] if len(m) > 2 else "2" for m in models})
    return f"channels x samples (256 Hz), depth {', '.join(depths)}"


def eegpt_rows(results, keep=lambda c, t: True):
    def wanted(row):
        size = eegpt_size(row.model)
        return size and row.batch == 1 and keep(*size)
    return results.pick(wanted)
