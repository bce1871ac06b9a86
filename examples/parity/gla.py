# SPDX-License-Identifier: Apache-2.0
"""mixer/gla against gated linear attention (Yang et al. 2024) in plain PyTorch: a loop over tokens, and in closed form.

    S_t = S_{t-1} diag(exp g_t) + v_t k_t'     o_t = S_t q_t / sqrt(dk)     g = log sigmoid(Wu Wd x + b) / 16

From nothing, o_t = sum over j <= t of <q_t, exp(g_{j+1} + ... + g_t) o k_j> v_j / sqrt(dk), which `closed` computes.

Where we depart from flash-linear-attention's layer: the state is [dv, dk] where theirs is [dk, dv]; weights are named
by role; the convolution's taps begin with the token itself. Where both depart from the paper: RMS norm for LayerNorm,
no bias in the output gate.
"""

import torch
import torch.nn.functional as F

from common import Case, Draw, named, plain
from layers import conv, heads, rms


def loop(q, k, v, g, S):
    o = []
    for t in range(q.shape[1]):
        S = S * g[:, t].exp()[:, :, None, :] + v[:, t, :, :, None] * k[:, t, :, None, :]
        o.append(torch.einsum("bhed,bhd->bhe", S, q[:, t]))
    return torch.stack(o, 1), S


def closed(q, k, v, g, S):
    """S: nothing."""
    G = g.cumsum(1)
    fade = torch.exp(torch.clamp(G[:, :, None] - G[:, None], max=0))  # [B, t, j, H, d]
    A = torch.einsum("bthd,btjhd,bjhd->bhtj", q, fade, k).tril()
    last = torch.einsum("bjhe,bjhd->bhed", v, torch.exp(G[:, -1:] - G) * k)
    return torch.einsum("bhtj,bjhe->bthe", A, v), last


def gla(x, w, state, recurrence=loop, H=4, normalizer=16.0, eps=1e-5):
    end = {}

    def lane(name):
        p = x @ w[f"{name}.weight"].T
        if f"{name}_conv.weight" not in w:
            return heads(p, H)
        c, end[f"tail.{name}"] = conv(p, w[f"{name}_conv.weight"], state[f"tail.{name}"])
        return heads(F.silu(c), H)

    q, k, v = lane("q"), lane("k"), lane("v")
    logit = x @ w["decay.down.weight"].T @ w["decay.up.weight"].T + w["decay.bias"]
    o, end["S"] = recurrence(q * q.shape[-1] ** -0.5, k, v, heads(F.logsigmoid(logit) / normalizer, H), state["S"])
    if "norm.weight" in w:
        o = rms(o, w["norm.weight"], eps)
    o = o.flatten(2)
    if "out_gate.weight" in w:
        o = F.silu(x @ w["out_gate.weight"].T) * o
    return o @ w["o.weight"].T, end


def cases(loci):
    def case(name, set=(), options=(), recurrence=loop, pos=0, B=2, T=23, dim=24, **how):
        draw = Draw("gla" + name)
        settings = {
            "mixer.backend": "gla",
            "model.dim": dim,
            "mixer.gla.heads": how.get("H", 4),
            "mixer.gla.gate_low_rank": 5,
            **{f"mixer.gla.{k}": v for k, v in dict(set).items()},
        }
        info = loci.info("mixer/gla", settings)
        x = {"x": draw.normal(B, T, dim), **draw.weights(info)}
        zero = {n[6:]: torch.zeros_like(t) for n, t in draw.states(info, B).items()}
        if pos:
            x.update(draw.states(info, B))
            options = (*options, "--pos", str(pos))

        def reference(x):
            state = plain(x, "state") or {n: t.to(x["x"].dtype) for n, t in zero.items()}
            y, state = gla(x["x"], plain(x, "param"), state, recurrence, **how)
            return {"y": y, **named("state", state)}

        return Case(name, "mixer/gla", x, reference, settings, options)

    for mode in ("sequential", "chunk", "parallel"):
        yield case(mode, {"mode": mode}, pos=6)
        yield case(f"{mode}, from nothing", {"mode": mode}, recurrence=closed)
        yield case(f"{mode}, in pieces", {"mode": mode, "conv": 3}, ("--pieces", "3,1,7"))
    yield case("chunks of 5", {"chunk": 5}, pos=4)
    yield case("wide and long", {"mode": "chunk"}, T=150, dim=192, pos=70)
    yield case("convolution", {"conv": 4}, pos=9)
    yield case("no norm, no gate", {"out_norm": "no", "out_gate": "none"})
    yield case("strong decay", {"gate_normalizer": 1}, normalizer=1.0)
    yield case("other widths", {"expand_k": 1, "expand_v": 2, "heads": 3}, H=3)
