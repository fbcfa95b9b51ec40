#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Turns OSF's released checkpoint into a safetensors file that osf-infer reads.

    scripts/export_safetensors.py --input osf_backbone.pth --output osf.safetensors

The checkpoint is a dictionary {state_dict, metadata}. It is read with torch's weights_only, so that
a pickle that holds more than tensors and plain values is refused, not run. The output holds each
tensor as contiguous float32 and the metadata as JSON under the key `config`; it is written beside
its place and renamed, so that a reader sees the whole file or none. Needs torch, safetensors and
numpy.
"""
import argparse
import json
import os
import pathlib
import sys
import tempfile

EXIT_MODEL, EXIT_OUTPUT = 4, 7  # as of the tools


class Refused(Exception):
    pass


def load(path):
    """The checkpoint's tensors as float32 arrays, and its metadata."""
    import torch

    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise Refused(f"{path}: {error.strerror}") from error
    except Exception as error:
        # torch has no one class for what a bad file may raise, and its text for an unsafe pickle
        # advises to load it all the same.
        raise Refused(f"{path}: not a checkpoint of tensors and plain values "
                      f"({type(error).__name__})") from error
    for key in ("state_dict", "metadata"):
        if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get(key), dict):
            raise Refused(f"{path}: expected a dictionary with state_dict and metadata, "
                          f"each a dictionary; {key} is not there")
    tensors = {}
    for name, value in checkpoint["state_dict"].items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            raise Refused(f"{path}: state_dict[{name!r}] is {type(value).__name__}, "
                          "expected a tensor")
        if not value.is_floating_point():
            raise Refused(f"{path}: tensor {name} is {value.dtype}, expected floating point")
        tensors[name] = value.detach().to(torch.float32).contiguous().numpy()
    if not tensors:
        raise Refused(f"{path}: state_dict is empty")
    return tensors, checkpoint["metadata"]


def write(path, tensors, config):
    from safetensors.numpy import save

    data = save(tensors, metadata={"format": "pt", "config": config})
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--input", required=True, type=pathlib.Path, help="osf_backbone.pth")
    parser.add_argument("--output", required=True, type=pathlib.Path, help="osf.safetensors")
    args = parser.parse_args()
    try:
        tensors, metadata = load(args.input)
        try:
            config = json.dumps(metadata, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise Refused(f"{args.input}: metadata can't be said in JSON: {error}") from error
    except Refused as error:
        print(f"export_safetensors.py: error: {error}", file=sys.stderr)
        return EXIT_MODEL
    except ImportError as error:
        print(f"export_safetensors.py: error: {error}; install torch, safetensors and numpy",
              file=sys.stderr)
        return 1
    try:
        write(args.output, tensors, config)
    except OSError as error:
        print(f"export_safetensors.py: error: {args.output}: {error.strerror}", file=sys.stderr)
        return EXIT_OUTPUT
    numbers = sum(t.size for t in tensors.values())
    print(f"{args.output}: {len(tensors)} tensors, {numbers / 1e6:.2f} M numbers")
    return 0


if __name__ == "__main__":
    sys.exit(main())
