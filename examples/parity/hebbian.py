# SPDX-License-Identifier: Apache-2.0
"""memory/hebbian against linear attention in plain PyTorch, in its two forms.

    S_t = eta_t S_{t-1} + theta_t v_t k_t'     M_t = (1 - alpha_t) M_{t-1} + S_t     y_t = scale M_t q_t

`Hebbian` is that loop. From nothing and without momentum it is also attention without a softmax, with a decay by
distance: Y = (Q K' o D) V, D[t, j] = theta_j prod over j < i <= t of (1 - alpha_i); `Parallel` computes that (linear
attention: Katharopoulos et al. 2020; with a constant alpha retention: Sun et al. 2023).

Where we depart from the papers: no feature map and no normaliser; keys and queries come as they are.
"""

from dataclasses import dataclass

import torch

from rules import WIDE, rule_case


@dataclass
class Hebbian:
    before: bool = False
    scale: float = 1.0

    def begin(self, weights, streams):
        return {"M": weights["M0"].expand(streams, *weights["M0"].shape) if "M0" in weights else None}

    def read(self, q, state):
        return self.scale * torch.einsum("bhed,bthd->bthe", state["M"], q)

    def step(self, q, k, v, gate, state, pos=0):
        M, S, y = state["M"], state.get("S", 0), []
        for t in range(k.shape[1]):
            alpha, eta, theta = (
                gate[g][:, t, :, None, None] if g in gate else other
                for g, other in (("alpha", 0), ("eta", 0), ("theta", 1))
            )
            if self.before:
                y.append(self.scale * torch.einsum("bhed,bhd->bhe", M, q[:, t]))
            S = eta * S + theta * v[:, t, :, :, None] * k[:, t, :, None, :]
            M = (1 - alpha) * M + S
            if not self.before:
                y.append(self.scale * torch.einsum("bhed,bhd->bhe", M, q[:, t]))
        last = {"M": M, "S": S}
        return torch.stack(y, 1), {name: last[name] for name in state}


class Parallel(Hebbian):
    def step(self, q, k, v, gate, state, pos=0):
        B, T, H, _ = k.shape
        one = torch.ones(B, T, H, dtype=k.dtype)
        keep, theta = 1 - gate.get("alpha", 0 * one), gate.get("theta", one)
        D = (
            torch.stack(
                [
                    torch.stack([keep[:, j + 1 : t + 1].prod(1) if j <= t else 0 * one[:, 0] for j in range(T)], -1)
                    for t in range(T)
                ],
                -2,
            )
            * theta.mT[:, :, None, :]
        )  # [B, H, t, j]
        y = self.scale * torch.einsum("bthd,bjhd,bhtj,bjhe->bthe", q, k, D, v)
        return y, {"M": torch.einsum("bhj,bjhe,bjhd->bhed", D[:, :, -1], v, k)}


def cases(loci):
    def case(name, rule, set=(), **how):
        return rule_case(
            loci, name, "memory/hebbian", rule, {f"memory.hebbian.{k}": v for k, v in dict(set).items()}, **how
        )

    for mode in ("sequential", "exact"):
        yield case(mode, Hebbian(), {"mode": mode})
        yield case(f"{mode}, from nothing, in parallel", Parallel(), {"mode": mode}, given=False)
        yield case(f"{mode}, linear attention", Parallel(), {"mode": mode, "forget": "no", "step": "one"}, given=False)
        yield case(f"{mode}, learned start", Hebbian(), {"mode": mode, "init_state": "learned"}, given=False)
        yield case(f"{mode}, momentum", Hebbian(), {"mode": mode, "momentum": "yes"})
        yield case(f"{mode}, momentum, no forgetting", Hebbian(), {"mode": mode, "momentum": "yes", "forget": "no"})
        yield case(f"{mode}, reads first", Hebbian(before=True), {"mode": mode, "read_order": "before_write"})
        yield case(f"{mode}, in pieces", Hebbian(), {"mode": mode}, options=("--pieces", "3,1,7"))
    yield case("read", Hebbian(), op="read")
    yield case("write", Hebbian(), op="write")
    yield case("exact, chunks of 5, q scaled", Hebbian(scale=8**-0.5), {"chunk": 5, "q_scale": "rsqrt_dk"})
    yield case("exact, wide and long", Hebbian(), T=150, size=WIDE)
    yield case("exact, one chunk", Hebbian(), {"chunk": 64}, T=40)
