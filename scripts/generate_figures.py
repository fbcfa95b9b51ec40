#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Draws the charts of one benchmark again, or of several machines' together.

    scripts/generate_figures.py RESULTS... [--out FOLDER] [--format png,svg]

RESULTS is a folder that bench.sh made (machine.json, results.json), here or elsewhere; each chart
becomes a PNG and an SVG in the first one, or in FOLDER. With several machines, a series bears the
letter of its own, which the caption names; folders of one machine and day are one. A chart whose
rows were not measured is left out, and said so. Bars and points are medians, whiskers go from the
fastest to the slowest run. Legible in grey print: series differ by hatch, marker and line. Needs
matplotlib alone.
"""
import argparse
import io
import itertools
import pathlib
import re
import statistics
import sys
import textwrap

try:
    import matplotlib
except ImportError:
    sys.exit("generate_figures.py needs matplotlib: pip install matplotlib")
matplotlib.use("Agg")
import matplotlib.pyplot as plt
from PIL import Image  # comes with matplotlib
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from bench_rows import (Results, by_place, eegpt_rows, eegpt_size, letter, row_order,
                        sizes_label)

WIDTH = 9.0  # of a chart, in inches
DPI = 125
COLOURS = 64  # of a PNG's palette: a third of the bytes, and nothing to see
LOG_FROM = 12  # a ratio of largest to smallest that a linear axis no longer shows


# ---- drawing ------------------------------------------------------------------------------------

def number(value):
    """Three digits, without an exponent."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def plain(value, _=None):
    return f"{value:g}" if 1e-4 < abs(value) < 1e7 or value == 0 else f"{value:.0e}"


