#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a user would run in place of libpsgvit, timed like psgvit-bench: the same models, rows,
outputs and threads, in float32, by PyTorch (eager, compiled), ONNX Runtime and OpenVINO, those of
them that this Python has.

    bench_peers.py osf-base,eegpt:22x1000 --batch 1,16 [--runs N] [--threads N] [--backend cpu|cuda]
                   [--peers LIST] [--seconds S] [--osf-repo FOLDER]
    bench_peers.py --list [--backend cpu|cuda] [--peers LIST]

OSF is the authors' own code from a clone of yang-ai-lab/OSF-Open-Sleep-FM (--osf-repo), EEGPT is
braindecode's where it is installed; else each is the definition in scripts/reference/, with
PyTorch's fused attention. Prints a JSON array of rows with psgvit-bench's names and `peer`; what a
peer doesn't tell (gflops, load_ms ...) is null. Each row ends after --seconds (default 6, and 3
runs at least), so that `runs` may be less than what was asked for. A peer that fails at a row is
named on standard error, and the row left out.
"""
import argparse
import contextlib
import importlib
import importlib.util
import json
import os
import pathlib
import platform
import re
import sys
import time
import warnings

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


# ---- peers: each makes a function that runs one batch to its end ---------------------------------

def eager(torch, model, signal, args):
    return lambda: model(signal)


def compiled(torch, model, signal, args):
    mode = "reduce-overhead" if args.backend == "cuda" else "default"  # the former: CUDA graphs
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
    import openvino as ov

    exported = torch.export.export(model, (signal,))
    program = ov.Core().compile_model(ov.convert_model(exported), "CPU", {
        "INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": args.threads,
        "PERFORMANCE_HINT": "LATENCY"})
    request = program.create_infer_request()
    feed = [signal.numpy()]
    return lambda: request.infer(feed)


# name: the function, and the packages that it takes; the first one's version is the peer's
PEERS = {"pytorch": (eager, ["torch"]), "pytorch-compiled": (compiled, ["torch"]),
         "onnxruntime": (onnxruntime, ["onnxruntime", "torch", "onnx", "onnxscript"]),
         "openvino": (openvino, ["openvino", "torch"])}


def available(backend):
    """{peer: why not}, empty where it can run."""
    reasons = {}
    for peer, (_, packages) in PEERS.items():
        missing = [package for package in packages if not has(package)]
        reasons[peer] = f"no package {missing[0]}" if missing else ""
        if backend == "cuda" and packages != ["torch"]:
            reasons[peer] = "runs on the CPU alone here"
    if not has("torch"):
        return reasons
    import torch

    if not hasattr(torch, "compile"):
        reasons["pytorch-compiled"] = f"PyTorch {torch.__version__} has no torch.compile"
    if backend == "cuda" and not torch.cuda.is_available():
        reasons.update(dict.fromkeys(PEERS, "PyTorch finds no CUDA device"))
    return reasons


# ---- measuring ----------------------------------------------------------------------------------

def measure(run, wait, runs, seconds):
    """Milliseconds of each run, after two that are not timed."""
    for _ in range(WARM_UP):
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


def row(torch, spec, batch, peer, times, args):
    ordered = sorted(times)
    n = len(ordered)
    median = 0.5 * (ordered[(n - 1) // 2] + ordered[n // 2])
    package = PEERS[peer][1][0]
    device = torch.cuda.get_device_name() if args.backend == "cuda" else cpu_name()
    return {"model": spec.name, "batch": batch, "channels": spec.channels, "outputs": spec.outputs,
            "backend": args.backend, "device": device, "isa": "", "precision": "f32",
            "threads": args.threads, "runs": n, "median_ms": median, "min_ms": ordered[0],
            "p99_ms": ordered[(n * 99 + 99) // 100 - 1], "per_epoch_ms": median / batch,
            "gflops": None, "blas_ms": None, "load_ms": None, "peak_rss_mb": None,
            "times_ms": [round(t, 6) for t in times], "peer": peer,
            "peer_version": importlib.import_module(package).__version__}


def bench(torch, spec, batch, peers, args, out):
    shape = (batch, spec.channels, spec.samples)
    signal = torch.randn(shape).clamp(-6, 6).to(args.backend)
    model = spec.open(torch, args.osf_repo).to(args.backend)
    wait = torch.cuda.synchronize if args.backend == "cuda" else lambda: None
    for peer in peers:
        try:
            with contextlib.redirect_stdout(sys.stderr):  # exporters talk
                run = PEERS[peer][0](torch, model, signal, args)
                times = measure(run, wait, args.runs, args.seconds)
        except Exception as error:  # whatever another's code raises: the other peers go on
            first = (str(error).strip() or type(error).__name__).split("\n")[0]
            print(f"bench_peers.py: {peer} at {spec.name}, batch {batch}: {first}", file=sys.stderr)
            continue
        out.append(row(torch, spec, batch, peer, times, args))


def positive(text):
    if not re.fullmatch(r"[1-9]\d{0,5}", text):
        raise argparse.ArgumentTypeError(f"expected a number from 1, found '{text}'")
    return int(text)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="?", metavar="MODEL[,MODEL...]")
    parser.add_argument("--batch", default="1,2,4,8,16", metavar="LIST")
    parser.add_argument("--runs", type=positive, default=15, metavar="N")
    parser.add_argument("--threads", type=positive, metavar="N",
                        default=int(os.environ.get("OMP_NUM_THREADS", "0").split(",")[0])
                        or len(os.sched_getaffinity(0)))
    parser.add_argument("--backend", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--peers", default=",".join(PEERS), metavar="LIST")
    parser.add_argument("--seconds", type=float, default=6.0, metavar="S")
    parser.add_argument("--osf-repo", metavar="FOLDER")
    parser.add_argument("--list", action="store_true", help="say which peers there are, and end")
    args = parser.parse_args()
    args.peers = args.peers.split(",")
    unknown = [peer for peer in args.peers if peer not in PEERS]
    if unknown:
        parser.error(f"--peers: expected some of {', '.join(PEERS)}, found '{unknown[0]}'")
    if not args.list and not args.models:
        parser.error("expected a list of models")
    return args


def main():
    args = arguments()
    reasons = available(args.backend)
    for peer in args.peers:
        if args.list or reasons[peer]:
            print(f"{peer}: {reasons[peer] or 'there'}", file=sys.stderr)
    peers = [peer for peer in args.peers if not reasons[peer]]
    if not peers:
        sys.exit("bench_peers.py: none of the peers is there")
    if args.list:
        return
    import torch

    torch.set_num_threads(args.threads)
    warnings.filterwarnings("ignore")  # of exporters, about themselves
    torch.backends.cudnn.allow_tf32 = False  # matrix products have it off by default
    rows = []
    try:
        with torch.inference_mode():
            for spec in [Spec(name) for name in args.models.split(",")]:
                for batch in [positive(b) for b in args.batch.split(",")]:
                    bench(torch, spec, batch, peers, args, rows)
    except argparse.ArgumentTypeError as error:
        sys.exit(f"bench_peers.py: --batch: {error}")
    json.dump(rows, sys.stdout)
    print()


if __name__ == "__main__":
    main()
