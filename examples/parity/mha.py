# SPDX-License-Identifier: Apache-2.0
"""mixer/mha against torch.nn.MultiheadAttention, and its options against SDPA with everything around it written out.

nn.MultiheadAttention has q, k, v in one weight, [q; k; v] of rows; ours has three. It serves plain causal attention and
a window, by its mask. `mha` is the rest: grouped heads, rotary positions, ALiBi, QK norm, window, soft capping, a
convolution after the projections, rows at position -1 (which everyone sees, unrotated).

Where we depart from nn.MultiheadAttention: no biases, no dropout here; its boolean masks hide what is true.
"""

import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from attention import naive
from common import Case, Draw, named, plain
from layers import conv, heads, rms, rope

NORM_EPS = 1e-6


def mha(
    x,
    w,
    H,
    ctx=None,
    q_pos=None,
    k_pos=None,
    causal=True,
    kv=0,
    pos="none",
    window=0,
    softcap=0.0,
    rot=0,
    base=10000.0,
    before=0,
    state=None,
    end=None,
):
    """y of queries x over context rows ctx (x itself), each token seeing what is not after it by position. before:
    tokens that came earlier, whose keys and values state holds."""
    own, ctx = ctx is None, x if ctx is None else ctx
    q_pos = before + torch.arange(x.shape[1]) if q_pos is None else q_pos
    k_pos = (q_pos if own else torch.arange(ctx.shape[1])) if k_pos is None else k_pos
    kv = kv or H

    def lane(name, src, n, at):
        p = src @ w[f"{name}.weight"].T
        if f"{name}_conv.weight" in w:
            p, end[f"tail.{name}"] = conv(p, w[f"{name}_conv.weight"], state[f"tail.{name}"])
        p = heads(p, n)
        if f"{name}_norm.weight" in w:
            p = rms(p, w[f"{name}_norm.weight"], NORM_EPS)
        return rope(p, at, base, rot) if pos == "rope" and name != "v" else p

    q, k, v = lane("q", x, H, q_pos), lane("k", ctx, kv, k_pos), lane("v", ctx, kv, k_pos)
    if before:
        k, v = (torch.cat([state[n][:, :before], t], 1) for n, t in (("k", k), ("v", v)))
        k_pos = torch.cat([torch.arange(before), k_pos])
    far = q_pos[:, None] - k_pos[None, :]
    seen = (far >= 0) | (not causal)
    if window:
        seen = seen & (far < window)
    seen = seen | (k_pos < 0)
    full = (x.shape[0], 1, *seen.shape)
    a = {"q": q, "k": k, "v": v, "mask": seen.expand(full)}
    if pos == "alibi":
        slopes = torch.tensor([2.0 ** (-8 * (h + 1) / H) for h in range(H)], dtype=x.dtype)  # H a power of two
        a["bias"] = -slopes[:, None, None] * torch.where(k_pos < 0, 0, far)
    if softcap:
        o = naive(a, {"scale": q.shape[-1] ** -0.5, "softcap": softcap})["o"]
    else:
        bias = torch.where(seen, a.get("bias", torch.zeros((), dtype=x.dtype)), -torch.inf)
        with sdpa_kernel(SDPBackend.MATH):  # the one that has second derivatives, which a deep memory asks for
            o = F.scaled_dot_product_attention(
                q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), attn_mask=bias, enable_gqa=kv != H
            ).transpose(1, 2)
    if end is not None:  # the cache
        end["k"], end["v"], end["pos"] = k, v, k_pos.int().expand(k.shape[:2])
    return o.flatten(2) @ w["o.weight"].T


def module(x, w, H, window=0, ctx=None, causal=True):
    """nn.MultiheadAttention with our weights."""
    T, D = x.shape[1:]
    c = x if ctx is None else ctx
    m = torch.nn.MultiheadAttention(D, H, bias=False, batch_first=True, dtype=x.dtype)
    i = torch.arange(T)[:, None] - torch.arange(T)
    hidden = (i < 0) | ((i >= window) if window else (i < 0))
    packed = {"in_proj_weight": torch.cat([w[f"{n}.weight"] for n in "qkv"]), "out_proj.weight": w["o.weight"]}
    return torch.func.functional_call(
        m, packed, (x, c, c), {"attn_mask": hidden if causal else None, "need_weights": False}
    )[0]


