# SPDX-License-Identifier: MIT
"""EEGPT: a transformer over the channels of each time patch, with braindecode's linear probe.
Shapes tell most; `config` says what they don't, in the words of braindecode's constructor."""
import itertools

import torch
import torch.nn.functional as F

from .block import block, layer_norm, linear

DEFAULTS = {"num_heads": 8, "patch_size": 64, "patch_stride": 32, "embed_num": 4,
            "embed_dim": 512, "depth": 8, "mlp_ratio": 4.0, "qkv_bias": True,
            "layer_norm_eps": 1e-6, "return_encoder_output": False,
            "chan_proj_type": "conv1d_constraint", "n_chans_target": 19, "chan_conv_max_norm": 1.0}
PROBE = 16  # hidden width of the probe
MAX_NORM1, MAX_NORM2 = 1.0, 0.25  # of the rows of its layers
ORIGINAL = "parametrizations.weight.original"
OUTPUTS = ("features", "logits")
# The rows of chan_embed, and those of them that a projection of channels makes.
CHANNELS = """FP1 FPZ FP2 AF7 AF3 AF4 AF8 F7 F5 F3 F1 FZ F2 F4 F6 F8 FT7 FC5 FC3 FC1 FCZ FC2 FC4
    FC6 FT8 T7 C5 C3 C1 CZ C2 C4 C6 T8 TP7 CP5 CP3 CP1 CPZ CP2 CP4 CP6 TP8 P7 P5 P3 P1 PZ P2 P4 P6
    P8 PO7 PO5 PO3 POZ PO4 PO6 PO8 O1 OZ O2""".split()
PROJECTED = "FP1 FP2 F7 F3 FZ F4 F8 T7 C3 CZ C4 T8 P7 P3 PZ P4 P8 O1 O2".split()


def setting(config, key):
    """patch_stride may be null, which stands for patch_size."""
    value = config.get(key, DEFAULTS[key])
    return setting(config, "patch_size") if key == "patch_stride" and value is None else value


def channel_ids(config):
    """The row of chan_embed of each channel, for a checkpoint that does not store chans_id. A name
    that is none of the 62 gets its own index."""
    names = [item["ch_name"] if isinstance(item, dict) else item
             for item in config.get("chs_info") or config.get("ch_names") or ()]
    if setting(config, "chan_proj_type") != "none":
        names = PROJECTED
    rows = {name: row for row, name in enumerate(CHANNELS)}
    names = names or range(config["n_chans"])
    return torch.tensor([rows.get(str(name).upper().strip("."), i)
                         for i, name in enumerate(names)])


def renorm(weight, most):
    """Rows longer than `most` are scaled to it: a constraint of training that is part of the model.
    """
    return torch.renorm(weight, 2, 0, most)


def encode(weights, config, signal, stage=lambda name, x: None):
    """[B, C, T] -> features [B, P, 4, D], and logits [B, n] if there is a probe. `stage` is shown
    the tokens between the steps."""
    x = project_channels(weights, config, signal)  # [B, C', T]
    x = embed_patches(weights, config, x)  # [B, P, C', D]
    ids = weights["chans_id"].flatten() if "chans_id" in weights else channel_ids(config)
    x = x + weights["target_encoder.chan_embed.weight"][ids]
    summary = weights["target_encoder.summary_token"]  # [1, 4, D]
    b, p, kept = len(x), x.shape[1], summary.shape[1]
    x = x.flatten(0, 1)  # [B * P, C', D]: attention runs over channels, never over time
    x = torch.cat([x, summary.expand(len(x), -1, -1)], 1)  # [B * P, C' + 4, D]
    stage("tokens", x)
    for i in itertools.count():
        if f"target_encoder.blocks.{i}.norm1.weight" not in weights:
            break
        x = run_block(weights, config, x, f"target_encoder.blocks.{i}")
        stage(f"block{i}", x)
    x = layer_norm(weights, "target_encoder.norm", x[:, -kept:], setting(config, "layer_norm_eps"))
    features = x.view(b, p, kept, -1)
    if setting(config, "return_encoder_output"):
        return {"features": features}
    return {"features": features, "logits": probe(weights, features)}


def project_channels(weights, config, signal):
    """[B, C, T] -> [B, C', T]: a linear map over channels, if there is one."""
    bias = weights.get("chan_proj.proj.bias")
    if bias is None:
        return signal
    if f"chan_proj.proj.{ORIGINAL}" in weights:  # [C', C, 1]
        limit = setting(config, "chan_conv_max_norm")
        weight = renorm(weights[f"chan_proj.proj.{ORIGINAL}"], limit)[:, :, 0]
    else:
        weight = weights["chan_proj.proj.weight"]  # [C', C]
    return weight @ signal + bias[:, None]


def embed_patches(weights, config, x):
    """[B, C', T] -> [B, P, C', D], the last patch padded with zeros behind the projection."""
    patch = weights["target_encoder.patch_embed.proj.weight"]  # [D, 1, 1, 64]
    stride = setting(config, "patch_stride")
    x = F.pad(x, (0, (patch.shape[3] - x.shape[2]) % stride))
    bias = weights["target_encoder.patch_embed.proj.bias"]
    x = F.conv2d(x[:, None], patch, bias, stride=(1, stride))  # [B, D, C', P]
    return x.permute(0, 3, 2, 1)


