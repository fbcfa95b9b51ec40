#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How long psgvit-bench's rows take beside the fastest of the peers (bench_peers.py), as a table.
They run in turns, so that whatever else the machine does meets all of them.

    bench_ratios.py --tools BIN [--isa LEVEL] [--precision f32|bf16] [--threads N] [--rows LIST]
                    [--peers LIST] [--turns N] [--runs N]

A row is MODEL@BATCH, such as osf-base@4 or eegpt:58x1024:8@8. In each turn everyone has --runs
runs, of a peer no more than 3 where those take 2 seconds. Times are medians of all runs in
milliseconds, with the least in brackets; `ratio` is the median over the turns of ours by the
fastest peer's, `by min` that of the least times, which neighbours disturb less; `cls` is ours where
an OSF's CLS alone is wanted, what a peer then leaves out being nothing. The Python that runs this
runs the peers.

With --isa avx2 or avx512 PyTorch and OpenVINO are told to stay below it, too (ONEDNN_MAX_CPU_ISA,
MKL_ENABLE_INSTRUCTIONS, ATEN_CPU_CAPABILITY). ONNX Runtime has no such switch, and OpenVINO obeys
in part: its layers that say gemm_mlas (get_runtime_model()) ask the CPU themselves.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

import bench_peers

ROWS = ("osf-base@1,osf-base@4,osf-base@16,eegpt:4x1000@1,eegpt:22x1000@1,eegpt:64x1000@1,"
        "eegpt:22x4000@1,eegpt:58x1024:8@8")
HELD = {"avx2": ("AVX2", "AVX2", "avx2"), "avx512": ("AVX512_CORE", "AVX512", "avx512")}
SWITCHES = ("ONEDNN_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS", "ATEN_CPU_CAPABILITY")
SECONDS = 2  # of a peer in a turn


def ours(args, model, batch, *more):
    """The milliseconds of each run."""
    command = [args.tools / "psgvit-bench", model, "--batch", batch, "--backend", "cpu", "--isa",
               args.isa, "--precision", args.precision, "--threads", args.threads, "--runs",
               args.runs, "--json", *more]
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, text=True,
                          check=False)
    if done.returncode:
        sys.exit(f"bench_ratios.py: {command[0]} ended with {done.returncode}")
    return json.loads(done.stdout)[0]["times_ms"]


def measure(args, torch, model, batch):
    """Of `psgvit`, and of each peer that runs the row: the times of each turn."""
    spec = bench_peers.Spec(model)
    opened = spec.open(torch, None).to(*bench_peers.place_of(torch, args))
    peers = dict(bench_peers.timers(torch, spec, opened, batch, args.peers, args))
    times = {"psgvit": [], **{peer: [] for peer in peers}}
    for _ in range(args.turns):
        times["psgvit"].append(ours(args, model, batch))
        for peer, timer in peers.items():
            times[peer].append(timer(args.runs, SECONDS))
    return times


def median_of(turns):
    return statistics.median(sum(turns, []))


def least_of(turns):
    return min(map(min, turns))


def line(model, batch, times, cls, names):
    def cell(name):
        if name not in times:
            return "-"
        return f"{median_of(times[name]):.1f} [{least_of(times[name]):.1f}]"

    cells = [f"{model} B={batch}", cell("psgvit"), cls, *map(cell, names)]
    if len(times) == 1:
        return cells + ["-", "-", "-"]
    fastest = min(times.keys() - {"psgvit"}, key=lambda name: median_of(times[name]))
    ratios = [statistics.median(a) / statistics.median(b)
              for a, b in zip(times["psgvit"], times[fastest])]
    least = min(least_of(turns) for name, turns in times.items() if name != "psgvit")
    return cells + [fastest, f"{statistics.median(ratios):.2f}",
                    f"{least_of(times['psgvit']) / least:.2f}"]


def show(cells):
    print("| " + " | ".join(cells) + " |", flush=True)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    positive = bench_peers.positive
    parser.add_argument("--tools", type=pathlib.Path, required=True, metavar="BIN")
    parser.add_argument("--isa", default="auto", metavar="LEVEL")
    parser.add_argument("--precision", choices=("f32", "bf16"), default="f32")
    parser.add_argument("--threads", type=positive, default=len(os.sched_getaffinity(0)),
                        metavar="N")
    parser.add_argument("--rows", default=ROWS, metavar="LIST")
    parser.add_argument("--peers", default="pytorch,pytorch-compiled,onnxruntime,openvino",
                        metavar="LIST")
    parser.add_argument("--turns", type=positive, default=4, metavar="N")
    parser.add_argument("--runs", type=positive, default=4, metavar="N")
    parser.set_defaults(backend="cpu", crates={})
    args = parser.parse_args()
    args.peers = args.peers.split(",")
    args.rows = [row.partition("@")[::2] for row in args.rows.split(",")]
    unknown = [peer for peer in args.peers if peer not in bench_peers.PEERS]
    if unknown:
        known = ", ".join(bench_peers.PEERS)
        parser.error(f"--peers: expected some of {known}, found {unknown[0]}")
    if not all(model and batch.isdigit() for model, batch in args.rows):
        parser.error("--rows: expected MODEL@BATCH,...")
    return args


def main():
    args = arguments()
    os.environ.update(zip(SWITCHES, HELD.get(args.isa, ())))
    names = args.peers
    reasons = bench_peers.available(args)
    args.peers = [peer for peer in names if not reasons[peer]]
    for peer in names:
        if reasons[peer]:
            print(f"{peer}: {reasons[peer]}", file=sys.stderr)
    if not args.peers:
        sys.exit("bench_ratios.py: none of the peers is there")
    torch = bench_peers.prepared_torch(args)
    print(f"{args.threads} threads, isa {args.isa}, {args.precision}, milliseconds (median [least] "
          f"of {args.turns} turns); load average at the beginning {os.getloadavg()[0]:.1f}\n")
    show(["row", "psgvit", "cls", *names, "fastest peer", "ratio", "by min"])
    show(["---"] * (len(names) + 6))
    with torch.inference_mode():
        for model, batch in args.rows:
            times = measure(args, torch, model, int(batch))
            cls = ""
            if model.startswith("osf-"):
                cls = f"{statistics.median(ours(args, model, batch, '--outputs', 'cls')):.1f}"
            show(line(model, batch, times, cls, names))


if __name__ == "__main__":
    main()
