# SPDX-License-Identifier: Apache-2.0
"""attention/ref and attention/cpu against torch.nn.functional.scaled_dot_product_attention and plain PyTorch.

What SDPA knows is left to SDPA: full, causal, boolean and float masks, scale, grouped heads. Everything else is written
out in `naive`, which the self-test holds against SDPA in turn: windows, prefix, offset, positions, soft capping, ALiBi,
T5's buckets, sinks, lengths, documents, paged keys. SDPA keeps no log-sum-exp, so that comes from `naive` always.

Where we depart from SDPA: layouts are [B, T, H, D], SDPA's are [B, H, T, D]. `is_causal` aligns the corner of query 0
and key 0; ours aligns positions, query i standing at offset + i, so the last query sees all keys with offset = S - T. A
mask of ours is uint8, 1 for visible, as SDPA's boolean one is (nn.MultiheadAttention's is the opposite). A query that
sees no key gives 0 here and, from PyTorch 2.5 on, there; its log-sum-exp is -inf and it has no gradient. Dropout is not
compared: which weights are dropped is each library's own draw.
"""

import math

import torch
import torch.nn.functional as F

from common import NAMES, Case, Draw

SHAPE = {"B": 2, "T": 37, "S": 53, "H": 6, "Hkv": 2, "d": 16, "e": 24}


def positions(x, desc, B, T, S):
    """Of queries [B, T, 1] and keys [B, 1, S]; -1 is a key that everyone sees."""
    i, j = desc.get("offset", 0) + torch.arange(T).expand(B, T), torch.arange(S).expand(B, S)
    i, j = x.get("q_pos", i), torch.where(j < desc.get("prefix", 0), -1, x.get("k_pos", j))
    return i[:, :, None], j[:, None, :]


def visible(x, desc, B, T, S):
    """Which key a query sees, [B, 1 or H, T, S]."""
    i, j = positions(x, desc, B, T, S)
    left, right = desc.get("window_left", -1), desc.get("window_right", -1)
    seen = (j <= i) if desc.get("causal") else torch.ones(B, T, S, dtype=torch.bool)
    if left >= 0:
        seen = seen & (i - j <= left)
    if right >= 0:
        seen = seen & (j - i <= right)
    documents = [x.get("segment_ids", x.get(n)) for n in ("q_seg", "k_seg")]
    if documents[0] is not None:
        seen = seen & (documents[0][:, :, None] == documents[1][:, None, :])
    seen = seen | (j < 0)
    if "lengths" in x:
        seen = seen & (torch.arange(S) < x["lengths"][:, None, None])
    if "q_len" in x:
        seen = seen & (torch.arange(T)[:, None] < x["q_len"][:, None, None])
    return seen[:, None] & x["mask"].bool() if "mask" in x else seen[:, None]


def bucket(far, buckets, furthest, both):
    """T5's (Raffel et al. 2020): half of the buckets for single distances, the others grow with the logarithm."""
    half = buckets // 2 if both else buckets
    first = torch.where(far > 0, half, 0) if both else 0
    away = far.abs() if both else (-far).clamp(min=0)
    single = half // 2
    more = torch.log(away.clamp(min=1).double() / single) / math.log(furthest / single) * (half - single)
    return first + torch.where(away < single, away, (single + more.long()).clamp(max=half - 1))


def paged(x):
    """Keys and values where they lie in blocks: put in a row, as far as the longest row goes."""
    longest = int(x["lengths"].max())
    return {n: x[n][x["block_table"].long()].flatten(1, 2)[:, :longest] for n in "kv"}


