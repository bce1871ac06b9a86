# SPDX-License-Identifier: Apache-2.0
"""attention/ref and attention/cpu against torch.nn.functional.scaled_dot_product_attention and plain PyTorch.

What SDPA knows is left to SDPA: full, causal, boolean and float masks, scale, grouped heads. Everything else is written
out in `naive`, which the self-test holds against SDPA in turn: windows, prefix, offset, soft capping, ALiBi, sinks,
lengths, documents. SDPA keeps no log-sum-exp, so that comes from `naive` always.

Where we depart from SDPA: layouts are [B, T, H, D], SDPA's are [B, H, T, D]. `is_causal` aligns the corner of query 0
and key 0; ours aligns positions, query i standing at offset + i, so the last query sees all keys with offset = S - T. A
mask of ours is uint8, 1 for visible, as SDPA's boolean one is (nn.MultiheadAttention's is the opposite). A query that
sees no key gives 0 here and, from PyTorch 2.5 on, there; its log-sum-exp is -inf and it has no gradient.
"""

import torch
import torch.nn.functional as F

from common import Case, Draw

SHAPE = {"B": 2, "T": 37, "S": 53, "H": 6, "Hkv": 2, "d": 16, "e": 24}


def visible(x, desc, B, T, S):
    """Which key j a query i sees, [B, 1 or H, T, S]."""
    d = {"offset": 0, "window_left": -1, "window_right": -1, "prefix": 0, "causal": 0, **desc}
    i, j = d["offset"] + torch.arange(T)[:, None], torch.arange(S)[None, :]
    seen = (j <= i) if d["causal"] else torch.ones(T, S, dtype=torch.bool)
    if d["window_left"] >= 0:
        seen = seen & (i - j <= d["window_left"])
    if d["window_right"] >= 0:
        seen = seen & (j - i <= d["window_right"])
    seen = seen.expand(B, 1, T, S)
    if "segment_ids" in x:
        seg = x["segment_ids"]
        seen = seen & (seg[:, None, :T, None] == seg[:, None, None, :S])
    seen = seen | (j < d["prefix"])
    if "lengths" in x:
        seen = seen & (j < x["lengths"][:, None, None, None])
    return seen & x["mask"].bool() if "mask" in x else seen


