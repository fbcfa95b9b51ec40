#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a user would run in place of libpsgvit, timed like psgvit-bench: the same models, rows,
outputs and threads, by PyTorch (eager; as one CUDA graph; compiled, on a GPU into such a graph),
ONNX Runtime and OpenVINO, those of them that this Python has, and by the Rust crates osf-rs and
eegpt-rs, whose benchmark programs the user brings (bench_crates.py).

    bench_peers.py osf-base,eegpt:22x1000 --batch 1,16 [--runs N] [--threads N] [--backend cpu|gpu]
                   [--peers all|LIST] [--precision f32|f16|bf16] [--seconds S] [--osf-repo FOLDER]
                   [--tools FOLDER]
    bench_peers.py --list [--backend cpu|gpu] [--peers all|LIST] [--precision f32|f16|bf16]

LIST names peers, a crate also with its program: pytorch,osf-rs=/path/to/benchmark. By PyTorch, OSF
is the authors' own code from a clone of yang-ai-lab/OSF-Open-Sleep-FM (--osf-repo), EEGPT is
braindecode's where it is installed; else each is the definition in scripts/reference/, with
PyTorch's fused attention. Prints a JSON array of rows, each as soon as it is measured, with
psgvit-bench's names and `peer`; what a peer doesn't tell (gflops, load_ms ...) is null. Each row
ends after --seconds (default 6, and 3 runs at least), so that `runs` may be less than what was
asked for. A peer that fails at a row is named on standard error, and the row left out.
"""
import argparse
import contextlib
import copy
import functools
import importlib
import importlib.util
import json
import logging
import os
import pathlib
import platform
import re
import sys
import time
import warnings

import bench_crates

HERE = pathlib.Path(__file__).resolve().parent
OSF = {"nano": (128, 6, 4, 512), "tiny": (192, 12, 3, 768), "small": (384, 12, 6, 1536),
       "middle": (512, 12, 8, 2048), "base": (768, 12, 12, 3072), "large": (1024, 24, 16, 4096),
       "xl": (1536, 24, 24, 6144)}  # width, depth, heads, width of the MLP
WARM_UP = 2
LEAST_RUNS = 3


def has(module):
    return importlib.util.find_spec(module) is not None


# ---- models: a torch.nn.Module with the outputs that psgvit-bench computes by default ------------

def random_weights(torch, shapes):
    """Of the size that trained ones have; what is not floating point is 0, 1, 2 ..."""
    made = {}
    for name, shape in shapes.items():
        if name == "chans_id":
            made[name] = torch.arange(shape[-1]).view(shape)
        else:
            fan_in = max(1, int(torch.tensor(shape[1:]).prod())) if len(shape) > 1 else 1
            made[name] = torch.randn(shape) * (0.1 if len(shape) == 1 else fan_in ** -0.5)
            if "norm" in name and name.endswith(".weight"):
                made[name] = 1.0 + made[name]
    return made


def reference(torch, name):
    """scripts/reference/, with the attention that anyone who cares for speed would call."""
    sys.path.insert(0, str(HERE))
    block = importlib.import_module("reference.block")
    fused = getattr(torch.nn.functional, "scaled_dot_product_attention", None)

    def attention(qkv, heads):
        b, n, _ = qkv.shape
        q, k, v = qkv.view(b, n, 3, heads, -1).permute(2, 0, 3, 1, 4)
        return fused(q, k, v).transpose(1, 2).reshape(b, n, -1)

    if fused:
        block.attention = attention
    return importlib.import_module("reference." + name)


def module(torch, weights, run, outputs):
    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.names = {name: name.replace(".", "_") for name in weights}
            for name, tensor in weights.items():
                self.register_buffer(self.names[name], tensor)

        def forward(self, signal):
            tensors = {name: getattr(self, own) for name, own in self.names.items()}
            results = run(tensors, signal)
            return tuple(results[name] for name in outputs)

    return Model()


def osf_model(torch, variant, repository):
    width, depth, heads, mlp = OSF[variant]
    if not repository:
        osf = reference(torch, "osf")
        weights = random_weights(torch, osf.shapes(
            {"width": width, "depth": depth, "heads": heads, "mlp_dim": mlp, "num_leads": 12,
             "patch_size_time": 64, "patch_size_ch": 4, "lead_wise": 1, "seq_len": 1920}))
        return module(torch, weights, osf.encode, ("cls", "patches"))
    folder = pathlib.Path(repository) / "osf" / "backbone"
    if not (folder / "vit1d_cls.py").is_file():
        sys.exit(f"{repository}: no clone of OSF's code, it has no osf/backbone/vit1d_cls.py")
    sys.path.insert(0, str(folder))
    try:
        code = importlib.import_module("vit1d_cls")
    except ImportError as error:
        sys.exit(f"{folder / 'vit1d_cls.py'} can't be imported: {error}")
    vit = code.ViT(
        num_leads=12, seq_len=1920, patch_size=64, lead_wise=1, patch_size_ch=4, width=width,
        depth=depth, heads=heads, mlp_dim=mlp)

    class Encoding(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.vit = vit

        def forward(self, signal):
            return self.vit.forward_encoding(signal)

    return Encoding()


def eegpt_model(torch, channels, samples, depth):
    config = {"n_chans": channels, "n_times": samples, "sfreq": 256, "n_outputs": 4,
              "depth": depth, "chan_proj_type": "none"}
    if has("braindecode"):
        return importlib.import_module("braindecode.models").EEGPT(**config)
    eegpt = reference(torch, "eegpt")
    weights = random_weights(torch, eegpt.shapes(config))
    eegpt.renorm = lambda weight, most: weight  # fixed weights are scaled once, not in every run
    return module(torch, weights, lambda w, x: eegpt.encode(w, config, x), ("logits",))


class Spec:
    """"osf-base" or "eegpt:22x1000[:8]"."""

    def __init__(self, name):
        self.name, self.variant = name, name.removeprefix("osf-")
        found = re.fullmatch(r"eegpt:([1-9]\d*)x([1-9]\d*)(?::([1-9]\d*))?", name)
        if not found and not (name.startswith("osf-") and self.variant in OSF):
            sys.exit(f"expected a model such as osf-base or eegpt:22x1000, found '{name}'")
        self.eegpt = bool(found)
        self.channels = int(found[1]) if found else 12
        self.samples = int(found[2]) if found else 1920
        self.depth = int(found[3] or 2) if found else None
        self.outputs = "logits" if found else "cls,patches"

    def open(self, torch, repository):
        torch.manual_seed(1)
        model = (eegpt_model(torch, self.channels, self.samples, self.depth) if self.eegpt
                 else osf_model(torch, self.variant, repository))
        return model.eval()


# ---- peers in this Python: each makes a function that runs one batch -----------------------------

def eager(torch, model, signal, args):
    return lambda: model(signal)


def graph(torch, model, signal, args):
    """Recorded once and replayed as a whole, so that launching its kernels costs nothing."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARM_UP):
            model(signal)
    torch.cuda.current_stream().wait_stream(side)
    recorded = torch.cuda.CUDAGraph()
    with torch.cuda.graph(recorded):
        model(signal)
    return recorded.replay