def naive(x, desc):
    if "block_table" in x:
        x = {**x, **paged(x)}
    q, k, v = (x[n].transpose(1, 2) for n in "qkv")
    (B, H, T, _), S = q.shape, k.shape[2]
    k, v = (t.repeat_interleave(H // t.shape[1], dim=1) for t in (k, v))
    s = desc["scale"] * q @ k.transpose(2, 3)
    if desc.get("softcap"):
        s = desc["softcap"] * torch.tanh(s / desc["softcap"])
    if "bias" in x:
        s = s + x["bias"]
    i, j = positions(x, desc, B, T, S)
    if "slopes" in x:
        s = s + x["slopes"][:, None, None] * torch.where(j < 0, 0, j - i)[:, None]
    if "table" in x:
        t = x["table"][bucket(j - i, len(x["table"]), desc["max_distance"], desc["bidirectional"])]  # [B, T, S, H]
        s = s + torch.where(j[..., None] < 0, 0, t).permute(0, 3, 1, 2)
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
    o = F.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, is_causal=bool(square), scale=desc["scale"], enable_gqa=q.shape[1] != k.shape[1]
    )
    return {"o": o.transpose(1, 2), "lse": naive(x, desc)["lse"]}


def qkv(draw, **change):
    s = {**SHAPE, **change}
    return {
        "q": draw.normal(s["B"], s["T"], s["H"], s["d"]),
        "k": draw.normal(s["B"], s["S"], s["Hkv"], s["d"]),
        "v": draw.normal(s["B"], s["S"], s.get("Hv", s["Hkv"]), s["e"]),
    }


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

    def whole(*shape, below):
        return torch.randint(0, below, shape, generator=torch.Generator().manual_seed(below), dtype=torch.int32)

    def anywhere(draw):
        seen = whole(B, S, below=60)
        seen[:, :3] = -1  # rows that everyone sees
        return {"q_pos": whole(B, T, below=59), "k_pos": seen}

    def two(draw):
        return {"q_seg": whole(B, T, below=3), "k_seg": whole(B, S, below=3)}

    def buckets(draw, n=16):
        return {"table": draw.normal(n, H)}

    def blocks(draw):
        order = torch.tensor([[4, 0, 9, 2, 7], [1, 8, 3, 6, 5]], dtype=torch.int32)
        return {
            "k": draw.normal(10, 8, 2, 16),
            "v": draw.normal(10, 8, 2, 24),
            "block_table": order,
            "lengths": torch.tensor([37, 20], dtype=torch.int32),
        }

    yield row("positions in any order", naive, anywhere, causal=1)
    yield row("positions in any order, window", naive, anywhere, causal=1, window_left=9)
    yield row("queries beyond a length", naive, lambda draw: {"q_len": torch.tensor([T, 9], dtype=torch.int32)})
    yield row("queries and keys of documents", naive, two)
    yield row("heads of values of their own", naive, shape={"Hkv": 3, "Hv": 6})
    yield row("T5's buckets, both ways", naive, buckets, max_distance=20, bidirectional=1, offset=5)
    yield row("T5's buckets, backwards", naive, buckets, max_distance=24, bidirectional=0, causal=1, offset=S - T)
    yield row(
        "T5's buckets, prefix", naive, buckets, max_distance=24, bidirectional=0, causal=1, offset=S - T, prefix=4
    )
    yield row("paged", naive, blocks, causal=1, block_tok=8)
    yield row(
        "all at once",
        naive,
        lambda draw: {
            **bias(draw),
            **mask(draw),
            **lengths(draw),
            "sink": draw.normal(H),
            "slopes": draw.normal(H, scale=0.2),
        },
        causal=1,
        offset=S - T,
        window_left=20,
        prefix=2,
        softcap=2.0,
    )


CPU = {"q", "k", "v", "lengths", "q_len", "q_pos", "k_pos", "slopes"}  # what the fast backend takes; no soft capping


def cases(loci):
    for backend in ("ref", "cpu"):
        for name, x, desc, reference in table():
            if backend == "cpu" and (not set(x) <= CPU or "softcap" in desc):
                continue
            line = ",".join(f"{key}={value!r}" for key, value in desc.items())
            yield Case(
                name,
                f"attention/{backend}",
                x,
                lambda x, r=reference, d=desc: r(x, d),
                options=("--desc", line),
                types=tuple(NAMES) if backend == "ref" else tuple(NAMES)[:2],
            )
