# SPDX-License-Identifier: MIT
"""bench.sh with tiny settings, and the charts: of what it measured, and of results with every kind
of row, which are made up here.

Usage: test_bench_script.py FOLDER_OF_TOOLS FOLDER_OF_SCRIPTS [--draw FOLDER]
--draw keeps the charts of the made-up results, to look at them.
"""
import json
import os
import pathlib
import random
import re
import statistics
import struct
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

TOOLS = pathlib.Path(sys.argv.pop(1)).resolve()
SCRIPTS = pathlib.Path(sys.argv.pop(1)).resolve()
CHARTS = {"osf_latency", "osf_batch_scaling", "latency_distribution", "osf_channel_scaling",
          "load_time", "osf_variants", "eegpt_latency", "eegpt_channel_scaling",
          "eegpt_time_scaling"}
SPEED_UP = {"osf_speed_up", "eegpt_speed_up"}
MACHINE = {"time": "2026-01-31T23:59:58+00:00", "cpu": "Made-up CPU 9999X 16-Core Processor",
           "isa": "avx512", "threads": 16, "gpu": "Made-up GPU with a long name",
           "gpu_driver": "made-up 580.105.08", "version": "0.1.0", "commit": "0123456789",
           "modified": False, "system": "Debian GNU/Linux 12 (bookworm)",
           "compiler": "gcc (Debian 12.2.0) 12.2.0"}


SYNTH = '#!/bin/sh\n[ "$1 $2" = "osf-base -o" ] && echo weights >"$3"\n'
OSF_RS = """#!/bin/sh
[ "$(cat "$2") $1 $3 $4 $5" = "weights --weights --runs 4 --json" ] || exit 1
[ "$OMP_NUM_THREADS$RAYON_NUM_THREADS$OPENBLAS_NUM_THREADS" = 131 ] || exit 1
echo '{"backend": "CPU (NdArray + OpenBLAS)", "inference": {"all_ms": [4.0, 3.0]},
       "batch_scaling": [{"batch_size": 1, "runs": [8.0]}, {"batch_size": 2, "runs": [9.0]}]}'
"""
EEGPT_RS = """#!/bin/sh
[ "$1 $2 $3 $4" = "4 1000 2 4" ] && echo '{"times_ms": [2.0, 2.0, 2.0, 2.0], "backend": "ndarray"}'
[ "$1" = 4 ] || { echo "thread 'main' panicked at embedding"; echo note; exit 101; } >&2
"""


def row(rng, model, batch, median, **more):
    times = [median * (1 + 0.03 * rng.expovariate(1)) for _ in range(more.pop("runs", 15))]
    middle = statistics.median(times)
    channels = int(re.search(r":(\d+)x", model)[1]) if model.startswith("eegpt") else 12
    return {"model": model, "batch": batch, "channels": channels, "backend": "cpu",
            "precision": "f32", "runs": len(times), "times_ms": times, "median_ms": middle,
            "min_ms": min(times), "p99_ms": max(times), "per_epoch_ms": middle / batch,
            "blas_ms": None, "load_ms": None, "peak_rss_mb": None, **more}


def rows_of(rng, speed, fixed, **more):
    """Every row of one series: `speed` in GFLOP/ms, `fixed` ms a run."""
    sizes = {"nano": 0.25, "tiny": 1.0, "small": 3.9, "middle": 7.0, "base": 15.8}
    ours = "peer" not in more

    def made(model, batch, work, **extra):
        if ours and more["backend"] == "cpu" and more["precision"] == "f32":
            extra["blas_ms"] = 0.9 * work * batch / speed
        if ours:
            extra.update(load_ms=20 + 10 * work, peak_rss_mb=60 + 24 * work)
        return row(rng, model, batch, fixed + work * batch / speed, **{**more, **extra})

    if more.get("peer") == "osf-rs":
        return [made("osf-base", b, 15.8) for b in (1, 2, 4, 8, 16)]
    if more.get("peer") == "eegpt-rs":
        return [made(f"eegpt:{c}x1000", 1, 0.4 * (c + 4)) for c in (4, 8, 16, 22, 32)]
    table = [made(f"osf-{name}", 1, work, runs=60) for name, work in sizes.items()]
    table += [made("osf-base", b, 15.8) for b in (2, 4, 8, 16) + ((32,) if ours else ())]
    table += [made("osf-base", 1, 15.8, channels=c) for c in (2, 4, 6, 8, 10) if ours]
    table += [made(f"eegpt:{c}x{t}", 1, 0.0004 * (c + 4) * t, runs=60) for c, t in (
        (4, 1000), (8, 1000), (16, 1000), (22, 1000), (32, 1000), (64, 1000), (22, 500),
        (22, 2000), (22, 4000), (22, 8000))]
    return table


