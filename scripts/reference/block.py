# SPDX-License-Identifier: MIT
"""What both transformers share: attention and the MLP, as pre-norm residual steps."""
import torch.nn.functional as F


def linear(weights, name, x):
    """x W^T + b; a layer without a bias has no such tensor."""
    return F.linear(x, weights[f"{name}.weight"], weights.get(f"{name}.bias"))


def layer_norm(weights, name, x, eps):
    return F.layer_norm(x, x.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], eps)


def attention(qkv, heads):
    """[B, N, 3 * H * d], rows q, k, v, each head-major -> [B, N, H * d]"""
    b, n, _ = qkv.shape
    q, k, v = qkv.view(b, n, 3, heads, -1).permute(2, 0, 3, 1, 4)  # each [B, H, N, d]
    scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5  # [B, H, N, N]
    return (scores.softmax(-1) @ v).transpose(1, 2).reshape(b, n, -1)


def block(weights, x, heads, eps, norm1, qkv, out, norm2, fc1, fc2):
    """One block on [B, N, D]; the rest are names of its layers, `out` is None where there is none.
    """
    h = attention(linear(weights, qkv, layer_norm(weights, norm1, x, eps)), heads)
    x = x + (linear(weights, out, h) if out else h)
    h = F.gelu(linear(weights, fc1, layer_norm(weights, norm2, x, eps)))  # exact, by erf
    return x + linear(weights, fc2, h)
