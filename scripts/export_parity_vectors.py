#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes what a model of yours must give on signals of yours, for psgvit-parity to check.

    scripts/export_parity_vectors.py --model osf.safetensors --signals night.npy --epochs 4 \\
        --output vectors.safetensors
    psgvit-parity -m osf.safetensors --vectors vectors.safetensors

The model is anything that export_safetensors.py takes. Use the safetensors file that the tools
will run: a bf16 one has other weights than its checkpoint. It runs in float64, rounded to float32,
through scripts/reference, the definition of both models that comes with libpsgvit; or through the
authors' own code: OSF's in a clone (--osf-repo PATH, needs einops), EEGPT's of an installed
braindecode (--braindecode). It also runs in float32, and how far PyTorch's own float32 is from the
truth is stored beside it (pytorch_f32_error), as the promise of psgvit-parity is made of that.

The output is a safetensors file: `input` [E, C, T], each output, with --stages the tokens between
the steps, and the configuration as JSON in the metadata entry `config`. Needs torch, safetensors
and numpy.
"""
import argparse
import importlib.util
import inspect
import json
import math
import pathlib
import sys

import export_safetensors as export
from export_safetensors import EXIT_MODEL, EXIT_OUTPUT, EXIT_SETUP, Refused

EXIT_INPUT = 3  # as of the tools
AT_ONCE = 4  # epochs; bounds the memory of attention in float64


class Unreadable(Exception):
    """A sentence about the signals."""


# ---- signals --------------------------------------------------------------------------------


def expected_shape(model, samples):
    """Channels and samples of an epoch; samples may be 0, which is not known."""
    if model.kind == "osf":
        patch = model.tensors["to_patch_embedding.weight"]
        groups = 1
        if "lead_emb.weight" in model.tensors:
            groups = len(model.tensors["lead_emb.weight"])
        elif patch.dim() == 4:
            groups = model.config.get("num_leads", 12) // patch.shape[2]
        tokens = model.tensors["pos_embedding"].shape[1] - 1
        leads = patch.shape[1] if patch.dim() == 3 else groups * patch.shape[2]
        return leads, samples or tokens // groups * patch.shape[-1]
    channels = next((tensor.shape[1] for name, tensor in model.tensors.items()
                     if name.startswith("chan_proj.proj.") and tensor.dim() > 1), 0)
    if not channels and "chans_id" in model.tensors:
        channels = model.tensors["chans_id"].numel()
    named = model.config.get("chs_info") or model.config.get("ch_names") or ()
    channels = channels or len(named) or model.config.get("n_chans", 0)
    if not channels:
        raise Refused("the model does not say which channels it takes: --channels is missing")
    return channels, samples or model.config.get("n_times", 0)


def make_signals(shape, seed):
    """Noise whose spectrum falls, with a spike here and there and the first channel dead."""
    import numpy as np

    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    for _ in range(2):
        x[..., 1:] = 0.5 * (x[..., 1:] + x[..., :-1])
    x *= np.where(rng.random(shape) < 0.002, 8, 1)
    x[:, :1] = 0
    return x.astype(np.float32)


def read_signals(args, channels, samples):
    """float32 [E, C, T]"""
    import numpy as np

    path = args.signals
    if path is None:
        return make_signals((args.epochs or 2, channels, samples), args.seed)
    try:
        x = np.load(path) if path.suffix == ".npy" else np.fromfile(path, "<f4")
    except (OSError, ValueError) as error:
        raise Unreadable(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    if x.ndim == 1 and x.size and x.size % (channels * samples) == 0:
        x = x.reshape(-1, channels, samples)
    if x.dtype != np.float32 or x.ndim != 3 or x.shape[1] != channels or not len(x):
        raise Unreadable(f"{path}: expected float32 [epochs, {channels}, {samples or 'samples'}], "
                         f"found {x.dtype} {list(x.shape)}")
    if not np.isfinite(x).all():
        raise Unreadable(f"{path}: it holds NaN or infinity")
    return np.ascontiguousarray(x[:args.epochs] if args.epochs else x)


# ---- three ways through a model: weights of a dtype -> function of a signal --------------------


def through_reference(model, _args):
    from reference import eegpt, osf

    def make(weights):
        def run(signal, stage):
            if model.kind == "osf":
                return osf.encode(weights, signal, stage)
            return eegpt.encode(weights, settings(model), signal, stage)
        return run
    return make


def settings(model):
    """The constructor's arguments: those in `kwargs` stand beside the others."""
    return {**model.config, **(model.config.get("kwargs") or {})}


