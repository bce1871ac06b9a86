# SPDX-License-Identifier: Apache-2.0
"""memory/titans against Titans (Behrouz, Zhong, Mirrokni 2025) in plain PyTorch: a loop over tokens.

A memory is a network W per head. A token's surprise is the gradient of an inner loss, momentum keeps it for a while,
forgetting lets the memory fade:

    g_t = d/dW c/2 | net(P, k_t) - v_t |^2         P = W_{t-1};  frozen: the weights before t's chunk
    S_t = eta_t S_{t-1} - theta_t g_t
    W_t = (1 - alpha_t) W_{t-1} + S_t
    y_t = net(W_t, q_t)                            or net(W_{t-1}, q_t): before the write

A matrix (depth 1) has g = e k' with e = M k - v, which `Matrix` uses. `Deep` leaves g to autograd with
create_graph=True: the gradient of our outputs goes through it, second derivatives and all, and nothing of our adjoint's
algebra is in it. Mode exact computes chunks by a triangular system; here it has no counterpart on purpose, for it must
equal the loop.

Where we depart from the paper: c is 1 (its loss is |e|^2, c = 2, but its linear equations drop the 2); the paper does
not say whether a token reads before or after its own write, we take after; gates are numbers per head and token.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from rules import WIDE, rule_case


@dataclass
class Matrix:
    frozen: int = 0  # tokens of a chunk; 0: the recurrence
    c: float = 1.0
    before: bool = False

    def begin(self, weights, streams):
        """The first state of documents that none was given for."""
        M = weights["M0"].expand(streams, *weights["M0"].shape) if "M0" in weights else None
        return {"M": M, "S": None}

    def read(self, q, state):
        return torch.einsum("bhed,bthd->bthe", state["M"], q)

    def step(self, q, k, v, gate, state, pos=0):
        M, S, C, y = state["M"], state.get("S"), state.get("C"), []
        one = torch.ones(k.shape[0], k.shape[2], dtype=k.dtype)
        for t in range(k.shape[1]):
            alpha, eta, theta = (
                gate[g][:, t] if g in gate else other * one for g, other in (("alpha", 0), ("eta", 0), ("theta", 1))
            )
            if self.frozen and (pos + t) % self.frozen == 0:
                C = M
            if self.before:
                y.append(torch.einsum("bhed,bhd->bhe", M, q[:, t]))
            e = torch.einsum("bhed,bhd->bhe", C if self.frozen else M, k[:, t]) - v[:, t]
            new = -self.c * theta[..., None, None] * e[..., :, None] * k[:, t, :, None, :]
            S = new if S is None else eta[..., None, None] * S + new
            M = (1 - alpha)[..., None, None] * M + S
            if not self.before:
                y.append(torch.einsum("bhed,bhd->bhe", M, q[:, t]))
        last = {"M": M, "S": S, "C": C}
        return torch.stack(y, 1), {name: last[name] for name in state}


@dataclass
class Deep:
    depth: int = 2
    frozen: int = 0
    c: float = 1.0
    before: bool = False
    gelu: bool = False
    residual: bool = False

    def names(self, letter):
        return [f"{letter}{i + 1}" for i in range(self.depth)]

    def begin(self, weights, streams):
        state = {}
        for i, name in enumerate(self.names("W")):
            init = weights[f"{name}.init"]
            state[name] = init.expand(streams, *init.shape)
            state[f"S{i + 1}"] = torch.zeros_like(state[name])
            state[f"C{i + 1}"] = torch.zeros_like(state[name])
        return state

    def net(self, W, x):
        """x [B, H, n]"""
        h = x
        for i, w in enumerate(W):
            h = torch.einsum("bhij,bhj->bhi", w, h)
            if i + 1 < self.depth:
                h = F.gelu(h, approximate="tanh") if self.gelu else F.silu(h)
        return h + x if self.residual else h

    def read(self, q, state):
        W = [state[n] for n in self.names("W")]
        return torch.stack([self.net(W, q[:, t]) for t in range(q.shape[1])], 1)

    def step(self, q, k, v, gate, state, pos=0):
        W, S, C = ([state.get(n) for n in self.names(letter)] for letter in "WSC")
        y = []
        for t in range(k.shape[1]):
            if self.frozen and (pos + t) % self.frozen == 0:
                C = W
            if self.before:
                y.append(self.net(W, q[:, t]))
            P = [w.clone() for w in (C if self.frozen else W)]  # k and v may come of a read of the same tensors
            loss = 0.5 * self.c * ((self.net(P, k[:, t]) - v[:, t]) ** 2).sum()
            g = torch.autograd.grad(loss, P, create_graph=True)
            for i in range(self.depth):

                def of(name, other):
                    if name not in gate:
                        return other
                    one = gate[name][:, t]
                    return (one[..., i] if one.dim() == 3 else one)[..., None, None]

                new = -of("theta", 1) * g[i]
                S[i] = new if S[i] is None else of("eta", 0) * S[i] + new
                W = [w if j != i else (1 - of("alpha", 0)) * w + S[i] for j, w in enumerate(W)]
            if not self.before:
                y.append(self.net(W, q[:, t]))
        last = {**dict(zip(self.names("W"), W)), **dict(zip(self.names("S"), S)), **dict(zip(self.names("C"), C))}
        return torch.stack(y, 1), {name: last[name] for name in state}


def cases(loci):
    def matrix(name, rule, set=(), **how):
        return rule_case(
            loci, name, "memory/titans", rule, {f"memory.titans.{k}": v for k, v in dict(set).items()}, **how
        )

    for mode in ("sequential", "exact"):
        yield matrix(mode, Matrix(), {"mode": mode})
        yield matrix(f"{mode}, from nothing", Matrix(), {"mode": mode}, given=False)
        yield matrix(f"{mode}, learned start", Matrix(), {"mode": mode, "init_state": "learned"}, given=False)
        yield matrix(f"{mode}, no momentum", Matrix(), {"mode": mode, "momentum": "no"})
        yield matrix(f"{mode}, no forgetting", Matrix(), {"mode": mode, "forget": "no"})
        yield matrix(f"{mode}, neither", Matrix(), {"mode": mode, "momentum": "no", "forget": "no"})
        yield matrix(f"{mode}, reads first", Matrix(before=True), {"mode": mode, "read_order": "before_write"})
        yield matrix(f"{mode}, c = 2", Matrix(c=2.0), {"mode": mode, "loss_scale": 2}, top=0.5)
        yield matrix(f"{mode}, in pieces", Matrix(), {"mode": mode}, options=("--pieces", "3,1,7"))
    yield matrix("read", Matrix(), op="read")
    yield matrix("write", Matrix(), op="write")
    yield matrix("exact, chunks of 5", Matrix(), {"mode": "exact", "chunk": 5})
    yield matrix("exact, one chunk", Matrix(), {"mode": "exact", "chunk": 64}, T=40)
    yield matrix("exact, one token", Matrix(), {"mode": "exact"}, T=1)
    yield matrix("exact, wide and long", Matrix(), {"mode": "exact"}, T=150, size=WIDE, top=0.3)
    frozen = {"mode": "frozen", "theta_max": 0.25}
    yield matrix("frozen", Matrix(frozen=4), {**frozen, "chunk": 4})
    yield matrix("frozen, chunks of 1", Matrix(frozen=1), {**frozen, "chunk": 1})
    yield matrix("frozen, in pieces", Matrix(frozen=4), {**frozen, "chunk": 4}, options=("--pieces", "3,1,7"))
    yield matrix(
        "frozen, learned start", Matrix(frozen=8), {**frozen, "chunk": 8, "init_state": "learned"}, given=False
    )
    yield matrix("frozen, from token 6 on", Matrix(frozen=4), {**frozen, "chunk": 4}, pos=6)
    yield matrix(
        "frozen, reads first", Matrix(frozen=4, before=True), {**frozen, "chunk": 4, "read_order": "before_write"}
    )

    small = {"memory.heads": 2, "memory.dk": 4, "memory.dv": 6}
    square = {"memory.heads": 2, "memory.dk": 5, "memory.dv": 5}
    deep = {"depth": 2, "mode": "frozen", "chunk": 4, "theta_max": 0.2}
    token = {"depth": 2, "mode": "sequential", "theta_max": 0.2}

    def mlp(name, rule, set, **how):
        return matrix("MLP " + name, rule, set, **{"size": small, "T": 13, **how})

    yield mlp("of 2, token by token", Deep(), token)
    yield mlp("of 2, token by token, learned start", Deep(), token, given=False)
    yield mlp("of 2, frozen", Deep(frozen=4), deep)
    yield mlp("of 2, frozen, learned start", Deep(frozen=4), deep, given=False)
    yield mlp("of 2, frozen, in pieces", Deep(frozen=4), deep, options=("--pieces", "3,1,7"))
    yield mlp("of 2, frozen, from token 6 on", Deep(frozen=4), deep, pos=6)
    yield mlp("of 2, frozen, a gate a layer", Deep(frozen=4), {**deep, "gates": "per_layer"})
    yield mlp("of 2, frozen, GELU", Deep(frozen=4, gelu=True), {**deep, "activation": "gelu"})
    yield mlp("of 2, frozen, residual", Deep(frozen=4, residual=True), {**deep, "residual": "yes"}, size=square)
    yield mlp("of 2, frozen, no momentum", Deep(frozen=4), {**deep, "momentum": "no"})
    yield mlp("of 2, frozen, no forgetting", Deep(frozen=4), {**deep, "forget": "no"})
    yield mlp("of 2, frozen, reads first", Deep(frozen=4, before=True), {**deep, "read_order": "before_write"})
    yield mlp("of 2, read", Deep(frozen=4), deep, op="read")
    yield mlp("of 2, write", Deep(frozen=4), deep, op="write")
    yield mlp("of 3, frozen", Deep(depth=3, frozen=4), {**deep, "depth": 3})
    yield mlp("of 3, token by token, a gate a layer", Deep(depth=3), {**token, "depth": 3, "gates": "per_layer"})
    yield mlp(
        "of 1 with a residual, frozen",
        Deep(depth=1, frozen=4, residual=True),
        {**deep, "depth": 1, "residual": "yes"},
        size=square,
    )
