# SPDX-License-Identifier: Apache-2.0
"""memory/delta against the delta rule (Yang et al. 2024) and the gated delta rule (Yang et al. 2025) in plain PyTorch.

`published` is the rule as its papers have it, with a decay a and a step beta,

    M_t = a_t M_{t-1} (I - beta_t k_t k_t') + beta_t v_t k_t'

which is decay_order = error_on_decayed with a = 1 - alpha and beta = theta. With error_on_undecayed the error is taken
before the memory decays (Titans' order); `Delta` is that, and mode frozen, token by token.

Where we depart from the libraries: they keep the logarithm of a and make it by an exponential of a softplus, ours is a
sigmoid gate; queries are scaled by dk^-1/2 there, here with q_scale = rsqrt_dk only; states there are [dk, dv].
"""

from dataclasses import dataclass

import torch

from rules import WIDE, rule_case


def read(M, q):
    return torch.einsum("bhed,bhd->bhe", M, q)


@dataclass
class Delta:
    undecayed: bool = False
    frozen: int = 0
    before: bool = False
    scale: float = 1.0

    def begin(self, weights, streams):
        return {"M": weights["M0"].expand(streams, *weights["M0"].shape) if "M0" in weights else None}

    def read(self, q, state):
        return self.scale * torch.einsum("bhed,bthd->bthe", state["M"], q)

    def step(self, q, k, v, gate, state, pos=0):
        M, C, y = state["M"], state.get("C"), []
        for t in range(k.shape[1]):
            theta = gate["theta"][:, t, :, None]
            a = 1 - gate["alpha"][:, t, :, None] if "alpha" in gate else torch.ones_like(theta)
            if self.frozen and (pos + t) % self.frozen == 0:
                C = M
            if self.before:
                y.append(self.scale * read(M, q[:, t]))
            e = (1 if self.undecayed else a) * read(C if self.frozen else M, k[:, t]) - v[:, t]
            M = a[..., None] * M - (theta * e)[..., None] * k[:, t, :, None, :]
            if not self.before:
                y.append(self.scale * read(M, q[:, t]))
        last = {"M": M, "C": C}
        return torch.stack(y, 1), {name: last[name] for name in state}


class Published(Delta):
    """The papers' recurrence, as it is printed."""

    def step(self, q, k, v, gate, state, pos=0):
        M, y, eye = state["M"], [], torch.eye(k.shape[3], dtype=k.dtype)
        for t in range(k.shape[1]):
            beta, kt = gate["theta"][:, t, :, None, None], k[:, t, :, None, :]
            a = 1 - gate["alpha"][:, t, :, None, None] if "alpha" in gate else 1
            M = a * M @ (eye - beta * kt.mT @ kt) + beta * v[:, t, :, :, None] @ kt
            y.append(self.scale * read(M, q[:, t]))
        return torch.stack(y, 1), {"M": M}


def cases(loci):
    def case(name, rule, set=(), **how):
        return rule_case(
            loci, name, "memory/delta", rule, {f"memory.delta.{k}": v for k, v in dict(set).items()}, **how
        )

    undecayed = {"decay_order": "error_on_undecayed"}
    for mode in ("sequential", "exact"):
        yield case(f"delta, {mode}", Published(), {"mode": mode, "forget": "no"})
        yield case(f"gated delta, {mode}", Published(), {"mode": mode})
        yield case(f"gated delta, {mode}, from nothing", Published(), {"mode": mode}, given=False)
        yield case(
            f"gated delta, {mode}, learned start", Published(), {"mode": mode, "init_state": "learned"}, given=False
        )
        yield case(f"gated delta, {mode}, in pieces", Published(), {"mode": mode}, options=("--pieces", "3,1,7"))
        yield case(f"gated delta, {mode}, steps to 2", Published(), {"mode": mode, "beta_max": 2})
        yield case(f"error on undecayed, {mode}", Delta(undecayed=True), {"mode": mode, **undecayed})
        yield case(f"reads first, {mode}", Delta(before=True), {"mode": mode, "read_order": "before_write"})
    yield case("gated delta, read", Published(), op="read")
    yield case("gated delta, write", Published(), op="write")
    yield case("gated delta, exact, chunks of 5", Published(), {"chunk": 5})
    yield case("gated delta, exact, one chunk", Published(), {"chunk": 64}, T=40)
    yield case("gated delta, exact, wide and long", Published(), T=150, size=WIDE)
    yield case("gated delta, q scaled", Published(scale=8**-0.5), {"q_scale": "rsqrt_dk"})
    frozen = {"mode": "frozen", "chunk": 4, "beta_max": 0.25}
    yield case("frozen", Delta(frozen=4), frozen)
    yield case("frozen, error on undecayed", Delta(frozen=4, undecayed=True), {**frozen, **undecayed})
    yield case("frozen, in pieces", Delta(frozen=4), frozen, options=("--pieces", "3,1,7"))
    yield case("frozen, from token 6 on", Delta(frozen=4), frozen, pos=6)