def watch_blocks(module, stage):
    """Shows `stage` what enters the first block and leaves each; returns the hooks."""
    blocks = [m for name, m in module.named_modules()
              if name.startswith("block") and name[5:].isdigit()
              or name.startswith("target_encoder.blocks.") and name.count(".") == 2]
    hooks = [blocks[0].register_forward_pre_hook(lambda m, given: stage("tokens", given[0]))]
    for i, block in enumerate(blocks):
        hooks.append(block.register_forward_hook(
            lambda m, given, out, i=i: stage(f"block{i}", out)))
    return hooks


def through_osf_repo(model, args):
    path = args.osf_repo / "osf" / "backbone" / "vit1d_cls.py"
    if not path.exists():
        raise Refused(f"{path}: not there; expected a clone of OSF-Open-Sleep-FM in --osf-repo")
    spec = importlib.util.spec_from_file_location("vit1d_cls", path)
    code = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(code)
    patch = model.tensors["to_patch_embedding.weight"]
    leads, samples = expected_shape(model, 0)

    def make(weights):
        vit = code.ViT(
            num_leads=leads, seq_len=samples, patch_size=patch.shape[-1],
            lead_wise=int(patch.dim() == 4), patch_size_ch=patch.shape[-2],
            width=patch.shape[0], depth=sum(name.endswith("attn.norm.weight") for name in weights),
            mlp_dim=len(weights["block0.ff.fn.net.0.weight"]),
            heads=len(weights["block0.attn.fn.to_qkv.weight"]) // 192)
        vit = vit.to(patch_dtype(weights)).eval()
        vit.load_state_dict({k: v for k, v in weights.items() if not k.startswith("head.")})

        def run(signal, stage):
            hooks = watch_blocks(vit, stage)
            cls, patches = vit.forward_encoding(signal)
            for hook in hooks:
                hook.remove()
            return {"cls": cls, "patches": patches, "mean": patches.mean(1)}
        return run
    return make


def through_braindecode(model, _args):
    from braindecode.models import EEGPT

    known = set(inspect.signature(EEGPT.__init__).parameters) - {"self"}
    arguments = {key: value for key, value in settings(model).items() if key in known}
    if "chs_info" not in arguments and model.config.get("ch_names"):
        arguments["chs_info"] = [{"ch_name": name} for name in model.config["ch_names"]]

    def make(weights):
        eegpt = EEGPT(**arguments).to(patch_dtype(weights)).eval()
        eegpt.load_state_dict(weights)

        def run(signal, stage):
            outputs = {}
            hooks = watch_blocks(eegpt, stage)
            hooks.append(eegpt.target_encoder.register_forward_hook(
                lambda m, given, out: outputs.update(features=out)))
            last = eegpt(signal)
            for hook in hooks:
                hook.remove()
            return outputs if last.dim() == 4 else {**outputs, "logits": last}
        return run
    return make


def patch_dtype(weights):
    return next(tensor.dtype for tensor in weights.values() if tensor.is_floating_point())


# ---- running --------------------------------------------------------------------------------


def run_all(make, model, signals, dtype, stages):
    """Every output, and every stage if wanted, of all epochs: name -> tensor of `dtype`."""
    import torch

    run = make({name: tensor.to(dtype) if tensor.is_floating_point() else tensor
                for name, tensor in model.tensors.items()})
    parts = {}

    def keep(name, tensor):
        parts.setdefault(name, []).append(tensor.clone())

    def stage(name, tensor):
        if stages:
            keep(f"stage.{name}", tensor)

    with torch.no_grad():
        for first in range(0, len(signals), AT_ONCE):
            signal = torch.from_numpy(signals[first:first + AT_ONCE]).to(dtype)
            for name, tensor in run(signal, stage).items():
                keep(name, tensor)
    return {name: torch.cat(tensors) for name, tensors in parts.items()}


def vectors(args, model, signals):
    """The tensors of the file, and its configuration."""
    import torch

    way = ("osf-repo" if args.osf_repo else "braindecode" if args.braindecode else "reference")
    make = {"osf-repo": through_osf_repo, "braindecode": through_braindecode,
            "reference": through_reference}[way](model, args)
    truth = run_all(make, model, signals, torch.float64, args.stages)
    single = run_all(make, model, signals, torch.float32, args.stages)
    errors = {}
    for name in truth:
        if not torch.isfinite(truth[name]).all():
            raise Refused(f"{args.model}: its {name} are not finite on these signals")
        difference = (single[name].double() - truth[name]).abs()
        errors[name] = {"max": difference.max().item(), "mean": difference.mean().item()}
        print(f"{name:14} {str(list(truth[name].shape)):22} PyTorch float32: "
              f"max error {errors[name]['max']:.2e}, mean {errors[name]['mean']:.2e}")
    config = {**model.config, "model": model.kind, "pytorch_f32_error": errors, "through": way,
              "torch": torch.__version__, "weights": args.model.name,
              "tensors": {name: list(tensor.shape) for name, tensor in model.tensors.items()}}
    tensors = {name: tensor.float().contiguous() for name, tensor in truth.items()}
    return {"input": torch.from_numpy(signals), **tensors}, config


def make_file(args):
    import numpy as np

    model = export.load(args.model, args.config, args.channels)
    if args.osf_repo and model.kind != "osf" or args.braindecode and model.kind != "eegpt":
        raise Refused(f"{args.model}: it is {model.kind}, which the code asked for is not")
    channels, samples = expected_shape(model, args.samples)
    if not samples and (args.signals is None or args.signals.suffix != ".npy"):
        raise Refused(f"{args.model}: it does not say how long its windows are: --samples is "
                      "missing")
    signals = read_signals(args, channels, samples)
    if model.kind == "osf" and not args.no_clamp:
        signals = np.clip(signals, -6, 6)
    tensors, config = vectors(args, model, signals)
    export.write(args.output, tensors, {"config": json.dumps(config)})
    size = math.prod(signals.shape) * 4 / 1e6
    print(f"{args.output}: {len(signals)} epochs of {signals.shape[1]} x {signals.shape[2]}, "
          f"{size:.1f} MB of signal")


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    add = parser.add_argument
    add("--model", required=True, type=pathlib.Path, help="what export_safetensors.py takes")
    add("--output", required=True, type=pathlib.Path, help="vectors.safetensors")
    add("--signals", type=pathlib.Path,
        help="float32 [E, C, T], NPY or raw little-endian; without it, noise")
    add("--epochs", type=int, default=0, help="the first N of the signals (of noise: 2)")
    add("--samples", type=int, default=0, help="T, where the model leaves it open")
    add("--seed", type=int, default=1, help="of the noise")
    add("--config", type=pathlib.Path, help="config.json, where the model has none")
    add("--channels", type=lambda text: text.split(","), default=[],
        help="names of EEGPT's channels, where the model has none")
    add("--stages", action="store_true", help="store the tokens between the steps, too")
    add("--no-clamp", action="store_true", help="OSF: do not clamp the signals to [-6, 6]")
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--osf-repo", type=pathlib.Path, help="a clone of OSF-Open-Sleep-FM")
    way.add_argument("--braindecode", action="store_true", help="the installed braindecode")
    return parser.parse_args()


def main():
    try:
        make_file(parse())
        return 0
    except (Refused, KeyError) as error:
        code, text = EXIT_MODEL, f"a tensor is missing: {error}" if isinstance(
            error, KeyError) else error
    except Unreadable as error:
        code, text = EXIT_INPUT, error
    except ImportError as error:
        code, text = EXIT_SETUP, f"{error}; install it, or leave out the option that needs it"
    except OSError as error:
        code, text = EXIT_OUTPUT, error
    print(f"export_parity_vectors.py: error: {text}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
