# SPDX-License-Identifier: MIT
"""The synthetic weights of the cases in tests/vectors, as tools/synth_weights.h defines them, and
the cases themselves."""
import json
import pathlib

import numpy as np
from safetensors import safe_open

VECTORS = pathlib.Path(__file__).resolve().parent.parent / "vectors"
M64 = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15
EMBEDDINGS = ("cls_token", "pos_embedding", "lead_emb", "summary_token", "chan_embed")


def uniform(name, shape, seed):
    """Multiples of 2^-23 in [-1, 1): splitmix64 from the FNV-1a hash of the name."""
    state = 0xCBF29CE484222325
    for byte in name.encode():
        state = ((state ^ byte) * 0x100000001B3) & M64
    z = np.arange(1, np.prod(shape, dtype=np.int64) + 1, dtype=np.uint64) * np.uint64(GOLDEN)
    z += np.uint64(state ^ seed)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return ((z >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-23) - np.float32(1)).reshape(
        shape)


def weight(name, shape, seed, tails=False):
    u = uniform(name, shape, seed)
    if name.endswith(".weight") and "norm" in name.split(".")[-2]:
        w = np.float32(1) + u / np.float32(8)
        w[5::53] *= 4 if tails else 1
        return w
    if name.endswith(".bias"):
        return u / np.float32(16)
    if any(part in name for part in EMBEDDINGS):
        return u / np.float32(4)
    w = u * np.float32(2.0 ** np.floor(np.log2((3 / np.prod(shape[1:])) ** 0.5)))
    if name.endswith(".original"):
        w[0::2] *= 4
        w[1::2] /= 16
    elif tails and name.endswith(("net.0.weight", "mlp.fc1.weight")):
        w[7::61] *= 2.0**16
    elif tails and name.endswith(("net.3.weight", "mlp.fc2.weight")):
        w[:, 7::61] *= 2.0**-16
    return w


def model(table, config):
    """{name: array} of a table of shapes; float32, but the ids of channels."""
    tensors = {name: weight(name, shape, config["seed"], config.get("tails", False))
               for name, shape in table.items() if name != "chans_id"}
    if "chans_id" in table:
        tensors["chans_id"] = np.array(config["chans_id"], np.int64).reshape(table["chans_id"])
    return tensors


def case(name):
    """(configuration, tensors) of a file of tests/vectors."""
    with safe_open(VECTORS / f"{name}.safetensors", "np") as file:
        config = json.loads(file.metadata()["config"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}
    return {**config.pop("kwargs", {}), **config}, tensors
