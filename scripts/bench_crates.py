# SPDX-License-Identifier: MIT
"""The Rust crates osf-rs and eegpt-rs as peers of bench_peers.py, by the benchmark program that
each ships as an example: a user builds it, from the crate's unpacked source, by

    cargo build --release --features openblas-system --example benchmark                for the CPU
    cargo build --release --no-default-features --features vulkan --example benchmark   for a GPU

and names it, or lays it into PATH as osf-rs-benchmark or eegpt-rs-benchmark. osf-rs measures
OSF-base at batches 1 to 16, and needs psgvit-synth for weights that it can read; eegpt-rs measures
windows one at a time, leaves out a last, partial patch, and can't do more than 62 channels. Of a
GPU only what waits for it counts: osf-rs at batch 1.
"""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

MOST_RUNS = 10  # osf-rs measures all batches in one go, in half a minute to two
PATIENCE = 240  # seconds
GPU = ("GPU", "wgpu")  # how the programs' word for their backend begins


class Failed(Exception):
    """A sentence for the user."""


class Crate:
    """One of them; `program` and `synth` are paths, or None where there is none."""

    def __init__(self, name, program, tools):
        self.name = name
        self.program = shutil.which(program or f"{name}-benchmark")
        self.named = program
        self.synth = shutil.which("psgvit-synth", path=tools)
        self.done = None  # osf-rs: {batch: times in ms}, from the one run of its program

    def reason(self, on_gpu):
        """Why it can't run; empty where it can."""
        if not self.program:
            return f"{self.named} is no program" if self.named else \
                f"no program {self.name}-benchmark in PATH"
        if self.name == "osf-rs" and not self.synth:
            return "no psgvit-synth in PATH or --tools, which writes the weights that it reads"
        if self.name == "eegpt-rs" and on_gpu:
            return "its benchmark does not wait for a GPU"
        return ""

    def measure(self, spec, batch, args):
        """Milliseconds of each run; None where the crate has no such row."""
        if self.name == "eegpt-rs":
            return self.eegpt(spec, args) if spec.eegpt and spec.depth == 2 and batch == 1 else None
        if spec.name != "osf-base":
            return None
        if self.done is None:
            self.done = {}  # if it fails, it says so once
            self.done = self.osf(args)
        return self.done.get(batch)

    def output(self, args, *words):
        """What its program prints, held to the threads and the device that were asked for. Each of
        Rayon's threads calls BLAS; if that had threads, too, eegpt-rs would take 4 times as long
        (2 cores of an AMD EPYC)."""
        threads = {"RAYON_NUM_THREADS": str(args.threads), "OMP_NUM_THREADS": "1",
                   "OPENBLAS_NUM_THREADS": "1"}
        try:
            done = subprocess.run([self.program, *map(str, words)], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, env={**os.environ, **threads},
                                  text=True, timeout=PATIENCE, check=False)
            if done.returncode:
                last = (done.stderr.strip() or "nothing").splitlines()
                said = next((line for line in last if "panicked" in line), last[-1])
                raise Failed(f"its program ended with {done.returncode} and said: {said}")
            result = json.loads(done.stdout)
            if result["backend"].startswith(GPU) != (args.backend == "gpu"):
                raise Failed(f"its program was built for '{result['backend']}'")
            return result
        except (OSError, ValueError, KeyError, subprocess.TimeoutExpired) as error:
            raise Failed(f"its program gave no result: {error}") from error

    def eegpt(self, spec, args):
        return self.output(args, spec.channels, spec.samples, 2, args.runs)["times_ms"]

    def osf(self, args):
        with tempfile.TemporaryDirectory(prefix="psgvit-crates-") as folder:
            weights = pathlib.Path(folder) / "osf-base.safetensors"
            subprocess.run([self.synth, "osf-base", "-o", weights], check=True,
                           stderr=subprocess.DEVNULL)
            result = self.output(args, "--weights", weights, "--runs", min(args.runs, MOST_RUNS),
                                 "--json")
        times = {1: result["inference"]["all_ms"]}
        if args.backend == "cpu":
            times.update({row["batch_size"]: row["runs"] for row in result["batch_scaling"]
                          if row["batch_size"] > 1})
        return times
