#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Turns a checkpoint of OSF or EEGPT into a safetensors file that the tools read.

    scripts/export_safetensors.py --input osf_backbone.pth --output osf.safetensors
    scripts/export_safetensors.py --input eegpt_mcae_58chs_4s_large4E.ckpt --channels FP1,FPZ,FP2 \\
        --output eegpt.safetensors
    scripts/export_safetensors.py --input eegpt-pretrained/ --dtype bf16 --output eegpt.safetensors

INPUT is OSF's released dictionary {state_dict, metadata}; an original EEGPT checkpoint, of which
the target encoder is kept; a state dict of braindecode's EEGPT, by itself or in a folder of
Hugging Face with its config.json; or a safetensors file of either model. Pickles are read with
torch's weights_only, so that one that holds more than tensors and plain values is refused, not
run. Wrappers' prefixes (module., model. ...) are stripped, and what belongs to neither model is
left out and named. The configuration becomes the metadata entry `config`.

The output is written beside its place, read again, compared, and renamed: a reader sees the whole
file or none. Needs torch, safetensors and numpy.
"""
import argparse
import collections
import json
import os
import pathlib
import re
import sys
import tempfile
import warnings
from dataclasses import dataclass, field

EXIT_SETUP, EXIT_MODEL, EXIT_OUTPUT = 1, 4, 7  # the last two as of the tools
OSF_MARK, EEGPT_MARK = "cls_token", "summary_token"
OSF_PART = re.compile(r"(cls_token|pos_embedding|to_patch_embedding|lead_emb|block\d+|norm|head)"
                      r"(\.|$)")
EEGPT_PART = re.compile(r"(target_encoder|chan_proj|final_layer)\.|chans_id$")
# What EEGPT's own class names in a checkpoint without the name of the class in front.
BARE_ENCODER = re.compile(r"(summary_token$|patch_embed\.|chan_embed\.|blocks\.|norm\.)")


class Refused(Exception):
    """A sentence for the user."""


@dataclass
class Model:
    kind: str  # "osf" or "eegpt"
    tensors: dict  # name -> torch.Tensor
    config: dict
    left_out: collections.Counter = field(default_factory=collections.Counter)


# ---- reading --------------------------------------------------------------------------------


def read_json(path):
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Refused(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise Refused(f"{path}: not JSON: {error}") from error
    if not isinstance(value, dict):
        raise Refused(f"{path}: expected a JSON object, found {type(value).__name__}")
    return value


def read_safetensors(path):
    """Its tensors, and the metadata entry `config` if there is one."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        return tensors, json.loads(metadata.get("config", "{}"))
    except (SafetensorError, ValueError) as error:
        raise Refused(f"{path}: not a sound safetensors file: {error}") from error


def read_pickle(path):
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is refused below
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise Refused(f"{path}: {error.strerror or error}") from error
    except Exception as error:
        # torch has no one class for what a bad file may raise, and its text for an unsafe pickle
        # advises to load it all the same.
        raise Refused(f"{path}: not a checkpoint of tensors and plain values "
                      f"({type(error).__name__})") from error
    if not isinstance(checkpoint, dict):
        raise Refused(f"{path}: expected a dictionary, found {type(checkpoint).__name__}")
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(checkpoint.get(key), dict):
            return checkpoint[key], checkpoint.get("metadata", {})
    return checkpoint, {}


def read(path):
    """The tensors of a file or of a folder of Hugging Face, and the configuration beside them."""
    config = {}
    if path.is_dir():
        config = read_json(path / "config.json")
        files = [path / name for name in ("model.safetensors", "pytorch_model.bin")]
        found = [file for file in files if file.exists()]
        if not found:
            raise Refused(f"{path}: expected {files[0].name} or {files[1].name} in this folder")
        path = found[0]
    try:
        with open(path, "rb") as file:
            start = file.read(9)
    except OSError as error:
        raise Refused(f"{path}: {error.strerror}") from error
    tensors, own = (read_safetensors if start[8:] == b"{" else read_pickle)(path)
    if not isinstance(own, dict):
        raise Refused(f"{path}: metadata is {type(own).__name__}, expected a dictionary")
    return tensors, {**own, **config}


# ---- choosing -------------------------------------------------------------------------------


