# SPDX-License-Identifier: MIT
"""OSF: a vision transformer over 12-channel polysomnography, one epoch of 30 s at 64 Hz at a time.
The shapes of the tensors tell everything: a configuration is not needed."""
import itertools

import torch
import torch.nn.functional as F

from .block import block, layer_norm

HEAD = 64  # dimension of a head, in every variant
RATE = 64  # Hz
VARIANTS = {"vit_nano": (128, 6, 4, 512), "vit_tiny": (192, 12, 3, 768),
            "vit_small": (384, 12, 6, 1536), "vit_middle": (512, 12, 8, 2048),
            "vit_base": (768, 12, 12, 3072), "vit_large": (1024, 24, 16, 4096),
            "vit_xl": (1536, 24, 24, 6144)}  # width, depth, heads, mlp_dim
EPS = 1e-5
OUTPUTS = ("cls", "patches", "mean")


def encode(weights, signal, stage=lambda name, x: None):
    """[B, 12, T] -> cls [B, D], patches [B, N, D] and mean [B, D]. The caller clamps the signal to
    [-6, 6], as the authors' loader does. `stage` is shown the tokens between the steps."""
    patch = weights["to_patch_embedding.weight"]
    if patch.dim() == 4:  # [D, 1, 4, 64]: lead_wise = 1, tokens lead-group major, time minor
        x = F.conv2d(signal[:, None], patch, stride=patch.shape[2:])  # [B, D, 3, T / 64]
    else:  # [D, 12, 64]: lead_wise = 0
        x = F.conv1d(signal, patch, stride=patch.shape[2])  # [B, D, T / 64]
    x = x.flatten(2).transpose(1, 2)  # [B, N, D]
    cls = weights["cls_token"].expand(len(x), -1, -1)
    x = torch.cat([cls, x], 1)  # [B, N + 1, D]
    x = x + weights["pos_embedding"][:, : x.shape[1]]  # the first rows, also of a shorter epoch
    stage("tokens", x)
    for i in itertools.count():
        if f"block{i}.attn.norm.weight" not in weights:
            break
        x = run_block(weights, x, f"block{i}")
        stage(f"block{i}", x)
    x = layer_norm(weights, "norm", x, EPS)
    return {"cls": x[:, 0], "patches": x[:, 1:], "mean": x[:, 1:].mean(1)}


def run_block(weights, x, name):
    qkv, out = f"{name}.attn.fn.to_qkv", f"{name}.attn.fn.to_out.0"
    return block(weights, x, len(weights[f"{qkv}.weight"]) // (3 * HEAD), EPS,
                 norm1=f"{name}.attn.norm", qkv=qkv,
                 out=out if f"{out}.weight" in weights else None,  # one head of 64 and D = 64
                 norm2=f"{name}.ff.norm", fc1=f"{name}.ff.fn.net.0", fc2=f"{name}.ff.fn.net.3")


def sizes(weights, config):
    """The configuration that the tensors tell, if they are there and have these ranks. `config`
    tells the leads if no lead_emb does, and a rate other than OSF's, which goes with a length."""
    patch = weights["to_patch_embedding.weight"].shape
    lead_wise, groups = int(len(patch) == 4), 1
    if lead_wise:
        groups = (len(weights["lead_emb.weight"]) if "lead_emb.weight" in weights
                  else config.get("num_leads", 12) // patch[2])
    tokens = weights["pos_embedding"].shape[1] - 1
    blocks = {"width": weights["cls_token"].shape[2],
              "depth": sum(name.endswith(".attn.norm.weight") for name in weights),
              "heads": len(weights["block0.attn.fn.to_qkv.weight"]) // (3 * HEAD),
              "mlp_dim": len(weights["block0.ff.fn.net.0.weight"])}
    return {**blocks, "dim_head": HEAD, "encoder_name": variant_name(blocks, config),
            **times(tokens // groups * patch[-1], config),
            "lead_wise": lead_wise, "num_leads": groups * patch[-2], "patch_size_time": patch[-1],
            "patch_size_ch": patch[2] if lead_wise else config.get("patch_size_ch", 4)}


def variant_name(blocks, config):
    """Of a variant by its sizes. A name of the config that is none of a variant says nothing."""
    own = next((name for name, sizes in VARIANTS.items() if sizes == tuple(blocks.values())),
               "custom")
    name = config.get("encoder_name", own)
    return name if isinstance(name, str) and name not in VARIANTS else own


def times(samples, config):
    """sample_rate times window_size_sec is T; with one of them alone, the rate is that of OSF."""
    rate = config.get("sample_rate", RATE) if "window_size_sec" in config else RATE
    if not rate > 0:
        raise ValueError(f"sample_rate is {rate}, expected a number above 0")
    seconds = samples / rate
    said = config.get("window_size_sec", seconds)
    return {"seq_len": samples, "sample_rate": rate,
            "window_size_sec": said if abs(said - seconds) < 1e-6 * seconds else seconds}


def shapes(config):
    """Every tensor of a checkpoint of this configuration, by name."""
    d, m, inner = config["width"], config["mlp_dim"], HEAD * config["heads"]
    leads, samples = config["num_leads"], config["patch_size_time"]
    groups = leads // config["patch_size_ch"] if config["lead_wise"] else 1
    tokens = groups * (config["seq_len"] // samples)
    table = {"cls_token": [1, 1, d], "pos_embedding": [1, tokens + 1, d]}
    if config["lead_wise"]:
        table["to_patch_embedding.weight"] = [d, 1, config["patch_size_ch"], samples]
        table["lead_emb.weight"] = [groups, d]  # stored, and used by no step
    else:
        table["to_patch_embedding.weight"] = [d, leads, samples]
    for i in range(config["depth"]):
        layers = {"attn.norm": [d], "attn.fn.to_qkv": [3 * inner, d]}
        if (config["heads"], d) != (1, HEAD):
            layers["attn.fn.to_out.0"] = [d, inner]
        layers.update({"ff.norm": [d], "ff.fn.net.0": [m, d], "ff.fn.net.3": [d, m]})
        for name, shape in layers.items():
            table[f"block{i}.{name}.weight"] = shape
            table[f"block{i}.{name}.bias"] = shape[:1]
    return {**table, "norm.weight": [d], "norm.bias": [d]}