def compiled(torch, model, signal, args):
    mode = "reduce-overhead" if args.backend == "gpu" else "default"  # the former: CUDA graphs
    torch.compiler.reset()  # a model of other shapes would be compiled for any shape
    fast = torch.compile(model, mode=mode, dynamic=False)
    return lambda: fast(signal)


def onnxruntime(torch, model, signal, args):
    import onnxruntime as ort

    program = torch.onnx.export(model, (signal,), dynamo=True, verbose=False)
    options = ort.SessionOptions()
    options.intra_op_num_threads = args.threads
    session = ort.InferenceSession(program.model_proto.SerializeToString(), options,
                                   providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: signal.numpy()}
    return lambda: session.run(None, feed)


def openvino(torch, model, signal, args):
    """A model in float32, which it computes in the precision that it is told."""
    import openvino as ov

    model, signal = copy.deepcopy(model).float(), signal.float()
    exported = torch.export.export(model, (signal,))
    program = ov.Core().compile_model(ov.convert_model(exported), "CPU", {
        "INFERENCE_PRECISION_HINT": args.precision, "INFERENCE_NUM_THREADS": args.threads,
        "PERFORMANCE_HINT": "LATENCY"})
    request = program.create_infer_request()
    feed = [signal.numpy()]
    return lambda: request.infer(feed)