def made_up():
    rng = random.Random(1)
    table = []
    for backend, precision, speed, fixed in (("cpu", "f32", 0.25, 1.0), ("cpu", "bf16", 0.8, 1.0),
                                             ("vulkan", "f32", 30.0, 0.7),
                                             ("vulkan", "f16", 90.0, 0.6),
                                             ("vulkan", "bf16", 80.0, 0.6)):
        table += rows_of(rng, speed, fixed, backend=backend, precision=precision)
    for peer, backend, precision, speed in (
            ("pytorch", "cpu", "f32", 0.2), ("pytorch-compiled", "cpu", "f32", 0.22),
            ("onnxruntime", "cpu", "f32", 0.21), ("openvino", "cpu", "f32", 0.24),
            ("pytorch", "cpu", "bf16", 0.5), ("pytorch-compiled", "cpu", "bf16", 0.6),
            ("openvino", "cpu", "bf16", 0.7),
            ("osf-rs", "cpu", "f32", 0.03), ("eegpt-rs", "cpu", "f32", 0.05),
            ("pytorch", "cuda", "f32", 20.0), ("pytorch-graph", "cuda", "f32", 24.0),
            ("pytorch-compiled", "cuda", "f32", 26.0), ("osf-rs", "vulkan", "f32", 2.0),
            ("pytorch", "cuda", "f16", 60.0), ("pytorch-graph", "cuda", "f16", 80.0),
            ("pytorch-compiled", "cuda", "f16", 85.0), ("pytorch", "cuda", "bf16", 60.0),
            ("pytorch-graph", "cuda", "bf16", 80.0), ("pytorch-compiled", "cuda", "bf16", 85.0)):
        table += rows_of(rng, speed, 1.0, backend=backend, precision=precision, peer=peer)
    return table


