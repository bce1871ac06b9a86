# SPDX-License-Identifier: Apache-2.0
"""Cases of a memory's rule, without the front end: q, k, v and gates in, y and states out.

A rule here is an object with step(q, k, v, gate, state, pos), read(q, state) and begin(weights, streams), the state of
documents that none was given for, as far as it is not zero.
"""

import torch

from common import Case, Draw, named, plain

SIZE = {"memory.heads": 2, "memory.dk": 8, "memory.dv": 12}
WIDE = {"memory.heads": 2, "memory.dk": 64, "memory.dv": 48}


def rule_case(
    loci, name, component, rule, settings, options=(), B=2, T=19, given=True, pos=0, top=1.0, size=SIZE, op="step"
):
    """A rule on q, k, v and gates. given: the first states are given, so weights only come in where they are not."""
    draw = Draw(component + name)
    settings = {**size, "memory.backend": component.split("/")[1], **settings}
    info = loci.info(component, settings)
    H, dk, dv = (settings[f"memory.{n}"] for n in ("heads", "dk", "dv"))
    x = {"q": draw.unit(B, T, H, dk), "k": draw.unit(B, T, H, dk), "v": draw.normal(B, T, H, dv)}
    x.update(draw.gates(info, B, T, H, top=top))
    x.update(draw.weights(info))
    states = draw.states(info, B)
    if given:
        x.update(states)

    def reference(x):
        state = plain(x, "state")
        if not given:
            state = rule.begin(plain(x, "param"), B)
            state = {
                n[6:]: state.get(n[6:]) if state.get(n[6:]) is not None else torch.zeros_like(t).to(x["q"].dtype)
                for n, t in states.items()
            }
        if op == "read":
            return {"y": rule.read(x["q"], state), **named("state", state)}
        y, state = rule.step(x.get("q", x["k"]), x["k"], x["v"], plain(x, "gate"), state, pos)
        return {**({"y": y} if op == "step" else {}), **named("state", state)}

    if pos:
        options = (*options, "--pos", str(pos))
    if op != "step":
        unused = ("k", "v", "gate.") if op == "read" else ("q",)
        x = {n: t for n, t in x.items() if not n.startswith(unused)}
        options = (*options, "--op", op)
    return Case(name, component, x, reference, settings, options)