def prefix_of(path, names, mark):
    """What stands before `mark`, which every model has once; None if it is not there."""
    found = sorted({name[:-len(mark)] for name in names
                    if name == mark or name.endswith(f".{mark}")})
    targets = [prefix for prefix in found if prefix.endswith("target_encoder.")]
    found = targets or found  # EEGPT's `encoder.` is a student of its target
    if len(found) > 1:
        raise Refused(f"{path}: expected one model, found several: "
                      + ", ".join(f"{prefix}{mark}" for prefix in found))
    return found[0] if found else None


def choose(path, tensors):
    """The kind of model, and its tensors by the names that the tools know."""
    kept, left_out = {}, collections.Counter()
    names = [name for name in tensors if isinstance(name, str)]
    prefix, kind = prefix_of(path, names, OSF_MARK), "osf"
    part, inner = OSF_PART, ""
    if prefix is None:
        prefix, kind, part = prefix_of(path, names, EEGPT_MARK), "eegpt", EEGPT_PART
        if prefix is not None and prefix.endswith("target_encoder."):
            prefix = prefix[:-len("target_encoder.")]
        elif prefix == "":
            part, inner = BARE_ENCODER, "target_encoder."
        else:
            raise Refused(f"{path}: neither OSF nor EEGPT: expected a tensor cls_token, or "
                          f"target_encoder.summary_token, among its {len(tensors)} entries")
    for name, tensor in tensors.items():
        if isinstance(name, str) and name.startswith(prefix) and part.match(name[len(prefix):]):
            kept[inner + name[len(prefix):]] = tensor
        else:
            rest = str(name)[len(prefix):] if str(name).startswith(prefix) else str(name)
            left_out[rest.split(".")[0]] += 1
    return Model(kind, kept, {}, left_out)


def check_tensors(path, model):
    import torch

    for name, tensor in model.tensors.items():
        if not isinstance(tensor, torch.Tensor):
            raise Refused(f"{path}: {name} is {type(tensor).__name__}, expected a tensor")
        if tensor.layout != torch.strided:
            raise Refused(f"{path}: tensor {name} is {tensor.layout}, expected torch.strided")
        whole = name == "chans_id"
        if whole and tensor.dtype != torch.int64 or not whole and not tensor.is_floating_point():
            raise Refused(f"{path}: tensor {name} is {tensor.dtype}, expected "
                          + ("torch.int64" if whole else "floating point"))
        if not torch.isfinite(tensor).all():
            raise Refused(f"{path}: tensor {name} holds NaN or infinity")


def configure(path, model, found, channels):
    """The configuration as plain JSON. What an original checkpoint leaves open is said here."""
    config = dict(found)
    if isinstance(config.get("chs_info"), list):  # positions of electrodes are of no use here
        config["chs_info"] = [{"ch_name": item["ch_name"]} if isinstance(item, dict) and
                              "ch_name" in item else item for item in config["chs_info"]]
    if model.kind == "eegpt":
        parts = {name.split(".")[0] for name in model.tensors}
        if "final_layer" not in parts:
            config.setdefault("return_encoder_output", True)
        if "chan_proj" not in parts:
            config.setdefault("chan_proj_type", "none")
        if channels and "chans_id" in model.tensors:
            raise Refused(f"{path}: --channels: it has a tensor chans_id, which says its channels")
        if channels:
            config.pop("chs_info", None)
            config.update(n_chans=len(channels), ch_names=channels)
    elif channels:
        raise Refused(f"{path}: --channels: OSF's channels are fixed")
    try:
        json.dumps(config, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise Refused(f"{path}: its configuration can't be said in JSON: {error}") from error
    return config


def expected_shapes(path, model):
    """By the sizes that the tensors themselves tell, which the configuration may not contradict."""
    from reference import eegpt, osf

    definition = {"osf": osf, "eegpt": eegpt}[model.kind]
    said = {key: value for key, value in model.config.items()
            if value is not None or key == "patch_stride"}  # where null says something
    try:
        told = definition.sizes(model.tensors, said)
        for key in told:
            if key in said and said[key] != told[key]:
                raise Refused(f"{path}: its configuration says {key} = {said[key]}, its tensors "
                              f"say {told[key]}")
        return definition.shapes({**said, **told})
    except KeyError as error:
        raise Refused(f"{path}: {error} is missing") from error
    except (IndexError, TypeError, ValueError, ZeroDivisionError) as error:
        raise Refused(f"{path}: the shapes of its tensors and its configuration make no "
                      f"{model.kind.upper()}: {error}") from error


def check_shapes(path, model):
    """The tools would refuse it, too, but when the checkpoint may be elsewhere."""
    for name, expected in expected_shapes(path, model).items():
        found = model.tensors.get(name)
        if found is None and name not in ("lead_emb.weight", "chans_id"):  # unused; told by names
            raise Refused(f"{path}: tensor {name} is missing, expected {expected}")
        if found is None or list(found.shape) == expected:
            continue
        if name != "chans_id" or found.numel() != expected[-1]:
            raise Refused(f"{path}: tensor {name} is {list(found.shape)}, expected {expected}")


def load(path, config=None, channels=()):
    """A Model of what is at `path`; `config` is the path of a JSON file with more to know."""
    tensors, found = read(path)
    if config:
        found = {**found, **read_json(config)}
    model = choose(path, tensors)
    check_tensors(path, model)
    model.config = configure(path, model, found, channels)
    check_shapes(path, model)
    return model


# ---- writing --------------------------------------------------------------------------------


def convert(path, tensors, dtype):
    """Contiguous copies that share no memory; whole numbers stay what they are."""
    import torch

    wanted = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}[dtype]
    converted = {}
    for name, tensor in tensors.items():
        new = tensor.detach().to(wanted if tensor.is_floating_point() else tensor.dtype)
        if not torch.isfinite(new).all():
            raise Refused(f"{path}: tensor {name} has numbers beyond the range of {dtype}, "
                          f"up to {tensor.abs().max():g}")
        converted[name] = new.contiguous().clone()
    return converted