# name: the function, and the packages that it takes; the first one's version is the peer's
PEERS = {"pytorch": (eager, ["torch"]), "pytorch-graph": (graph, ["torch"]),
         "pytorch-compiled": (compiled, ["torch"]),
         "onnxruntime": (onnxruntime, ["onnxruntime", "torch", "onnx", "onnxscript"]),
         "openvino": (openvino, ["openvino", "torch"])}
CRATES = ("osf-rs", "eegpt-rs")


def in_this_python(peer, args):
    """Why it can't run; empty where it can."""
    missing = [package for package in PEERS[peer][1] if not has(package)]
    if missing:
        return f"no package {missing[0]}"
    import torch

    pytorch = peer.startswith("pytorch")
    if args.backend == "gpu" and not pytorch:
        return "runs on the CPU alone here"
    if args.backend == "gpu" and not torch.cuda.is_available():
        return "PyTorch finds no CUDA device"
    if args.backend == "cpu" and peer == "pytorch-graph":
        return "runs on a GPU alone"
    if args.precision != "f32" and not pytorch and (peer, args.precision) != ("openvino", "bf16"):
        return f"doesn't compute in {args.precision} here"
    if peer == "pytorch-compiled" and not hasattr(torch, "compile"):
        return f"PyTorch {torch.__version__} has no torch.compile"
    return ""


def available(args):
    """{peer: why not}, empty where it can run."""
    reasons = {}
    for peer in args.peers:
        if peer in PEERS:
            reasons[peer] = in_this_python(peer, args)
        else:
            reasons[peer] = ("computes in f32 alone" if args.precision != "f32"
                             else args.crates[peer].reason(args.backend == "gpu"))
    return reasons


# ---- measuring ----------------------------------------------------------------------------------

def measure(run, wait, runs, seconds):
    """Milliseconds of each run, after one that is not timed, and the one that timers() had."""
    run()
    wait()
    times, begin = [], time.perf_counter()
    while len(times) < runs:
        start = time.perf_counter()
        run()
        wait()
        end = time.perf_counter()
        times.append(1e3 * (end - start))
        if end - begin > seconds and len(times) >= LEAST_RUNS:
            break
    return times


