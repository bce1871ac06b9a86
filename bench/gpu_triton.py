# SPDX-License-Identifier: Apache-2.0
"""Attention forward as a Triton kernel: the peer that is written in an afternoon.

o = softmax(scale q k') v by online softmax (Dao 2023, algorithm 1): a program owns ROWS queries of one head and walks over
its keys, COLS at a time, in units of log 2. q, k, v [B, H, T, D], packed; 16-bit numbers, sums in float32.
"""
import math

import torch
import triton
import triton.language as tl


@triton.jit
def forward_kernel(q, k, v, o, scale2, T, D: tl.constexpr, CAUSAL: tl.constexpr, ROWS: tl.constexpr, COLS: tl.constexpr):
    first = tl.program_id(0) * ROWS
    head = tl.program_id(1).to(tl.int64) * T * D
    i = first + tl.arange(0, ROWS)
    j = tl.arange(0, COLS)
    c = tl.arange(0, D)
    rows = tl.load(q + head + i[:, None] * D + c[None, :], mask=i[:, None] < T, other=0.0)
    top = tl.full([ROWS], -float("inf"), tl.float32)
    total = tl.zeros([ROWS], tl.float32)
    out = tl.zeros([ROWS, D], tl.float32)
    end = tl.minimum(first + ROWS, T) if CAUSAL else T
    for at in range(0, end, COLS):
        there = at + j < T
        keys = tl.load(k + head + (at + j)[None, :] * D + c[:, None], mask=there[None, :], other=0.0)
        s = tl.dot(rows, keys) * scale2
        seen = there[None, :]
        if CAUSAL:
            seen = seen & (at + j[None, :] <= i[:, None])
        s = tl.where(seen, s, -float("inf"))
        new = tl.maximum(top, tl.max(s, 1))
        base = tl.where(new == -float("inf"), 0.0, new)
        p = tl.exp2(s - base[:, None])
        shrink = tl.exp2(top - base)
        values = tl.load(v + head + (at + j)[:, None] * D + c[None, :], mask=there[:, None], other=0.0)
        out = out * shrink[:, None] + tl.dot(p.to(values.dtype), values)
        total = total * shrink + tl.sum(p, 1)
        top = new
    tl.store(o + head + i[:, None] * D + c[None, :], (out / total[:, None]).to(o.dtype.element_ty), mask=i[:, None] < T)


def forward(q, k, v, causal):
    """The result for contiguous q, k, v of one shape."""
    B, H, T, D = q.shape
    o = torch.empty_like(q)
    rows, cols = (128, 64) if D <= 64 else (128, 32)
    forward_kernel[(triton.cdiv(T, rows), B * H)](q, k, v, o, math.log2(math.e) / math.sqrt(D), T, D, causal, rows, cols,
                                                  num_warps=4 if D <= 64 else 8, num_stages=3)
    return o
