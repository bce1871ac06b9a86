# SPDX-License-Identifier: Apache-2.0
"""The small parts that several references share: convolution, norms, rotary positions."""

import torch
import torch.nn.functional as F


def conv(x, w, tail):
    """Depthwise and causal: y_t[c] = sum over l of w[c, l] x_{t-l}[c]. x [B, T, N], w [N, taps]; tail [B, taps - 1, N]
    holds what came before, oldest first. Returns y and the new tail. nn.Conv1d wants the taps the other way round."""
    full = torch.cat([tail, x], dim=1)
    y = F.conv1d(full.transpose(1, 2), w.flip(1)[:, None], groups=w.shape[0]).transpose(1, 2)
    return y, full[:, full.shape[1] - (w.shape[1] - 1) :]


def rms(x, gain, eps):
    return gain * x * torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + eps)


def l2(x):
    return x * torch.rsqrt(x.square().sum(dim=-1, keepdim=True) + 1e-12)


def heads(x, n):
    """[B, T, n d] -> [B, T, n, d]"""
    return x.unflatten(-1, (n, -1))


def rope(x, pos, base=10000.0, rot=0):
    """Rotary positions, the two halves of the first `rot` channels against each other (NeoX); -1 is not rotated.
    x [B, T, H, d], pos [T] or [B, T]."""
    rot = rot or x.shape[-1]
    angle = pos.clamp(min=0).double()[..., None] * base ** (-torch.arange(0, rot, 2, dtype=torch.float64) / rot)
    c, s = (f(angle)[..., None, :].to(x.dtype) for f in (torch.cos, torch.sin))
    a, b = x[..., : rot // 2], x[..., rot // 2 : rot]
    return torch.cat([a * c - b * s, b * c + a * s, x[..., rot:]], dim=-1)