def compare(path, tensors, metadata):
    """Raises OSError unless the file holds exactly this."""
    import torch
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        same = set(file.keys()) == set(tensors) and file.metadata() == metadata
        for name in tensors if same else ():
            again = file.get_tensor(name)
            same = same and again.dtype == tensors[name].dtype and torch.equal(again,
                                                                               tensors[name])
    if not same:
        raise OSError(5, "what was written reads differently")


def write(path, tensors, metadata):
    """The whole file or none, on the disk and compared before it takes its place."""
    from safetensors.torch import save

    data = save(tensors, metadata=metadata)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        compare(temporary, tensors, metadata)
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def report(args, model, tensors):
    numbers = sum(t.numel() for t in tensors.values() if t.is_floating_point())
    print(f"{args.output}: {model.kind}, {len(tensors)} tensors, {numbers / 1e6:.2f} M numbers, "
          f"{args.dtype}")
    if model.left_out:
        print("left out: " + ", ".join(f"{part} ({count})" for part, count in
                                       sorted(model.left_out.items())))
    known = {"chs_info", "ch_names", "n_chans", "chans_id"} & set(model.config)
    if model.kind == "eegpt" and "chans_id" not in tensors and not known:
        print("It does not say which channels it takes: give --channels here, or eegpt-infer a "
              "config.json with chs_info or n_chans.")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--input", required=True, type=pathlib.Path,
                        help="checkpoint, safetensors file, or folder of Hugging Face")
    parser.add_argument("--output", required=True, type=pathlib.Path, help="model.safetensors")
    parser.add_argument("--dtype", choices=("f32", "bf16", "f16"), default="f32",
                        help="of the numbers in the file (default f32)")
    parser.add_argument("--config", type=pathlib.Path, help="config.json, where INPUT has none")
    parser.add_argument("--channels", type=lambda text: text.split(","), default=[],
                        help="names of EEGPT's channels in their order, such as FP1,FPZ,FP2")
    args = parser.parse_args()
    try:
        model = load(args.input, args.config, args.channels)
        tensors = convert(args.input, model.tensors, args.dtype)
        metadata = {"format": "pt", "model": model.kind, "config": json.dumps(model.config)}
        write(args.output, tensors, metadata)
    except Refused as error:
        print(f"export_safetensors.py: error: {error}", file=sys.stderr)
        return EXIT_MODEL
    except ImportError as error:
        print(f"export_safetensors.py: error: {error}; install torch, safetensors and numpy",
              file=sys.stderr)
        return EXIT_SETUP
    except OSError as error:
        print(f"export_safetensors.py: error: {args.output}: {error.strerror}", file=sys.stderr)
        return EXIT_OUTPUT
    report(args, model, tensors)
    return 0


if __name__ == "__main__":
    sys.exit(main())