def run_block(weights, config, x, name):
    return block(weights, x, setting(config, "num_heads"), setting(config, "layer_norm_eps"),
                 norm1=f"{name}.norm1", qkv=f"{name}.attn.qkv", out=f"{name}.attn.proj",
                 norm2=f"{name}.norm2", fc1=f"{name}.mlp.fc1", fc2=f"{name}.mlp.fc2")


def probe(weights, features):
    """[B, P, 4, D] -> [B, n]: two linear layers with nothing between them."""
    x = features.flatten(2)  # [B, P, 4 * D]
    for name, limit in (("final_layer.probe1", MAX_NORM1), ("final_layer.probe2", MAX_NORM2)):
        x = F.linear(x, renorm(weights[f"{name}.{ORIGINAL}"], limit), weights[f"{name}.bias"])
        x = x.flatten(1) if x.dim() == 3 else x  # [B, P * 16] behind the first
    return x


def patches(config, samples):
    size, stride = setting(config, "patch_size"), setting(config, "patch_stride")
    return -(-(samples - size) // stride) + 1


def sizes(weights, config):
    """The configuration that the tensors tell, if they are there and have these ranks. `config`
    tells the stride, and stands where the tensors leave a choice."""
    encoder = {name[len("target_encoder."):]: tensor.shape for name, tensor in weights.items()
               if name.startswith("target_encoder.")}
    kept, d = encoder["summary_token"][1:]
    for key in ("patch_module", "norm_layer", "final_layer"):
        if config.get(key) is not None:
            raise ValueError(f"{key} is {config[key]}, expected null")
    if d % setting(config, "num_heads"):
        raise ValueError(f"num_heads = {config['num_heads']} does not divide embed_dim = {d}")
    m, ratio = encoder["blocks.0.mlp.fc1.weight"][0], config.get("mlp_ratio", 4.0)
    told = {"embed_num": kept, "embed_dim": d, "mlp_ratio": ratio if int(d * ratio) == m else m / d,
            "patch_size": encoder["patch_embed.proj.weight"][3],
            "depth": sum(name.endswith(".norm1.weight") for name in encoder),
            "qkv_bias": "blocks.0.attn.qkv.bias" in encoder, "chan_proj_type": "none"}
    if "chan_proj.proj.bias" in weights:
        conv = f"chan_proj.proj.{ORIGINAL}" in weights
        told["chan_proj_type"] = "conv1d_constraint" if conv else "linear"
        told["n_chans"] = weights[f"chan_proj.proj.{ORIGINAL if conv else 'weight'}"].shape[1]
        told["n_chans_target"] = len(weights["chan_proj.proj.bias"])
    elif "chans_id" in weights:
        told["n_chans"] = weights["chans_id"].numel()
    else:  # if it is still open, any number up to 62 has the same tensors
        named = config.get("chs_info") or config.get("ch_names")
        told["n_chans"] = len(named) if named else config.get("n_chans", 1)
    probe = weights.get(f"final_layer.probe2.{ORIGINAL}")
    if probe is not None:
        own, count = {**told, **config}, probe.shape[1] // PROBE
        least = told["patch_size"] + (count - 1) * setting(own, "patch_stride")
        samples = config.get("n_times", least)
        told["n_outputs"] = probe.shape[0]
        told["n_times"] = samples if patches(own, samples) == count else least
    return told


def shapes(config):
    """Every tensor of a checkpoint of this configuration, by name. All are floating point but
    `chans_id`, the row of chan_embed of each channel that the encoder sees."""
    d, kept = setting(config, "embed_dim"), setting(config, "embed_num")
    m, channels = int(d * setting(config, "mlp_ratio")), config["n_chans"]
    kind, tokens, table = setting(config, "chan_proj_type"), channels, {}
    if kind != "none":
        tokens = setting(config, "n_chans_target")
        conv = kind == "conv1d_constraint"
        table[f"chan_proj.proj.{ORIGINAL if conv else 'weight'}"] = [tokens, channels] + [1] * conv
        table["chan_proj.proj.bias"] = [tokens]
    named = kind != "none" or config.get("ch_names") or config.get("chs_info")
    table["chans_id"] = [1, tokens] if named else [tokens]
    table["target_encoder.summary_token"] = [1, kept, d]
    table["target_encoder.patch_embed.proj.weight"] = [d, 1, 1, setting(config, "patch_size")]
    table["target_encoder.patch_embed.proj.bias"] = [d]
    table["target_encoder.chan_embed.weight"] = [max(62, tokens), d]
    for i in range(setting(config, "depth")):
        layers = {"norm1": [d], "attn.qkv": [3 * d, d], "attn.proj": [d, d], "norm2": [d],
                  "mlp.fc1": [m, d], "mlp.fc2": [d, m]}
        for name, shape in layers.items():
            table[f"target_encoder.blocks.{i}.{name}.weight"] = shape
            if name != "attn.qkv" or setting(config, "qkv_bias"):
                table[f"target_encoder.blocks.{i}.{name}.bias"] = shape[:1]
    table.update({"target_encoder.norm.weight": [d], "target_encoder.norm.bias": [d]})
    if not setting(config, "return_encoder_output"):
        n, p = config["n_outputs"], patches(config, config["n_times"])
        for name, shape in (("probe1", [PROBE, kept * d]), ("probe2", [n, p * PROBE])):
            table[f"final_layer.{name}.{ORIGINAL}"] = shape
            table[f"final_layer.{name}.bias"] = shape[:1]
    return table
