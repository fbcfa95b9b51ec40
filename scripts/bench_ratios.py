#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How long psgvit-bench's rows take beside the fastest of the peers (bench_peers.py), as a table:
row by row, the peers between two halves of our own runs, so that both see the same machine.

    bench_ratios.py --tools BIN [--isa LEVEL] [--threads N] [--runs N] [--rows LIST] [--peers LIST]

A row is MODEL@BATCH, such as osf-base@4 or eegpt:58x1024:8@8. With --isa avx2 or avx512 PyTorch and
OpenVINO are held to it, too (ONEDNN_MAX_CPU_ISA, MKL_ENABLE_INSTRUCTIONS); ONNX Runtime has no such
switch. Times are medians in milliseconds; `ratio` is ours by the fastest peer's, `by min` the same
of the least times, which neighbours disturb less; `cls` is ours where an OSF's CLS alone is wanted,
what a peer then leaves out being nothing. The Python that runs this runs the peers.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROWS = ("osf-base@1,osf-base@4,osf-base@16,eegpt:4x1000@1,eegpt:22x1000@1,eegpt:64x1000@1,"
        "eegpt:22x4000@1,eegpt:58x1024:8@8")
HELD = {"avx2": "AVX2", "avx512": "AVX512"}  # MKL's names
ONEDNN = {"avx2": "AVX2", "avx512": "AVX512_CORE"}
SECONDS = 6  # of a peer at a row


def output_of(command, env=None):
    done = subprocess.run(command, stdout=subprocess.PIPE, env=env, text=True, check=False)
    if done.returncode:
        sys.exit(f"bench_ratios.py: {command[0]} ended with {done.returncode}")
    return json.loads(done.stdout)


def ours(args, model, batch, runs, *more):
    command = [args.tools / "psgvit-bench", model, "--batch", batch, "--backend", "cpu", "--isa",
               args.isa, "--threads", str(args.threads), "--runs", str(runs), "--json", *more]
    return output_of([str(word) for word in command])[0]


def peers(args, model, batch):
    env = dict(os.environ)
    if args.isa in HELD:
        env.update(ONEDNN_MAX_CPU_ISA=ONEDNN[args.isa], MKL_ENABLE_INSTRUCTIONS=HELD[args.isa])
    command = [sys.executable, str(HERE / "bench_peers.py"), model, "--batch", batch, "--peers",
               args.peers, "--threads", str(args.threads), "--runs", str(args.runs), "--seconds",
               str(SECONDS)]
    return {row["peer"]: row for row in output_of(command, env)}


def measure(args, model, batch):
    """Our row, with the times of both halves, and the peers' rows by name."""
    half = (args.runs + 1) // 2
    first = ours(args, model, batch, half)
    others = peers(args, model, batch)
    times = first["times_ms"] + ours(args, model, batch, half)["times_ms"]
    first.update(times_ms=times, median_ms=statistics.median(times), min_ms=min(times))
    if model.startswith("osf-"):
        first["cls_ms"] = ours(args, model, batch, half, "--outputs", "cls")["median_ms"]
    return first, others


def line(name, own, others, names):
    cells = [name, f"{own['median_ms']:.1f}",
             f"{own['cls_ms']:.1f}" if "cls_ms" in own else ""]
    cells += [f"{others[n]['median_ms']:.1f}" if n in others else "-" for n in names]
    if not others:
        return cells + ["-", "-", "-"]
    fastest = min(others, key=lambda n: others[n]["median_ms"])
    least = min(row["min_ms"] for row in others.values())
    return cells + [fastest, f"{own['median_ms'] / others[fastest]['median_ms']:.2f}",
                    f"{own['min_ms'] / least:.2f}"]


def show(cells):
    print("| " + " | ".join(cells) + " |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tools", type=pathlib.Path, required=True, metavar="BIN")
    parser.add_argument("--isa", default="auto", metavar="LEVEL")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), metavar="N")
    parser.add_argument("--runs", type=int, default=16, metavar="N")
    parser.add_argument("--rows", default=ROWS, metavar="LIST")
    parser.add_argument("--peers", default="pytorch,pytorch-compiled,onnxruntime,openvino",
                        metavar="LIST")
    args = parser.parse_args()
    names = args.peers.split(",")
    rows = [row.partition("@")[::2] for row in args.rows.split(",")]
    if args.runs < 1 or args.threads < 1 or not all(model and batch for model, batch in rows):
        parser.error("--runs and --threads are numbers from 1, --rows is MODEL@BATCH,...")
    load = os.getloadavg()[0]
    print(f"{args.threads} threads, isa {args.isa}, f32, milliseconds (median of {args.runs}); "
          f"load average at the beginning {load:.1f}\n")
    show(["row", "psgvit", "cls", *names, "fastest peer", "ratio", "by min"])
    show(["---"] * (len(names) + 6))
    for model, batch in rows:
        own, others = measure(args, model, batch)
        show(line(f"{model} B={batch}", own, others, names))


if __name__ == "__main__":
    main()