def log_axis(axis, ratio):
    """Ticks of an axis whose ends have that ratio."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if ratio < 300 else (1,), numticks=30))
    axis.set_major_formatter(FuncFormatter(plain))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def scale_values(ax, values, which="y"):
    """Linear from 0, or logarithmic where that would hide the small ones. Says which it was."""
    low, high = min(values), max(values)
    log = high > LOG_FROM * low > 0
    axis = ax.yaxis if which == "y" else ax.xaxis
    limits = ax.set_ylim if which == "y" else ax.set_xlim
    if log:
        (ax.set_yscale if which == "y" else ax.set_xscale)("log")
        limits(low / 1.6, high * 2.0)
        log_axis(axis, high / low)
    else:
        limits(0, high * 1.15)
    return log


def line_colour(colour):
    """Light ones are for areas; a line has to be seen."""
    red, green, blue = (int(colour[i:i + 2], 16) for i in (1, 3, 5))
    return colour if 0.3 * red + 0.59 * green + 0.11 * blue < 190 else "#777777"


def whisker(ax, at, median, spread, name="yerr"):
    """From the fastest to the slowest run; none where one number is all there is."""
    if any(spread):
        x, y = (at, median) if name == "yerr" else (median, at)
        ax.errorbar(x, y, **{name: [[spread[0]], [spread[1]]]}, fmt="none", ecolor="black",
                    elinewidth=0.9, capsize=2.5)


class Sheet:
    """One chart: title and legend above the axes, the caption with machine and date below."""

    def __init__(self, results, title, columns=1, height=4.2, rows=1):
        self.results, self.title, self.seen = results, title, {}
        self.columns = columns
        self.figure, axes = plt.subplots(rows, columns, figsize=(WIDTH, height * rows),
                                         squeeze=False, layout="constrained")
        self.axes = list(axes.flat)

    @classmethod
    def of_places(cls, results, title, places, height=4.2):
        """CPU above GPU; one alone is as tall as any chart."""
        sheet = cls(results, title, 1, height if len(places) == 1 else 0.8 * height, len(places))
        sheet.name_places(sheet.axes, places)
        return sheet

    @staticmethod
    def name_places(axes, places):
        for ax, place in zip(axes, places if len(places) > 1 else ()):
            ax.set_title(place, fontsize=9, loc="left")

    def bars(self, ax, groups, series, value):
        """Bars of `series` beside each other in every group. value(series, group) is a median with
        its spread, or None."""
        wide = min(0.84 / len(series), 0.6)
        room = wide * 0.9 * WIDTH / self.columns / len(groups)  # inches that a bar is wide
        values = []
        for i, key in enumerate(series):
            colour, hatch, *_ = self.results.looks[key]
            got = [(g, value(key, name)) for g, name in enumerate(groups)]
            got = [(g + (i - (len(series) - 1) / 2) * wide, *v) for g, v in got if v]
            self.seen[key] = ax.bar([g for g, _, _ in got], [m for _, m, _ in got], wide,
                                    color=colour, hatch=hatch, edgecolor="black", linewidth=0.6)
            for g, median, spread in got:
                whisker(ax, g, median, spread)
                if room > 0.2:
                    ax.annotate(number(median), (g, median + spread[1]), (0, 3), ha="center",
                                textcoords="offset points", fontsize=7,
                                rotation=90 if room < 0.35 else 0)
                values += [median - spread[0], median + spread[1]]
        ax.set_xticks(range(len(groups)), groups)
        scale_values(ax, values)
        ax.grid(axis="y", linewidth=0.4, color="#bbbbbb")
        ax.set_axisbelow(True)

    def named_bars(self, ax, rows, keep):
        """A bar to the right for each series, whose name stands in front."""
        values = []
        for i, (key, of_series) in enumerate(rows.items()):
            colour, hatch, *_ = self.results.looks[key]
            for row in filter(keep, of_series):
                spread = row.spread()
                ax.barh(i, row.median, 0.7, color=colour, hatch=hatch, edgecolor="black",
                        linewidth=0.6)
                whisker(ax, i, row.median, spread, "xerr")
                ax.annotate(number(row.median), (row.median + spread[1], i), (4, 0), va="center",
                            textcoords="offset points", fontsize=8)
                values += [row.median - spread[0], row.median + spread[1]]
        ax.set_yticks(range(len(rows)), [self.results.label(s) for s in rows])
        ax.set_ylim(len(rows) - 0.5, -0.5)
        scale_values(ax, values, "x")
        ax.grid(axis="x", linewidth=0.4, color="#bbbbbb")
        ax.set_axisbelow(True)

    def lines(self, ax, rows, x, scale=lambda row: 1.0):
        """One line a series through its medians, with whiskers. x(row) is where a row lies."""
        values = []
        for key, of_series in rows.items():
            colour, _, marker, style, filled = self.results.looks[key]
            of_series = sorted(of_series, key=x)
            medians = [r.median * scale(r) for r in of_series]
            spreads = [r.spread(scale(r)) for r in of_series]
            self.seen[key] = ax.errorbar(
                [x(r) for r in of_series], medians, yerr=list(zip(*spreads)),
                color=line_colour(colour), mfc=filled, marker=marker, linestyle=style,
                markeredgecolor="black", markeredgewidth=0.7, markersize=6,
                linewidth=1.5, ecolor="black", elinewidth=0.8, capsize=2)
            values += [m - s[0] for m, s in zip(medians, spreads)]
            values += [m + s[1] for m, s in zip(medians, spreads)]
        ax.grid(linewidth=0.4, color="#bbbbbb")
        scale_values(ax, values)

    def caption(self, note):
        places = [self.results.place(i) for i in range(len(self.results.machines))]
        if len(places) == 1:
            return textwrap.fill(f"{note} Synthetic weights. {places[0]}", 170)
        lines = [f"{letter(i)}: {place}" for i, place in enumerate(places)]
        lines.insert(0, f"{note} Synthetic weights.")
        return "\n".join(textwrap.fill(line, 170) for line in lines)

    def save(self, out, name, note="Median; whiskers: fastest and slowest run."):
        if any(place != "cpu" for _, place, *_ in self.seen):
            note += " On a GPU: its own time, signal and results in its memory (osf-rs: all)."
        if any(peer == "eegpt-rs" for peer, *_ in self.seen):
            note += " eegpt-rs leaves out a last, partial patch."
        if self.seen:
            self.figure.legend(self.seen.values(), [self.results.label(s) for s in self.seen],
                               loc="outside upper left", ncols=4 if len(self.seen) < 9 else 3,
                               frameon=False, handlelength=3,
                               fontsize=8, title=self.title, title_fontsize=12, alignment="left")
        else:
            self.figure.suptitle(self.title, fontsize=12, x=0.01, ha="left")
        self.figure.supxlabel(self.caption(note), fontsize=6.5, x=0.01, ha="left",
                              color="#333333")
        for kind in out.kinds:
            file = out.folder / f"{name}.{kind}"
            if kind == "svg":
                self.figure.savefig(file, metadata={"Date": None})
            else:
                drawn = io.BytesIO()
                self.figure.savefig(drawn, format="png", dpi=DPI)
                picture = Image.open(drawn).convert("RGB")
                smaller = picture.quantize(COLOURS, Image.Quantize.MAXCOVERAGE,
                                           dither=Image.Dither.NONE)
                smaller.save(file, optimize=True)
            print(file)
        plt.close(self.figure)


def median_of(rows, keep):
    """value(series, group) for Sheet.bars: of the one row of the series that fits the group."""
    def value(series, group):
        for row in rows[series]:
            if keep(row, group):
                return row.median, row.spread()
        return None
    return value


def in_places(rows):
    """What the CPU computed first."""
    return {series: of_series for place in by_place(rows).values()
            for series, of_series in place.items()}


# ---- the charts ---------------------------------------------------------------------------------

def osf_latency(results, out):
    rows = in_places(results.osf_rows(blas=True))
    batches = sorted({r.batch for of_series in rows.values() for r in of_series if r.batch <= 16})
    if not batches:
        return False
    chosen = [batches[0], batches[-1]] if len(batches) > 1 else batches
    sheet = Sheet(results, f"{results.osf}: latency by backend", len(chosen),
                  max(2.6, 2.0 + 0.28 * len(rows)))
    for ax, batch in zip(sheet.axes, chosen):
        sheet.named_bars(ax, rows, lambda row, batch=batch: row.batch == batch)
        if ax is not sheet.axes[0]:
            ax.set_yticklabels([])
        ax.set_xlabel(f"latency of {batch} epoch{'s' if batch > 1 else ''} (ms)")
    sheet.save(out, "osf_latency")
    return True


def osf_batch_scaling(results, out):
    rows = results.osf_rows(blas=True)
    batches = sorted({r.batch for of_series in rows.values() for r in of_series})
    if len(batches) < 2:
        return False
    places = by_place(rows)
    sheet = Sheet(results, f"{results.osf}: batch scaling", 2, 4.2 if len(places) == 1 else 3.4,
                  len(places))
    kinds = ((lambda r: 1.0, "latency of the batch (ms)"),
             (lambda r: 1.0 / r.batch, "time per epoch (ms)"))
    for ax, (of_place, (scale, what)) in zip(sheet.axes, itertools.product(places.values(), kinds)):
        sheet.lines(ax, of_place, lambda r: r.batch, scale)
        ax.set_xscale("log", base=2)
        ax.set_xticks(batches, [str(b) for b in batches])
        ax.xaxis.set_minor_locator(NullLocator())
        ax.set_xlabel("epochs in a batch (30 s each)")
        ax.set_ylabel(what)
    sheet.name_places(sheet.axes[::2], places)
    sheet.save(out, "osf_batch_scaling")
    return True


def box(ax, values, at, tall=0.22):
    """Quartiles, the median, and whiskers to the ends."""
    low, middle, high = (statistics.quantiles(values, method="inclusive") if len(values) > 1
                         else values * 3)
    ax.barh(at, high - low, tall, low, color="white", edgecolor="black", linewidth=0.9)
    ax.plot([min(values), low], [at, at], [high, max(values)], [at, at], color="black",
            linewidth=0.9)
    ax.plot([middle, middle], [at - tall / 2, at + tall / 2], color="black", linewidth=2.0)


def latency_distribution(results, out):
    """Every run around its series' median: in percent, so that a GPU fits beside a CPU. Of peers
    what computes in f32: there are many."""
    panels = [results.osf_rows(lambda r: r.batch == 1),
              eegpt_rows(results, lambda c, t: (c, t) == (22, 1000))]
    panels = [in_places({series: of_series for series, of_series in rows.items()
                         if not series[0] or series[2] == "f32"}) for rows in panels]
    names = [f"{results.osf}, B = 1", "EEGPT, 22 channels x 1000 samples, B = 1"]
    panels = [(name, rows) for name, rows in zip(names, panels) if rows]
    if not panels:
        return False
    most = max(len(rows) for _, rows in panels)
    sheet = Sheet(results, "Distribution of latency", len(panels), 2.4 + 0.5 * most)
    for ax, (name, rows) in zip(sheet.axes, panels):
        for i, (key, of_series) in enumerate(rows.items()):
            row = of_series[0]
            percent = [100.0 * t / statistics.median(row.runs) for t in row.runs]
            colour, _, marker, _, filled = results.looks[key]
            # Runs in their order from top to bottom, beside a box of the quartiles.
            step = 0.5 / max(len(percent) - 1, 1)
            ax.scatter(percent, [i - 0.05 + step * k for k in range(len(percent))], s=9,
                       color=filled, marker=marker, edgecolor="black", linewidth=0.3)
            box(ax, percent, i - 0.25)
        ax.set_yticks(range(len(rows)), [
            f"{results.label(k)}\nmedian {number(statistics.median(r[0].runs))} ms\n"
            f"{len(r[0].runs)} runs"
            for k, r in rows.items()], fontsize=7)
        ax.set_ylim(len(rows) - 0.4, -0.5)
        ax.set_title(name, fontsize=9)
        ax.set_xlabel("latency (% of the median)")
        ax.grid(axis="x", linewidth=0.4, color="#bbbbbb")
    sheet.save(out, "latency_distribution",
               "Box: quartiles, whiskers fastest and slowest run; below it every run, in order, "
               "from host memory to host memory (PyTorch by CUDA: in the GPU's).")
    return True


def osf_channel_scaling(results, out):
    rows = results.pick(lambda r: r.model == results.osf and r.batch == 1 and not r.peer)
    channels = sorted({r.channels for of_series in rows.values() for r in of_series})
    if len(channels) < 2:
        return False
    sheet = Sheet(results, f"{results.osf}: latency by channels that are there", height=3.8)
    ax = sheet.axes[0]
    sheet.lines(ax, rows, lambda r: r.channels)
    ax.set_xticks(channels)
    ax.set_xlabel("channels with a signal, of 12 (the others are zeros)")
    ax.set_ylabel("latency of one epoch (ms)")
    sheet.save(out, "osf_channel_scaling")
    return True


def load_time(results, out):
    rows = results.pick(lambda r: not r.peer and r.batch == 1 and r.load and
                        (r.model.startswith("osf-") and r.channels == 12
                         or eegpt_size(r.model) == (22, 1000)))
    if not rows:
        return False
    models = in_order(rows)
    sheet = Sheet(results, "Loading a model, and memory", 2)
    for ax, of_row, what in ((sheet.axes[0], lambda r: r.load, "time to open the model (ms)"),
                             (sheet.axes[1], lambda r: r.memory, "peak memory (10⁶ bytes)")):
        def value(series, name, of_row=of_row):
            return next(((of_row(r), (0, 0)) for r in rows[series] if short(r.model) == name), None)
        sheet.bars(ax, models, list(rows), value)
        ax.set_ylabel(what)
    sheet.save(out, "load_time", "Median of 3 processes that open the model from the page cache "
               "and run one epoch; memory: the largest peak of the process.")
    return True


def osf_variants(results, out):
    rows = results.pick(lambda r: r.model.startswith("osf-") and r.channels == 12 and r.batch == 1)
    models = in_order(rows)
    if len(models) < 2:
        return False
    places = by_place(rows)
    sheet = Sheet.of_places(results, "OSF: latency by variant", places)
    for ax, of_place in zip(sheet.axes, places.values()):
        sheet.bars(ax, models, list(of_place),
                   median_of(rows, lambda row, name: short(row.model) == name))
        ax.set_ylabel("latency of one epoch (ms)")
    sheet.axes[-1].set_xlabel("variant")
    sheet.save(out, "osf_variants")
    return True


def short(model):
    """As a tick says it: "OSF" or "EEGPT", and below it which."""
    family, which = re.split("[-:]", model, maxsplit=1)
    return f"{family.upper()}\n{which}"


def in_order(rows):
    """Models of OSF from the smallest on, then EEGPT."""
    sizes = ["nano", "tiny", "small", "middle", "base", "large", "xl"]
    models = {r.model for of_series in rows.values() for r in of_series}
    return [short(m) for m in sorted(models, key=lambda m: (
        m.startswith("eegpt"), sizes.index(m[4:]) if m.startswith("osf-") else 0, m))]


def eegpt_latency(results, out):
    rows = eegpt_rows(results)
    sizes = {"%d x %d" % eegpt_size(r.model): row_order(r) for of in rows.values() for r in of}
    if not sizes:
        return False
    places = by_place(rows)
    sheet = Sheet.of_places(results, "EEGPT: latency by configuration, B = 1", places, 4.6)
    for ax, of_place in zip(sheet.axes, places.values()):
        sheet.bars(ax, sorted(sizes, key=sizes.get), list(of_place),
                   median_of(rows, lambda row, name: "%d x %d" % eegpt_size(row.model) == name))
        ax.set_ylabel("latency of one window (ms)")
    sheet.axes[-1].set_xlabel(sizes_label(rows))
    sheet.save(out, "eegpt_latency")
    return True


def eegpt_scaling(results, out, name, title, keep, index, what):
    rows = eegpt_rows(results, keep)
    at = sorted({eegpt_size(r.model)[index] for of_series in rows.values() for r in of_series})
    if len(at) < 2:
        return False
    places = by_place(rows)
    sheet = Sheet.of_places(results, title, places)
    for ax, of_place in zip(sheet.axes, places.values()):
        sheet.lines(ax, of_place, lambda r: eegpt_size(r.model)[index])
        ax.set_xlim(0, at[-1] * 1.05)
        ax.set_xticks(at)
        ax.set_ylabel("latency of one window (ms)")
    sheet.axes[-1].set_xlabel(what)
    sheet.save(out, name)
    return True


def eegpt_channel_scaling(results, out):
    return eegpt_scaling(results, out, "eegpt_channel_scaling", "EEGPT: channel scaling, B = 1",
                         lambda c, t: t == 1000, 0, "channels (1000 samples each)")


def eegpt_time_scaling(results, out):
    return eegpt_scaling(results, out, "eegpt_time_scaling", "EEGPT: time scaling, B = 1",
                         lambda c, t: c == 22, 1, "samples (22 channels at 256 Hz)")


def speed_up(results, out):
    """Peers' medians by ours: each against our row of its precision on the same machine."""
    ours = {(r.model, r.batch, r.backend, r.precision, r.machine): r.median
            for r in results.rows
            if not r.peer and (r.channels == 12 or not r.model.startswith("osf-"))}

    def own(row):
        place = "cpu" if row.backend == "cpu" else "vulkan"
        return ours.get((row.model, row.batch, place, row.precision, row.machine))

    drawn = False
    for name, title, first in (("osf_speed_up", f"{results.osf}: speed-up over peers", results.osf),
                               ("eegpt_speed_up", "EEGPT: speed-up over peers, B = 1", "eegpt:")):
        rows = results.pick(lambda r, first=first: r.peer and r.model.startswith(first or "-") and
                            own(r))
        if not rows:
            continue
        def group(row):
            return (f"B = {row.batch}" if row.model == results.osf
                    else "%d x %d" % eegpt_size(row.model))
        names = {group(r): row_order(r) for rs in rows.values() for r in rs}
        def value(series, name):
            return next(((r.median / own(r), r.spread(1 / own(r)))
                         for r in rows[series] if group(r) == name), None)
        places = by_place(rows)
        sheet = Sheet.of_places(results, title, places)
        for ax, of_place in zip(sheet.axes, places.values()):
            sheet.bars(ax, sorted(names, key=names.get), list(of_place), value)
            ax.axhline(1.0, color="black", linewidth=1.2)
            ax.set_ylabel("peer's median / psgvit's")
        sheet.axes[-1].set_xlabel("batch" if first == results.osf else sizes_label(rows))
        sheet.save(out, name, "Above the line psgvit is faster; whiskers: the peer's "
                   "fastest and slowest run.")
        drawn = True
    return drawn


