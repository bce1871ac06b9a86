# SPDX-License-Identifier: Apache-2.0
"""References that are wrong in one way each: every one must come out as different from loci. A comparison that lets one
pass would let loci's own error of that kind pass, too.
"""

import torch
from torch.nn.functional import conv1d

import attention
import blocks
import common
import compose
import front
import mha
import titans


def l2_with_a_larger_eps(x):
    return x * torch.rsqrt(x.square().sum(dim=-1, keepdim=True) + 1e-6)


def taps_the_other_way_round(x, w, tail):
    full = torch.cat([tail, x], dim=1)
    y = conv1d(full.transpose(1, 2), w[:, None], groups=w.shape[0]).transpose(1, 2)
    return y, full[:, full.shape[1] - (w.shape[1] - 1) :]


def momentum_without_a_past(self, q, k, v, gate, state, pos=0, right=titans.Matrix.step):
    return right(self, q, k, v, gate, {n: t.detach() if n == "S" else t for n, t in state.items()}, pos)


def writes_without_a_gradient(self, q, k, v, gate, state, pos=0, right=titans.Deep.step):
    return right(self, q, k.detach(), v.detach(), gate, state, pos)


def queries_without_a_gradient(self, x, at, right=blocks.Mac.queries):
    return right(self, x, at).detach()


def rows_that_everyone_sees(self, h, s, at, right=blocks.Mac.context):
    rows, own, pos = right(self, h, s, at)
    first = len(pos) - h.shape[1] - s.shape[1]
    return rows, own, torch.cat([pos[:first], -torch.ones(h.shape[1]).long(), pos[first + h.shape[1] :]])


def window_off_by_one(x, desc, B, T, S, right=attention.visible):
    return right(x, {**desc, "window_left": desc["window_left"] + 1}, B, T, S)


WRONG = (  # what, the case, where, its name, the wrong one
    ("a window too wide by one", attention, "window of 8", attention, "visible", window_off_by_one),
    ("another eps in the QK norm", mha, "QK norm", mha, "NORM_EPS", 1e-5),
    ("another eps in the l2 norm", front, "titans", front, "l2", l2_with_a_larger_eps),
    ("another eps in the output norm", front, "titans", front, "RMS_EPS", 1e-6),
    ("a convolution backwards", front, "titans", front, "conv", taps_the_other_way_round),
    ("momentum without a past", titans, "exact", titans.Matrix, "step", momentum_without_a_past),
    ("no gradient through a write", titans, "MLP of 2, frozen", titans.Deep, "step", writes_without_a_gradient),
    ("another eps in the gate", compose, "mac, strict", blocks, "GATE_EPS", 1e-5),
    ("no gradient through the queries", compose, "mac, strict", blocks.Mac, "queries", queries_without_a_gradient),
    ("a leak of the future", compose, "mac, strict", blocks.Mac, "context", rows_that_everyone_sees),
)


def run(loci, show):
    """How many wrong references agree with loci; show(name, found, remark) of each."""
    missed = 0
    for what, group, name, owner, member, wrong in WRONG:
        case = next(c for c in group.cases(loci) if c.name == name)
        right = getattr(owner, member)
        setattr(owner, member, wrong)
        try:
            r = common.compare(loci, case, torch.float64)
        finally:
            setattr(owner, member, right)
        found = r.worst > 100 * common.LIMIT[torch.float64]
        show(f"{what} is found", found, f"{r.worst:.1e} ({r.where})")
        missed += not found
    return missed


if __name__ == "__main__":
    torch.set_num_threads(1)
    raise SystemExit(
        run(common.Loci(), lambda name, found, remark: print("ok  " if found else "FAIL", name, remark)) > 0
    )