class Results(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory(prefix="psgvit-bench-")
        self.addCleanup(self.temporary.cleanup)
        self.folder = pathlib.Path(self.temporary.name)

    def run_script(self, name, *args, code=0, **more):
        start = [] if name.endswith(".sh") else [sys.executable]
        done = subprocess.run([*start, SCRIPTS / name, *map(str, args)], capture_output=True,
                              text=True, timeout=600, env=dict(os.environ, PYTHON=sys.executable),
                              **more)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        self.assertNotIn("Traceback", done.stderr)
        return done

    def write(self, rows):
        (self.folder / "results.json").write_text(json.dumps(rows))
        (self.folder / "machine.json").write_text(json.dumps(MACHINE))

    def check_charts(self, folder, names):
        """Each is a PNG of a sensible size and a well-formed SVG, and there are no others."""
        self.assertEqual({f.stem for f in folder.glob("*.png")}, names)
        self.assertEqual({f.stem for f in folder.glob("*.svg")}, names)
        for png in folder.glob("*.png"):
            head = png.read_bytes()[:24]
            self.assertEqual(head[:8], b"\x89PNG\r\n\x1a\n")
            width, height = struct.unpack(">II", head[16:])
            self.assertTrue(1000 < width < 2000 and 300 < height < 2000, (png, width, height))
            self.assertTrue(xml.etree.ElementTree.parse(png.with_suffix(".svg")).getroot().tag
                            .endswith("svg"))

    # ---- bench.sh ----

    def test_bench(self):
        done = self.run_script("bench.sh", "--quick", "--runs", "2", "--backend", "cpu",
                               "--threads", "1", "--tools", TOOLS, "--results", self.folder)
        (folder,) = self.folder.iterdir()
        self.assertRegex(folder.name, r"^\d{8}T\d{6}_[a-z0-9-]+_no-gpu$")
        self.assertIn(str(folder), done.stdout.splitlines()[-1])
        machine = json.loads((folder / "machine.json").read_text())
        for key in ("cpu", "kernel", "version", "memory_bytes", "time", "threads", "compiler"):
            self.assertTrue(machine[key], key)
        self.assertIsNone(machine["gpu"])
        rows = json.loads((folder / "results.json").read_text())
        self.assertEqual(sorted((r["model"], r["batch"], r["channels"]) for r in rows), sorted([
            ("osf-nano", 1, 12), ("osf-nano", 2, 12), ("osf-nano", 4, 12), ("osf-tiny", 1, 12),
            ("osf-nano", 1, 2), ("osf-nano", 1, 6), ("eegpt:4x1000:1", 1, 4),
            ("eegpt:22x1000:1", 1, 22), ("eegpt:22x2000:1", 1, 22)]))
        for r in rows:
            many = r["model"] in ("osf-nano", "eegpt:22x1000:1") and r["batch"] == 1 and (
                r["channels"] in (12, 22))
            self.assertEqual((len(r["times_ms"]), r["threads"]), (8 if many else 2, 1))
        self.check_charts(folder, CHARTS)

    def test_bench_refuses(self):
        for word, *args in (("--frob", "--frob"), ("--runs", "--runs"), ("'0'", "--runs", "0"),
                            ("metal", "--backend", "metal"), ("f64", "--precision", "f64")):
            done = self.run_script("bench.sh", "--tools", TOOLS, *args, code=2)
            self.assertIn(word, done.stderr)
            self.assertIn("--quick", done.stderr)

    def test_bench_fails_with_the_tool(self):
        """A folder without tools, and a device that the machine lacks: said, and no success."""
        done = subprocess.run([SCRIPTS / "bench.sh", "--tools", self.folder, "--results",
                               self.folder, "--no-figures"], capture_output=True, text=True,
                              env=dict(os.environ, PYTHON=sys.executable))
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("osf-infer", done.stderr)
        done = subprocess.run([SCRIPTS / "bench.sh", "--quick", "--backend", "vulkan", "--tools",
                               TOOLS, "--results", self.folder, "--no-figures"],
                              capture_output=True, text=True,
                              env=dict(os.environ, PYTHON=sys.executable,
                                       VK_DRIVER_FILES="/none", VK_ICD_FILENAMES="/none"))
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("psgvit-bench: error:", done.stderr)

    def test_bench_without_the_peers_that_were_asked_for(self):
        """Said before anything is measured. No Python has PyTorch when it sees no packages."""
        bare = self.folder / "python"
        bare.write_text(f"#!/bin/sh\nexec '{sys.executable}' -S -E \"$@\"\n")
        bare.chmod(0o755)
        results = self.folder / "results"
        done = subprocess.run([SCRIPTS / "bench.sh", "--quick", "--backend", "cpu", "--peers",
                               "--tools", TOOLS, "--results", results, "--no-figures"],
                              capture_output=True, text=True, env=dict(os.environ, PYTHON=bare))
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("pytorch: no package torch", done.stderr)
        self.assertFalse(results.exists())

    def test_rows_are_kept_as_they_come(self):
        """Of a benchmark that is ended in the midst of a row, with a code that says so."""
        command = [sys.executable, SCRIPTS / "bench_results.py", "add", self.folder]
        for text, rows, code in (('[{"a": 1}\n,{"a":\n [2]},', [{"a": 1}, {"a": [2]}], 0),
                                 ('[{"a": 3},{"a"', [{"a": 1}, {"a": [2]}, {"a": 3}], 1),
                                 ("[]\n", [{"a": 1}, {"a": [2]}, {"a": 3}], 0), ("", None, 1)):
            done = subprocess.run(command, input=text, text=True, capture_output=True)
            self.assertEqual((done.returncode, done.stderr), (code, ""))
            if rows:
                self.assertEqual(json.loads((self.folder / "results.json").read_text()), rows)

    # ---- charts ----

    def test_all_charts(self):
        self.write(made_up())
        out = self.folder / "charts"
        done = self.run_script("generate_figures.py", self.folder, "--out", out)
        self.assertEqual(done.stderr, "")
        self.check_charts(out, CHARTS | SPEED_UP)
        again = self.folder / "again"
        self.run_script("generate_figures.py", self.folder, "--out", again)
        for chart in out.iterdir():
            self.assertEqual(chart.read_bytes(), (again / chart.name).read_bytes(), chart.name)

    def test_results_of_two_machines(self):
        """In one chart: every series bears its machine's letter, and each is compared with its own
        machine's rows."""
        table = made_up()
        folders = [self.folder / name for name in ("here", "elsewhere")]
        machines = [dict(MACHINE, gpu=None),
                    dict(MACHINE, cpu="Another CPU", gpu="Another GPU", commit="", threads=3)]
        halves = [[r for r in table if r["backend"] == "cpu"],
                  [dict(r, isa="amx", threads=2) for r in table
                   if r["backend"] != "cpu" or "peer" not in r]]
        for folder, machine, rows in zip(folders, machines, halves):
            folder.mkdir()
            (folder / "machine.json").write_text(json.dumps(machine))
            (folder / "results.json").write_text(json.dumps(rows))
        out = self.folder / "charts"
        self.run_script("generate_figures.py", *folders, "--out", out)
        self.check_charts(out, CHARTS | SPEED_UP)
        sys.path.insert(0, str(SCRIPTS))
        from bench_rows import Results as Rows

        rows = Rows(folders)
        self.assertEqual([rows.label(s) for s in rows.looks][:4],
                         ["psgvit, CPU [A]", "psgvit, CPU [B]", "psgvit, CPU, bf16 [A]",
                          "psgvit, CPU, bf16 [B]"])
        self.assertEqual(len(set(rows.looks.values())), len(rows.looks))
        self.assertIn("Another CPU (amx, 2 threads); Another GPU", rows.place(1))
        self.assertNotIn("commit", rows.place(1))
        self.assertIn("9999X 16-Core Processor (avx512, 16 threads). libpsgvit 0.1.0, commit 0123",
                      rows.place(0))

    def test_parts_of_one_machine(self):
        """Are one, whose rows are those that were measured last."""
        rng = random.Random(4)
        cpu, gpu = row(rng, "osf-base", 1, 99.0), row(rng, "osf-base", 1, 9.0, backend="vulkan")
        again = row(rng, "osf-base", 1, 77.0)
        parts = [(dict(MACHINE, gpu=None, gpu_driver=None), [cpu]), (MACHINE, [gpu]),
                 (dict(MACHINE, time="2026-01-31T20:00:00+00:00"), [again]),
                 (dict(MACHINE, gpu="Another GPU"), [gpu])]
        folders = []
        for i, (machine, rows) in enumerate(parts):
            folders.append(self.folder / str(i))
            folders[-1].mkdir()
            (folders[-1] / "machine.json").write_text(json.dumps(machine))
            (folders[-1] / "results.json").write_text(json.dumps(rows))
        sys.path.insert(0, str(SCRIPTS))
        from bench_rows import Results as Rows

        one = Rows(folders[:3])
        self.assertEqual([m["gpu"] for m in one.machines], [MACHINE["gpu"]])
        self.assertEqual({r.backend: r.median for r in one.rows},
                         {"cpu": again["median_ms"], "vulkan": gpu["median_ms"]})
        self.assertEqual(one.label(("", "cpu", "f32", 0)), "psgvit, CPU")
        self.assertEqual(len(Rows(folders).machines), 2)

    def test_all_series(self):
        """What bench.sh may measure has a look, and what has one is in the charts above."""
        sys.path.insert(0, str(SCRIPTS))
        from bench_rows import LINEAR_ALONE, LOOKS

        self.assertEqual({(r.get("peer", ""), r["backend"], r["precision"]) for r in made_up()},
                         {kind for kind in LOOKS if kind[0] != LINEAR_ALONE})

    def test_a_series_without_a_look(self):
        self.write([row(random.Random(3), "osf-base", 1, 9.0, precision="f64")])
        done = self.run_script("generate_figures.py", self.folder, code=1)
        self.assertIn("rows by cpu, f64:", done.stderr)

    def test_one_format(self):
        self.write(made_up())
        out = self.folder / "charts"
        self.run_script("generate_figures.py", self.folder, "--out", out, "--format", "png")
        self.assertEqual({f.name for f in out.iterdir()}, {f"{c}.png" for c in CHARTS | SPEED_UP})
        self.assertLess(sum(f.stat().st_size for f in out.iterdir()), 600e3)
        done = self.run_script("generate_figures.py", self.folder, "--format", "gif", code=2)
        self.assertIn("'gif'", done.stderr)

    def test_what_was_not_measured_is_left_out(self):
        rng = random.Random(2)
        self.write([row(rng, "osf-base", 1, 100.0)])
        done = self.run_script("generate_figures.py", self.folder)
        self.assertIn("eegpt_latency", done.stderr)
        self.check_charts(self.folder, {"osf_latency", "latency_distribution"})

    def test_no_results(self):
        done = self.run_script("generate_figures.py", self.folder, code=1)
        self.assertIn("machine.json", done.stderr)
        self.write([])
        done = self.run_script("generate_figures.py", self.folder, code=1)
        self.assertIn("no chart can be drawn", done.stderr)

    # ---- peers ----

    def test_peers_by_what_is_installed(self):
        """Without PyTorch there are none; with it, a row has the fields of psgvit-bench."""
        command = [sys.executable, SCRIPTS / "bench_peers.py"]
        listed = subprocess.run([*command, "--list"], capture_output=True, text=True)
        for peer in ("pytorch", "pytorch-graph", "pytorch-compiled", "onnxruntime", "openvino",
                     "osf-rs", "eegpt-rs"):
            self.assertRegex(listed.stderr, rf"(?m)^{peer}: (there|runs on a GPU alone|"
                             r"no (package|program) \S+( in PATH)?|PyTorch .*)$")
        done = subprocess.run([*command, "osf-nano,eegpt:4x256:1", "--batch", "1", "--runs", "3",
                               "--peers", "pytorch"], capture_output=True, text=True, timeout=600)
        if "pytorch: there" not in listed.stderr.splitlines():
            self.assertNotEqual(listed.returncode, 0)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("none of the peers is there", done.stderr)
            return
        ours = subprocess.run([TOOLS / "psgvit-bench", "osf-nano,eegpt:4x256:1", "--batch", "1",
                               "--runs", "3", "--json"], capture_output=True, check=True)
        for own, theirs in zip(json.loads(ours.stdout), json.loads(done.stdout), strict=True):
            self.assertLessEqual(set(own) - {"gpu_ms"}, set(theirs))
            for key in ("model", "batch", "channels", "outputs", "precision", "runs"):
                self.assertEqual(own[key], theirs[key])
            self.assertEqual(theirs["peer"], "pytorch")
            self.assertGreater(theirs["min_ms"], 0)

    def test_precisions_of_peers(self):
        """By stand-ins for their packages, which only have to be there to be listed."""
        for package in "torch", "onnxruntime", "onnx", "onnxscript", "openvino":
            (self.folder / f"{package}.py").write_text("compile = None\n")
        env = dict(os.environ, PYTHONPATH=str(self.folder))
        for precision, other in (("f32", ()), ("bf16", ("onnxruntime",)),
                                 ("f16", ("onnxruntime", "openvino"))):
            done = subprocess.run([sys.executable, SCRIPTS / "bench_peers.py", "--list", "--peers",
                                   "pytorch,pytorch-compiled,onnxruntime,openvino", "--precision",
                                   precision], capture_output=True, text=True, env=env)
            self.assertEqual(done.stderr.splitlines(), [
                f"{peer}: doesn't compute in {precision} here" if peer in other else
                f"{peer}: there"
                for peer in ("pytorch", "pytorch-compiled", "onnxruntime", "openvino")])

    def crates(self, *args):
        """Rows and talk of stand-ins for the programs of the crates."""
        for name, text in (("psgvit-synth", SYNTH), ("osf", OSF_RS), ("eegpt", EEGPT_RS)):
            (self.folder / name).write_text(text)
            (self.folder / name).chmod(0o755)
        peers = f"osf-rs={self.folder / 'osf'},eegpt-rs={self.folder / 'eegpt'}"
        done = self.run_script("bench_peers.py", "osf-base,osf-nano,eegpt:4x1000,eegpt:64x1000",
                               "--batch", "1,2,32", "--runs", "4", "--threads", "3", "--tools",
                               self.folder, "--peers", peers, *args)
        return json.loads(done.stdout), done.stderr.splitlines()

    def test_crates(self):
        """Their programs' words become rows; what a crate can't do has none."""
        rows, talk = self.crates()
        self.assertEqual([(r["peer"], r["model"], r["batch"], r["times_ms"]) for r in rows],
                         [("osf-rs", "osf-base", 1, [4.0, 3.0]), ("osf-rs", "osf-base", 2, [9.0]),
                          ("eegpt-rs", "eegpt:4x1000", 1, [2.0] * 4)])
        self.assertEqual([(r["median_ms"], r["threads"], r["backend"]) for r in rows],
                         [(3.5, 3, "cpu"), (9.0, 3, "cpu"), (2.0, 3, "cpu")])
        self.assertEqual(talk, ["bench_peers.py: eegpt-rs at eegpt:64x1000, batch 1: its program "
                                "ended with 101 and said: thread 'main' panicked at embedding"])

    def test_crates_on_a_gpu(self):
        """Only what waits for it counts, and a program for the CPU is none for a GPU."""
        rows, talk = self.crates("--backend", "gpu")
        self.assertEqual(rows, [])
        self.assertEqual(talk, ["eegpt-rs: its benchmark does not wait for a GPU",
                                "bench_peers.py: osf-rs at osf-base, batch 1: its program was "
                                "built for 'CPU (NdArray + OpenBLAS)'"])
        global OSF_RS
        before, OSF_RS = OSF_RS, OSF_RS.replace("CPU (NdArray + OpenBLAS)", "GPU (wgpu)")
        rows, _ = self.crates("--backend", "gpu")
        OSF_RS = before
        self.assertEqual([(r["backend"], r["batch"]) for r in rows], [("vulkan", 1)])

    def test_crates_that_are_not_there(self):
        done = self.run_script("bench_peers.py", "--list", "--peers", "osf-rs=/none,eegpt-rs",
                               code=1)
        self.assertIn("osf-rs: /none is no program\n", done.stderr)
        done = self.run_script("bench_peers.py", "--list", "--peers", "pytorch=/bin/true", code=2)
        self.assertIn("found 'pytorch=/bin/true'", done.stderr)


def draw(folder):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(made_up()))
    (folder / "machine.json").write_text(json.dumps(MACHINE))
    subprocess.run([sys.executable, SCRIPTS / "generate_figures.py", folder], check=True)


if __name__ == "__main__":
    if "--draw" in sys.argv:
        draw(pathlib.Path(sys.argv[sys.argv.index("--draw") + 1]))
    else:
        unittest.main()
