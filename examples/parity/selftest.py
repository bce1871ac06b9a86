# SPDX-License-Identifier: Apache-2.0
"""The references among themselves, without loci: two ways to say one thing must agree, derivatives must be derivatives,
and the comparison must see what is wrong. What holds here makes a difference from loci a finding about loci.
"""

import torch
from torch.autograd import gradcheck

import attention
import common
import gla
import hebbian
import layers
import mha
from common import Draw
from delta import Delta, Published
from titans import Deep, Matrix


def small(draw, B=2, T=5, H=2, d=3, e=4):
    return {
        "q": draw.unit(B, T, H, d),
        "k": draw.unit(B, T, H, d),
        "v": draw.normal(B, T, H, e),
        **{g: draw.uniform(0.05, 0.5, B, T, H) for g in ("alpha", "eta", "theta")},
        **{n: draw.normal(B, H, e, d, scale=0.5) for n in ("M", "S", "C")},
    }


def step(rule, x, gates="alpha eta theta", states="M S", pos=0):
    y, end = rule.step(x["q"], x["k"], x["v"], {g: x[g] for g in gates.split()}, {s: x[s] for s in states.split()}, pos)
    return torch.cat([y.flatten(), *(t.flatten() for t in end.values())])


def same(name, a, b):
    off = common.distance(a, b)
    return name, off < 1e-12, f"{off:.1e}"


def slopes(name, f, *inputs):
    inputs = [t.detach().clone().requires_grad_() for t in inputs]
    return name, gradcheck(f, inputs, raise_exception=False), "central differences"


def facts():
    draw = Draw("selftest")
    for name, x, desc, reference in attention.table():
        if reference is attention.sdpa:
            yield same(f"naive is SDPA: {name}", attention.naive(x, desc)["o"], attention.sdpa(x, desc)["o"])

    x = small(draw)
    one = {"alpha theta": "M"}.popitem()
    yield same(
        "titans without momentum is delta, error on undecayed",
        step(Matrix(), x, *one),
        step(Delta(undecayed=True), x, *one),
    )
    yield same("the published delta rule is ours, error on decayed", step(Published(), x, *one), step(Delta(), x, *one))
    # error on undecayed with theta = (1 - alpha) beta, values v / (1 - alpha) is the gated delta rule with beta and v
    keep = 1 - x["alpha"]
    renamed = {**x, "theta": keep * x["theta"], "v": x["v"] / keep[..., None]}
    yield same(
        "the two orders of decay are one rule renamed",
        step(Delta(undecayed=True), renamed, *one),
        step(Published(), x, *one),
    )
    deep = {**x, "W1": x["M"], "S1": x["S"], "C1": x["C"]}
    yield same("an MLP of one layer is a matrix", step(Deep(depth=1), leaf(deep), states="W1 S1"), step(Matrix(), x))
    yield same(
        "likewise frozen, from inside a chunk",
        step(Deep(depth=1, frozen=4), leaf(deep), states="W1 S1 C1", pos=2),
        step(Matrix(frozen=4), x, states="M S C", pos=2),
    )
    yield same("chunks of one token are no chunks", step(Matrix(frozen=1), x, states="M S C")[:-48], step(Matrix(), x))
    yield same(
        "linear attention in parallel is the loop",
        step(hebbian.Parallel(), x, "alpha theta", "M"),
        step(hebbian.Hebbian(), {**x, "M": 0 * x["M"]}, "alpha theta", "M"),
    )

    g = -draw.uniform(0, 0.5, 2, 5, 2, 3)
    nothing = torch.zeros(2, 2, 4, 3, dtype=torch.float64)
    for a, b, what in zip(
        gla.loop(x["q"], x["k"], x["v"], g, nothing), gla.closed(x["q"], x["k"], x["v"], g, nothing), "oS"
    ):
        yield same(f"gated linear attention in closed form is the loop: {what}", a, b)
    u, w = draw.normal(2, 9, 8), {f"{n}.weight": draw.normal(8, 8, scale=0.3) for n in "qkvo"}
    yield same("mha is nn.MultiheadAttention", mha.mha(u, w, 4), mha.module(u, w, 4))
    yield same("with a window, too", mha.mha(u, w, 4, window=3), mha.module(u, w, 4, window=3))
    r = [layers.rope(u.unflatten(2, (2, 4)), torch.arange(9) + at) for at in (0, 31)]
    yield same("rotary positions are relative", *(torch.einsum("bthd,bshd->bhts", t, t) for t in r))
    yield same("a row at position -1 is not rotated", layers.rope(u[:, :1, None], torch.tensor([-1])), u[:, :1, None])

    names = ("q", "k", "v", "alpha", "eta", "theta", "M", "S")
    yield slopes(
        "slopes of the matrix",
        lambda *t: step(Matrix(), dict(zip(names, t))),
        *(x[n][:1, :3] for n in names[:6]),
        *(x[n][:1] for n in names[6:]),
    )
    y = {n: t[:1, :3] if n in names[:6] else t[:1] for n, t in x.items()}
    wide = [draw.normal(1, 2, 5, 3), draw.normal(1, 2, 4, 5), draw.normal(1, 2, 5, 3), draw.normal(1, 2, 4, 5)]
    yield slopes(
        "slopes of the MLP, through the inner gradient",
        lambda *t: step(Deep(), {**y, **dict(zip(("q", "k", "v", "W1", "W2", "S1", "S2"), t))}, states="W1 W2 S1 S2"),
        y["q"],
        y["k"],
        y["v"],
        *wide,
    )

    yield "a difference is seen", common.distance(u * (1 + 1e-4), u) > 5e-5, ""
    yield "a NaN is seen", common.distance(u * torch.nan, u) == float("inf"), ""
    yield "an infinity on one side is seen", common.distance(u, u / 0) == float("inf"), ""
    yield "zeros for a gradient are seen", common.distance(0 * u, u) > 0.99, ""
    yield "a tensor that is missing is seen", common.against({}, {"y": u})["y"] == float("inf"), ""
    yield "a tensor that nobody asked for is seen", common.against({"y": u, "z": u}, {"y": u})["z"] == float("inf"), ""


def leaf(x):
    return {n: t.clone().requires_grad_() for n, t in x.items()}


def run(show):
    """How many facts do not hold; show(name, holds, remark) of each."""
    wrong = 0
    for name, holds, remark in facts():
        show(name, holds, remark)
        wrong += not holds
    return wrong


if __name__ == "__main__":
    raise SystemExit(run(lambda name, holds, remark: print("ok  " if holds else "FAIL", name, remark)) > 0)