def cpu_name():
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def row(spec, batch, peer, times, args, **more):
    """`more`: device, and what else the peer tells of itself."""
    ordered = sorted(times)
    n = len(ordered)
    median = 0.5 * (ordered[(n - 1) // 2] + ordered[n // 2])
    return {"model": spec.name, "batch": batch, "epochs": batch, "channels": spec.channels,
            "outputs": spec.outputs, "backend": args.backend, "isa": "",
            "precision": args.precision, "threads": args.threads, "runs": n, "median_ms": median,
            "min_ms": ordered[0], "p99_ms": ordered[(n * 99 + 99) // 100 - 1],
            "per_epoch_ms": median / batch, "gflops": None, "blas_ms": None, "load_ms": None,
            "peak_rss_mb": None, "times_ms": [round(t, 6) for t in times], "peer": peer,
            "peer_version": None, **more}


def failed(peer, spec, batch, error):
    first = (str(error).strip() or type(error).__name__).split("\n")[0]
    print(f"bench_peers.py: {peer} at {spec.name}, batch {batch}: {first}", file=sys.stderr)


def place_of(torch, args):
    """What a tensor is moved to."""
    dtypes = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
    return {"cpu": "cpu", "gpu": "cuda"}[args.backend], dtypes[args.precision]


@contextlib.contextmanager
def left_out_if_it_fails(peer, spec, batch):
    try:
        with contextlib.redirect_stdout(sys.stderr):  # exporters talk
            yield
    except Exception as error:  # whatever another's code raises: the other peers go on
        failed(peer, spec, batch, error)


def timers(torch, spec, model, batch, peers, args):
    """Of each peer that runs in this Python its name and measure(), all but runs and seconds."""
    place, dtype = place_of(torch, args)
    signal = torch.randn((batch, spec.channels, spec.samples)).clamp(-6, 6).to(place, dtype)
    wait = torch.cuda.synchronize if place == "cuda" else lambda: None
    for peer in peers:
        timer = None
        with left_out_if_it_fails(peer, spec, batch):
            run = PEERS[peer][0](torch, model, signal, args)
            run()  # compilers begin here
            wait()
            timer = functools.partial(measure, run, wait)
        if timer:
            yield peer, timer


def bench_python(torch, spec, model, batch, peers, args):
    """The rows of those peers that run in this Python."""
    place = place_of(torch, args)[0]
    device = torch.cuda.get_device_name() if place == "cuda" else cpu_name()
    for peer, timer in timers(torch, spec, model, batch, peers, args):
        times = None
        with left_out_if_it_fails(peer, spec, batch):
            times = timer(args.runs, args.seconds)
        if times:
            package = importlib.import_module(PEERS[peer][1][0])
            yield row(spec, batch, peer, times, args, backend=place, device=device,
                      peer_version=package.__version__)


def bench_crate(spec, batch, crate, args):
    """Its row, where it has one."""
    try:
        times = crate.measure(spec, batch, args)
    except bench_crates.Failed as error:
        failed(crate.name, spec, batch, error)
        return
    if times and args.backend == "gpu":
        yield row(spec, batch, crate.name, times, args, backend="vulkan", device="GPU")
    elif times:
        yield row(spec, batch, crate.name, times, args, device=cpu_name())


def all_rows(torch, peers, args):
    python = [peer for peer in peers if peer in PEERS]
    crates = [args.crates[peer] for peer in peers if peer in CRATES]
    for spec in args.models:
        model = spec.open(torch, args.osf_repo).to(*place_of(torch, args)) if python else None
        for batch in args.batch:
            if python:
                yield from bench_python(torch, spec, model, batch, python, args)
            for crate in crates:
                yield from bench_crate(spec, batch, crate, args)


def positive(text):
    if not re.fullmatch(r"[1-9]\d{0,5}", text):
        raise argparse.ArgumentTypeError(f"expected a number from 1, found '{text}'")
    return int(text)


def numbers(text):
    return [positive(item) for item in text.split(",")]


def named_peers(text, tools, parser):
    """The names of --peers, and a Crate for each that is one."""
    known = [*PEERS, *CRATES]
    names, crates = [], {}
    for item in (",".join(known) if text == "all" else text).split(","):
        name, _, program = item.partition("=")
        if name not in known or program and name not in CRATES:
            parser.error(f"--peers: expected all or some of {', '.join(known)}, found '{item}'")
        names.append(name)
        if name in CRATES:
            crates[name] = bench_crates.Crate(name, program or None, tools)
    return names, crates


def arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="?", metavar="MODEL[,MODEL...]",
                        type=lambda text: [Spec(name) for name in text.split(",")])
    parser.add_argument("--batch", default="1,2,4,8,16", type=numbers, metavar="LIST")
    parser.add_argument("--runs", type=positive, default=15, metavar="N")
    parser.add_argument("--threads", type=positive, metavar="N",
                        default=int(os.environ.get("OMP_NUM_THREADS", "0").split(",")[0])
                        or len(os.sched_getaffinity(0)))
    parser.add_argument("--backend", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--peers", default="all", metavar="all|LIST")
    parser.add_argument("--precision", choices=("f32", "f16", "bf16"), default="f32")
    parser.add_argument("--seconds", type=float, default=6.0, metavar="S")
    parser.add_argument("--osf-repo", metavar="FOLDER")
    parser.add_argument("--tools", metavar="FOLDER")
    parser.add_argument("--list", action="store_true", help="say which peers there are, and end")
    args = parser.parse_args()
    args.peers, args.crates = named_peers(args.peers, args.tools, parser)
    if not args.list and not args.models:
        parser.error("expected a list of models")
    return args


def prepared_torch(args):
    """PyTorch, set as the rows are to be measured."""
    import torch

    torch.set_num_threads(args.threads)
    warnings.filterwarnings("ignore")  # of exporters and compilers, about themselves
    logging.disable(logging.WARNING)
    torch.backends.cudnn.allow_tf32 = False  # matrix products have it off by default
    return torch


def main():
    args = arguments()
    reasons = available(args)
    for peer, reason in reasons.items():
        if args.list or reason:
            print(f"{peer}: {reason or 'there'}", file=sys.stderr)
    peers = [peer for peer, reason in reasons.items() if not reason]
    if not peers:
        sys.exit("bench_peers.py: none of the peers is there")
    if args.list:
        return
    torch = prepared_torch(args) if set(peers) & set(PEERS) else None
    with torch.inference_mode() if torch else contextlib.nullcontext():
        separator = "["
        for made in all_rows(torch, peers, args):
            print(separator + json.dumps(made), flush=True)
            separator = ","
    print("[]" if separator == "[" else "]")


if __name__ == "__main__":
    main()