def naive(x, desc):
    q, k, v = (x[n].transpose(1, 2) for n in "qkv")
    (B, H, T, _), S = q.shape, k.shape[2]
    k, v = (t.repeat_interleave(H // t.shape[1], dim=1) for t in (k, v))
    s = desc["scale"] * q @ k.transpose(2, 3)
    if desc.get("softcap"):
        s = desc["softcap"] * torch.tanh(s / desc["softcap"])
    if "bias" in x:
        s = s + x["bias"]
    if "slopes" in x:
        i, j = desc.get("offset", 0) + torch.arange(T)[:, None], torch.arange(S)[None, :]
        s = s + x["slopes"][:, None, None] * torch.where(j < desc.get("prefix", 0), 0, j - i)
    seen = visible(x, desc, B, T, S)
    s = torch.where(seen, s, -torch.inf)
    if "sink" in x:
        s = torch.cat([s, x["sink"][:, None, None].expand(B, H, T, 1)], dim=3)
    none = torch.isneginf(s).all(dim=3, keepdim=True)
    s = torch.where(none, 0, s)  # softmax of nothing has no gradient; what comes of it is dropped
    lse = torch.where(none.squeeze(3), -torch.inf, s.logsumexp(dim=3))
    o = torch.where(none, 0, s.softmax(dim=3)[..., :S]) @ v
    return {"o": o.transpose(1, 2), "lse": lse}


def sdpa(x, desc):
    """The same, where SDPA can say it: o is SDPA's."""
    q, k, v = (x[n].transpose(1, 2) for n in "qkv")
    T, S = q.shape[2], k.shape[2]
    square = desc.get("causal") and desc.get("offset", 0) == 0 and T == S and not ("mask" in x or "bias" in x)
    mask = None
    if "bias" in x:
        mask = x["bias"].expand(q.shape[0], q.shape[1], T, S)
        mask = torch.where(visible(x, desc, q.shape[0], T, S), mask, -torch.inf)
    elif not square and (desc.get("causal") or "mask" in x):
        mask = visible(x, desc, q.shape[0], T, S)
    o = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=bool(square), scale=desc["scale"],
                                       enable_gqa=q.shape[1] != k.shape[1])
    return {"o": o.transpose(1, 2), "lse": naive(x, desc)["lse"]}


def qkv(draw, **change):
    s = {**SHAPE, **change}
    return {"q": draw.normal(s["B"], s["T"], s["H"], s["d"]), "k": draw.normal(s["B"], s["S"], s["Hkv"], s["d"]),
            "v": draw.normal(s["B"], s["S"], s["Hkv"], s["e"])}


def table():
    """(name, inputs, descriptor, reference)"""
    B, T, S, H = (SHAPE[n] for n in ("B", "T", "S", "H"))
    same = {"S": T}

    def row(name, reference, extra=lambda draw: {}, shape=(), **desc):
        draw = Draw(name)
        x = qkv(draw, **dict(shape))
        return name, {**x, **extra(draw)}, {"scale": x["q"].shape[-1] ** -0.5, **desc}, reference

    def mask(draw, b=B, h=H):
        seen = draw.uniform(0, 1, b, h, T, S) < 0.6
        seen[:, :, 5] = False  # a query that sees nothing
        return {"mask": seen.to(torch.uint8)}

    def bias(draw, b=B, h=H):
        return {"bias": draw.normal(b, h, T, S)}

    def documents(draw):
        return {"segment_ids": torch.tensor([[0] * 9 + [1] * 20 + [2] * 8, [4] * 30 + [3] * 7], dtype=torch.int32)}

    def lengths(draw):
        return {"lengths": torch.tensor([S, 11], dtype=torch.int32)}

    yield row("full", sdpa)
    yield row("full, one group a head", sdpa, shape={"Hkv": H})
    yield row("full, one key head", sdpa, shape={"Hkv": 1})
    yield row("scale", sdpa, scale=0.7)
    yield row("causal", sdpa, shape=same, causal=1)
    yield row("causal, last query sees all", sdpa, causal=1, offset=S - T)
    yield row("more queries than keys", sdpa, shape={"S": 20}, causal=1, offset=20 - T)
    yield row("one query", sdpa, shape={"T": 1}, causal=1, offset=S - 1)
    yield row("long", sdpa, shape={"B": 1, "T": 300, "S": 300, "H": 2, "Hkv": 2}, causal=1)
    yield row("peaked", sdpa, scale=4.0)
    yield row("mask", sdpa, mask)
    yield row("mask, one for all", sdpa, lambda draw: mask(draw, 1, 1))
    yield row("mask, one for all heads", sdpa, lambda draw: mask(draw, B, 1))
    yield row("bias", sdpa, bias)
    yield row("bias, one for all", sdpa, lambda draw: bias(draw, 1, 1))
    yield row("bias, one for all rows", sdpa, lambda draw: bias(draw, 1, H))
    yield row("bias, mask, causal", sdpa, lambda draw: {**bias(draw), **mask(draw)}, causal=1, offset=S - T)
    yield row("window of 8", naive, causal=1, window_left=7, offset=S - T)
    yield row("window on both sides", naive, window_left=5, window_right=3, offset=4)
    yield row("window of 1", naive, shape=same, causal=1, window_left=0)
    yield row("prefix", naive, shape=same, causal=1, prefix=4)
    yield row("prefix, window", naive, causal=1, window_left=5, prefix=3, offset=S - T)
    yield row("offset", naive, causal=1, offset=7)
    yield row("keys all in the future", naive, causal=1, offset=-100)
    yield row("soft capping", naive, softcap=1.5)
    yield row("soft capping, causal", naive, shape=same, softcap=0.5, causal=1)
    yield row("ALiBi", naive, lambda draw: {"slopes": -draw.uniform(0, 0.5, H)}, causal=1, offset=S - T)
    yield row("ALiBi, prefix", naive, lambda draw: {"slopes": draw.normal(H, scale=0.3)}, prefix=5, offset=2)
    yield row("sink", naive, lambda draw: {"sink": draw.normal(H)}, causal=1, offset=S - T)
    yield row("sink, nothing visible", naive, lambda draw: {"sink": draw.normal(H)}, causal=1, offset=-20)
    yield row("lengths", naive, lengths)
    yield row("lengths, causal", naive, lengths, causal=1, offset=S - T)
    yield row("length 0", naive, lambda draw: {"lengths": torch.tensor([0, 5], dtype=torch.int32)})
    yield row("documents", naive, documents, shape=same, causal=1)
    yield row("documents, window", naive, documents, shape=same, causal=1, window_left=6)
    yield row("all at once", naive, lambda draw: {**bias(draw), **mask(draw), **lengths(draw), "sink": draw.normal(H),
                                                  "slopes": draw.normal(H, scale=0.2)},
              causal=1, offset=S - T, window_left=20, prefix=2, softcap=2.0)


CPU = {"q", "k", "v", "lengths", "slopes"}  # what the fast backend takes; it declines soft capping, too


def cases(loci):
    for backend in ("ref", "cpu"):
        for name, x, desc, reference in table():
            if backend == "cpu" and (not set(x) <= CPU or "softcap" in desc):
                continue
            line = ",".join(f"{key}={value!r}" for key, value in desc.items())
            yield Case(name, f"attention/{backend}", x, lambda x, r=reference, d=desc: r(x, d),
                       options=("--desc", line))