CHARTS = [osf_latency, osf_batch_scaling, latency_distribution, osf_channel_scaling, load_time,
          osf_variants, eegpt_latency, eegpt_channel_scaling, eegpt_time_scaling, speed_up]


class Out:
    """Where charts go, and as what."""

    def __init__(self, folder, kinds):
        self.folder, self.kinds = folder, kinds
        folder.mkdir(parents=True, exist_ok=True)


def kinds_of(text):
    kinds = text.split(",")
    if not set(kinds) <= {"png", "svg"}:
        raise argparse.ArgumentTypeError(f"expected png, svg or png,svg, found '{text}'")
    return kinds


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=pathlib.Path, metavar="RESULTS", nargs="+")
    parser.add_argument("--out", type=pathlib.Path, metavar="FOLDER")
    parser.add_argument("--format", type=kinds_of, metavar="LIST", default=["png", "svg"])
    args = parser.parse_args()
    results = Results(args.results)
    out = Out(args.out or args.results[0], args.format)
    plt.rcParams.update({"font.size": 9, "svg.hashsalt": "psgvit", "hatch.linewidth": 0.6,
                         "axes.spines.top": False, "axes.spines.right": False})
    left_out = [chart.__name__ for chart in CHARTS if not chart(results, out)]
    if left_out:
        print(f"Not measured, so not drawn: {', '.join(left_out)}", file=sys.stderr)
    if len(left_out) == len(CHARTS):
        sys.exit(f"{args.results[0]}: no chart can be drawn of these results")


if __name__ == "__main__":
    main()
