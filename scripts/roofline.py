#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How near each row of psgvit-bench is to what the machine allows, as a page of Markdown: the work
and the bytes that the steps of the model have to do and to move, the floor that this machine's
arithmetic and memory set, the time, and the share of the floor in it.

    roofline.py --build BUILD [--isa LEVEL] [--threads N] [--models LIST] [--batch LIST] [--runs N]
    psgvit-bench ... --profile --json | roofline.py --rows - --peak GFLOPS,GBS

The first measures everything: the ceilings by BUILD/tests/bench_kernels (FMA in registers; reading
memory that no cache holds; all threads at once), the rows by BUILD/bin/psgvit-bench --profile. The
second takes rows that were measured elsewhere, of a GPU for example; `-` is standard input.

A row's floor is the larger of its operations by the peak and its bytes by the bandwidth: weights,
and what each step reads and writes, once. What an output that isn't wanted would take is not in it.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys

ROWS = "osf-base,eegpt:4x1000,eegpt:22x1000,eegpt:64x1000,eegpt:22x4000"


def output_of(command):
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, text=True,
                          check=False)
    if done.returncode:
        sys.exit(f"roofline.py: {command[0]} ended with {done.returncode}")
    return json.loads(done.stdout)


def measured(args):
    """The ceilings and the rows of this machine."""
    tests, tools = args.build / "tests", args.build / "bin"
    ceilings = output_of([tests / "bench_kernels", "--ceilings", args.threads, args.isa])
    rows = output_of([tools / "psgvit-bench", args.models, "--batch", args.batch, "--backend",
                      "cpu", "--isa", args.isa, "--threads", args.threads, "--runs", args.runs,
                      "--profile", "--json"])
    return ceilings["gflops"], ceilings["gbs"], rows


def given(args):
    try:
        peak, bandwidth = (float(number) for number in (args.peak or "").split(","))
        text = sys.stdin.read() if args.rows == "-" else pathlib.Path(args.rows).read_text("utf-8")
        rows = json.loads(text)
    except (OSError, ValueError) as error:
        sys.exit(f"roofline.py: --rows takes psgvit-bench's JSON and --peak GFLOPS,GBS: {error}")
    return peak, bandwidth, rows


def cells(row, peak, bandwidth):
    """A row of the table; the floor is in milliseconds."""
    if not row.get("profile"):
        sys.exit(f"roofline.py: {row.get('model')} has no steps: run psgvit-bench --profile")
    work = sum(step["flops"] * step["count"] for step in row["profile"])
    moved = sum(step["bytes"] * step["count"] for step in row["profile"])
    arithmetic, memory = work / peak * 1e-6, moved / bandwidth * 1e-6
    floor, bound = max((arithmetic, "arithmetic"), (memory, "memory"))
    return [row["model"], str(row["batch"]), row["outputs"], f"{work * 1e-9:.2f}",
            f"{moved * 1e-6:.1f}", f"{work / moved:.1f}", bound, f"{floor:.2f}",
            f"{row['min_ms']:.2f}", f"{row['median_ms']:.2f}", f"{100 * floor / row['min_ms']:.0f}",
            f"{100 * floor / row['median_ms']:.0f}"]


def page(peak, bandwidth, rows):
    first = rows[0]
    isa = f", {first['isa']}" if first["isa"] else ""
    threads = f", {first['threads']} threads" if first["backend"] == "cpu" else ""
    print(f"{first['device']} ({first['backend']}{isa}{threads}, {first['precision']}): "
          f"{peak:.1f} GFLOP/s, {bandwidth:.1f} GB/s, so {peak / bandwidth:.1f} operations a byte "
          "where neither waits for the other.\n")
    heads = ["model", "batch", "outputs", "GFLOP", "MB", "FLOP/B", "bound by", "floor ms",
             "least ms", "median ms", "floor, % of least", "of median"]
    for line in [heads, ["---"] * len(heads), *(cells(row, peak, bandwidth) for row in rows)]:
        print("| " + " | ".join(line) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, metavar="BUILD")
    parser.add_argument("--rows", metavar="FILE")
    parser.add_argument("--peak", metavar="GFLOPS,GBS")
    parser.add_argument("--isa", default="auto", metavar="LEVEL")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), metavar="N")
    parser.add_argument("--models", default=ROWS, metavar="LIST")
    parser.add_argument("--batch", default="1", metavar="LIST")
    parser.add_argument("--runs", type=int, default=15, metavar="N")
    args = parser.parse_args()
    if bool(args.build) == bool(args.rows):
        parser.error("give --build to measure, or --rows and --peak")
    page(*(measured(args) if args.build else given(args)))


if __name__ == "__main__":
    main()
