# SPDX-License-Identifier: Apache-2.0
"""A memory with its front end (`apply --layer`) against the same layer in plain PyTorch: x in, y out.

    p = x W', c = conv(p), a = silu(c)                   for q, k and v
    q = l2(a_q), k = l2(a_k), v = a_v                    per head
    gate = lo + (hi - lo) sigmoid(x Wg' + bg)            lo + softplus(...) where hi is infinite
    y = (rms(rule(q, k, v, gates)) o silu(x Wz')) Wo'    rms per head, a gain for each channel of each head

Source: Titans, section 4.4, which leaves the width of the convolution and the gate's activation open; ours are 4 and
SiLU. Every part can be switched off. What is read of a memory without a write goes through the q lane and the output
path.
"""

import torch
import torch.nn.functional as F

from common import Case, Draw, named, plain
from delta import Delta, Published
from hebbian import Hebbian
from layers import conv, heads, l2, rms
from titans import Deep, Matrix

RMS_EPS = 1e-5


class Identity:
    """memory/identity: y = v."""

    def begin(self, weights, streams):
        return {}

    def step(self, q, k, v, gate, state, pos=0):
        return v, {}


class Zero(Identity):
    """memory/zero: y = 0, with nothing projected; one token of it stands for all."""

    def step(self, q, k, v, gate, state, pos=0):
        return torch.zeros(1, 1, 4, 8), {}


class Layer:
    """A rule behind the front end. A part is there when its weights are, silu and l2 when not switched off."""

    def __init__(self, rule, heads, gates, silu=True, l2=True):
        self.rule, self.heads, self.gates, self.silu, self.l2 = rule, heads, gates, silu, l2

    def lane(self, s, x, w, state, end):
        p = x @ w[f"front.{s}.weight"].T
        if f"front.conv_{s}.weight" in w:
            p, end[f"front.tail_{s}"] = conv(p, w[f"front.conv_{s}.weight"], state[f"front.tail_{s}"])
        p = heads(F.silu(p) if self.silu else p, self.heads)
        return l2(p) if self.l2 and s != "v" else p

    def gate(self, x, w):
        made = {}
        for g in self.gates:
            z = x @ w[f"front.gate.{g['name']}.weight"].T + w[f"front.gate.{g['name']}.bias"]
            lo, hi = g["range"]
            z = lo + F.softplus(z) if hi == "inf" else lo + (hi - lo) * torch.sigmoid(z)
            made[g["name"]] = heads(z, self.heads) if g["width"] > 1 else z
        return made

    def out(self, x, y, w):
        if "front.norm.weight" in w:
            y = rms(y, w["front.norm.weight"], RMS_EPS)
        y = y.flatten(2)
        if "front.out_gate.weight" in w:
            y = y.to(x.dtype) * F.silu(x @ w["front.out_gate.weight"].T)
        return y @ w["front.o.weight"].T if "front.o.weight" in w else y

    def step(self, x, w, state, pos=0):
        end = {}
        lanes = {s: self.lane(s, x, w, state, end) if f"front.{s}.weight" in w else None for s in "qkv"}
        rule = {n: t for n, t in state.items() if not n.startswith("front.")}
        y, rule = self.rule.step(**lanes, gate=self.gate(x, w), state=rule, pos=pos)
        return self.out(x, y, w), {**rule, **end}

    def read(self, x, w, state):
        """The rule's state stays, the tail of the q lane goes on."""
        end = dict(state)
        q = self.lane("q", x, w, state, end)
        return self.out(x, self.rule.read(q, state), w), end

    def write(self, x, w, state, pos=0):
        """No output; the tail of the q lane stays."""
        _, end = self.step(x, w, state, pos)
        return {n: state[n] if n == "front.tail_q" else t for n, t in end.items()}

    def begin(self, info, w, streams, like):
        """State of documents at their first token; shapes as info has them."""
        first = self.rule.begin(w, streams)
        state = {}
        for s in info["slots"]:
            if s["role"] == "state":
                given = first.get(s["name"])
                state[s["name"]] = torch.zeros(streams, *s["shape"][1:], dtype=like.dtype) if given is None else given
        return state


def cases(loci):
    def case(
        name, backend, rule, rule_set=(), front=(), options=(), pos=0, op="step", B=2, T=15, dim=32, H=4, **switch
    ):
        draw, component = Draw("front" + name), f"memory/{backend}"
        settings = {
            "model.dim": dim,
            "memory.backend": backend,
            "memory.heads": H,
            **{f"memory.{k}": v for k, v in dict(front).items()},
            **{f"memory.{backend}.{k}": v for k, v in dict(rule_set).items()},
        }
        info = loci.info(component, settings, "--layer")
        layer = Layer(rule, H, info["gates"], **switch)
        x = {"x": draw.normal(B, T, dim), **draw.weights(info)}
        if pos:
            x.update(draw.states(info, B))
            options = (*options, "--pos", str(pos))

        def reference(x):
            w = plain(x, "param")
            state = plain(x, "state") if pos else layer.begin(info, w, B, x["x"])
            if op == "write":
                return named("state", layer.write(x["x"], w, state, pos))
            y, state = layer.read(x["x"], w, state) if op == "read" else layer.step(x["x"], w, state, pos)
            return {"y": y, **named("state", state)}

        return Case(name, component, x, reference, settings, ("--layer", "--op", op, *options))

    learned = {"init_state": "learned"}
    yield case("titans", "titans", Matrix())
    yield case("titans, in mid-stream", "titans", Matrix(), pos=7)
    yield case("titans, in pieces", "titans", Matrix(), options=("--pieces", "3,1,7"))
    yield case("titans, read", "titans", Matrix(), pos=7, op="read")
    yield case("titans, write", "titans", Matrix(), pos=7, op="write")
    yield case("titans, learned start", "titans", Matrix(), learned)
    yield case("titans, frozen", "titans", Matrix(frozen=4), {"mode": "frozen", "chunk": 4}, pos=6)
    yield case("titans, other widths", "titans", Matrix(), front={"dk": 6, "dv": 10})
    yield case("titans, no convolution", "titans", Matrix(), front={"conv": 0})
    yield case("titans, two taps", "titans", Matrix(), front={"conv": 2})
    yield case("titans, no SiLU", "titans", Matrix(), front={"silu": "no"}, silu=False)
    yield case("titans, no l2", "titans", Matrix(), {"theta_max": 0.1}, front={"qk_norm": "none"}, l2=False)
    yield case("titans, no output norm", "titans", Matrix(), front={"out_norm": "no"})
    yield case("titans, no output gate", "titans", Matrix(), front={"out_gate": "none"})
    yield case("titans, no output projection", "titans", Matrix(), front={"out_proj": "no"})
    yield case("MLP, frozen", "titans", Deep(frozen=4), {"depth": 2, "chunk": 4, "expansion": 2}, T=11)
    yield case(
        "MLP, a gate a layer",
        "titans",
        Deep(frozen=4),
        {"depth": 2, "chunk": 4, "expansion": 2, "gates": "per_layer"},
        T=11,
        pos=5,
    )
    yield case("delta", "delta", Published())
    yield case("delta, frozen, learned start", "delta", Delta(frozen=4), {"mode": "frozen", "chunk": 4, **learned})
    yield case("hebbian", "hebbian", Hebbian(), pos=3)
    yield case("identity", "identity", Identity())
    yield case("zero", "zero", Zero())