def cases(loci):
    def case(name, set=(), options=(), library=False, context=0, B=2, T=23, dim=32, before=0, at=None, **how):
        draw = Draw("mha" + name)
        set = {"heads": 4, "pos": "none", **dict(set)}
        settings = {"mixer.backend": "mha", "model.dim": dim, **{f"mixer.mha.{k}": v for k, v in set.items()}}
        info = loci.info("mixer/mha", settings)
        x = {"x": draw.normal(B, T, dim), **draw.weights(info)}
        tails = {n[6:]: torch.zeros_like(t) for n, t in draw.states(info, B).items()}
        if context:
            x["context"] = draw.normal(B, context, dim)
        if at is not None:
            x["positions"] = at.int().repeat(B, 1)
        if before:
            x.update(
                draw.states(info, B),
                **{f"state.{n}": draw.normal(B, before + T, set.get("kv_heads", 4), dim // 4) for n in "kv"},
            )
            x["state.pos"] = torch.arange(before + T, dtype=torch.int32).repeat(B, 1)
            options = (*options, "--pos", str(before))

        def reference(x):
            w, end = plain(x, "param"), {}
            state = {**{n: t.to(x["x"].dtype) for n, t in tails.items()}, **plain(x, "state")}
            y = mha(x["x"], w, 4, x.get("context"), q_pos=at, before=before, state=state, end=end, **how)
            if library:
                y = module(x["x"], w, 4, ctx=x.get("context"), **how)
            return {"y": y, **{n: t for n, t in named("state", end).items() if n not in ring}}

        # With a window the cache is a ring, and which row holds what is the host's affair.
        ring = [f"state.{n}" for n in ("k", "v", "pos") if "window_tok" in set]
        return Case(name, "mixer/mha", x, reference, settings, options, (*ring, *(f"d_{n}" for n in ring)))

    yield case("nn.MultiheadAttention", library=True)
    yield case("nn.MultiheadAttention, attention/ref", {}, ("--set", "attention.backend=ref"), library=True)
    yield case("nn.MultiheadAttention, in pieces", {}, ("--pieces", "3,1,7"), library=True)
    yield case("nn.MultiheadAttention, window of 5", {"window_tok": 5}, library=True, window=5)
    yield case(
        "nn.MultiheadAttention, window of 5, in pieces",
        {"window_tok": 5},
        ("--pieces", "3,1,7"),
        library=True,
        window=5,
    )
    yield case("nn.MultiheadAttention, wide and long", library=True, T=150, dim=192)
    yield case("nn.MultiheadAttention, both ways", {}, ("--desc", "causal=0"), library=True, causal=False)
    yield case("nn.MultiheadAttention, another sequence", library=True, context=31, causal=False)
    yield case("a window of the caller's", {}, ("--desc", "window_left=4"), library=True, window=5)
    gaps = torch.arange(23) * 2 + (torch.arange(23) > 9) * 7
    yield case("positions with gaps", {"pos": "rope", "window_tok": 9}, pos="rope", window=9, at=gaps)
    yield case("positions with gaps, ALiBi", {"pos": "alibi"}, pos="alibi", at=gaps)
    yield case("in mid-stream", before=6)
    yield case(
        "in mid-stream, all at once",
        {"kv_heads": 2, "pos": "rope", "qk_norm": "rms", "conv": 3, "softcap": 2},
        before=6,
        kv=2,
        pos="rope",
        softcap=2.0,
    )
    yield case("in mid-stream, in pieces", {"pos": "rope", "conv": 3}, ("--pieces", "3,1,7"), before=6, pos="rope")
    yield case("grouped heads", {"kv_heads": 2}, kv=2)
    yield case("one key head", {"kv_heads": 1}, kv=1)
    yield case("other widths", {"dk": 6, "dv": 10})
    yield case("rope", {"pos": "rope"}, pos="rope")
    yield case(
        "rope, 4 of 8 channels, base 100",
        {"pos": "rope", "rope_rot": 4, "rope_base": 100},
        pos="rope",
        rot=4,
        base=100.0,
    )
    yield case("rope, in pieces", {"pos": "rope"}, ("--pieces", "3,1,7"), pos="rope")
    yield case("ALiBi", {"pos": "alibi"}, pos="alibi")
    yield case("QK norm", {"qk_norm": "rms"})
    yield case("soft capping", {"softcap": 0.5}, softcap=0.5)
    yield case("convolution", {"conv": 4})
    yield case("convolution, in pieces", {"conv": 4}, ("--pieces", "3,1,7"))
    yield case(
        "all at once",
        {"kv_heads": 2, "pos": "rope", "window_tok": 6, "qk_norm": "rms", "conv": 3},
        kv=2,
        pos="rope",
        window=6,
    )
