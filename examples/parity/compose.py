# SPDX-License-Identifier: Apache-2.0
"""compose/mac, mag, mal, lmm and plain against blocks.py, with a mixer and a memory with its front end inside.

Where we depart from the paper: as printed, mac sees the future twice (`literal`). `strict` lets token t see the rows
h_j of tokens j <= t; `summary` reads with learned queries, `previous` with those of the segment before. The gate's form
is open in the paper: normgate is (a o rms(y)) o sigmoid(b o rms(m)). mal has a residual around the memory (gate = add).
"""

from dataclasses import dataclass

import torch

from blocks import Block, Mac
from common import Case, Draw, named, plain
from delta import Published
from front import Layer
from gla import gla
from mha import mha
from titans import Deep, Matrix

CACHE = [f"state.mix.{n}" for n in ("k", "v", "pos")]  # which row of it holds what is the host's affair


def has(loci, backend, settings):
    """Weights and states of the block and of the components inside, and the gates of its memory."""
    slots = {s["name"]: s for s in loci.info(f"compose/{backend}", settings)["slots"]}
    gates = []
    for role in ("mixer", "memory"):
        if (role, backend) in (("mixer", "lmm"), ("memory", "plain")):
            continue
        layer = ("--layer",) if role == "memory" else ()
        info = loci.info(f"{role}/{settings[f'{role}.backend']}", settings, *layer)
        gates = gates or info["gates"]
        slots.update({f"{role}.{s['name']}": {**s, "name": f"{role}.{s['name']}"} for s in info["slots"]})
    return {"slots": list(slots.values()), "gates": gates}


@dataclass
class Reference:
    backend: str
    layer: Layer
    slots: list  # of the memory
    heads: int
    mixer: str
    mix: dict  # how the mixer differs from its defaults
    form: str  # of the gate
    how: dict

    def attend(self, w, end):
        def mixed(a, ctx, a_pos, ctx_pos):
            if self.mixer == "mha":
                return mha(a, w, self.heads, ctx, a_pos, ctx_pos, **{"pos": "rope", **self.mix})
            B, D = a.shape[0], a.shape[2]
            nothing = {"S": a.new_zeros(B, self.heads, D // self.heads, D // 2 // self.heads)}
            y, last = gla(ctx, w, nothing, H=self.heads)  # rows before x are its first tokens
            end.update(named("mix", last))
            return y[:, ctx.shape[1] - a.shape[1] :]

        return mixed

    def first(self, x, w, name):
        """The memory's first state: what the component begins with, and over it what was given."""
        return {**self.layer.begin({"slots": self.slots}, w, len(x["x"]), x["x"]), **plain(x, f"state.{name}")}

    def mac(self, x, w, end):
        memory = plain(w, "memory")
        block = Mac(
            w,
            self.attend(plain(w, "mixer"), end),
            (self.layer, memory, self.first(x, memory, "run"), self.first(x, memory, "snap")),
            self.form,
            **self.how,
        )
        y, run, snap = block(x["x"])
        end.update({**named("run", run), **named("snap", snap)})
        if block.retrieval == "previous":  # token t is row t mod C
            C, T = block.segment, x["x"].shape[1]
            end["last"] = torch.stack([x["x"][:, max(range(i, T, C))] for i in range(C)], 1)
        return y

    def once(self, x, w, end):
        memory = plain(w, "memory")

        def remember(z):
            y, last = self.layer.step(z, memory, self.first(x, memory, "mem"))
            end.update(named("mem", last))
            return y

        block = Block(w, self.attend(plain(w, "mixer"), end), remember, self.form)
        return getattr(block, self.backend)(x["x"], **self.how)

    def __call__(self, x):
        end = {}
        y = (self.mac if self.backend == "mac" else self.once)(x, plain(x, "param"), end)
        return {"y": y, **named("state", end)}


def compose(
    loci,
    name,
    backend,
    own=(),
    rule=Matrix(),
    memory="titans",
    rule_set=(("init_state", "learned"),),
    mixer="mha",
    mixer_set=(),
    mix=(),
    options=(),
    B=2,
    T=19,
    dim=32,
    H=4,
    form="normgate",
    given=(),
    **how,
):
    draw, component = Draw("compose" + name), f"compose/{backend}"
    settings = {
        "model.dim": dim,
        "compose.backend": backend,
        "mixer.backend": mixer,
        "memory.backend": memory,
        "memory.heads": H,
        f"mixer.{mixer}.heads": H,
        **{f"compose.{backend}.{k}": v for k, v in dict(own).items()},
        **{f"memory.{memory}.{k}": v for k, v in dict(rule_set).items()},
        **{f"mixer.{mixer}.{k}": v for k, v in dict(mixer_set).items()},
    }
    parts = has(loci, backend, settings)
    x = {"x": draw.normal(B, T, dim), **draw.weights(parts)}
    inside = [{**s, "name": s["name"][7:]} for s in parts["slots"] if s["name"].startswith("memory.")]
    for which in given:  # of a memory the rule's state; its lanes begin with no past
        of_rule = {"slots": [s for s in inside if not s["name"].startswith("front.")]}
        x.update(named(f"state.{which}", plain(draw.states(of_rule, B), "state")))
    reference = Reference(backend, Layer(rule, H, parts["gates"]), inside, H, mixer, dict(mix), form, how)
    return Case(name, component, x, reference, settings, options, (*CACHE, *(f"d_{n}" for n in CACHE)))


def cases(loci):
    def case(*words, **how):
        return compose(loci, *words, **how)

    pieces, learned = ("--pieces", "3,1,7"), {"init_state": "learned"}
    frozen = {"rule": Matrix(frozen=4), "rule_set": {"mode": "frozen", "chunk": 4, "theta_max": 0.25, **learned}}
    deep = {"rule": Deep(frozen=4), "rule_set": {"depth": 2, "chunk": 4, "expansion": 2}}
    gated = {"rule": Published(), "memory": "delta", "rule_set": learned}
    four = {"segment_tok": 4}

    for how in ("strict", "summary", "previous", "literal"):
        own = {**four, "retrieval": how, **({"summary_tok": 3} if how == "summary" else {})}
        yield case(f"mac, {how}", "mac", own, segment=4, retrieval=how)
        if how != "literal":
            yield case(f"mac, {how}, in pieces", "mac", own, segment=4, retrieval=how, options=pieces)
    yield case("mac, from given memories", "mac", four, segment=4, given=("run", "snap"))
    yield case("mac, from given memories, in pieces", "mac", four, segment=4, given=("run", "snap"), options=pieces)
    yield case("mac, from nothing", "mac", four, segment=4, rule_set=())
    yield case("mac, one token a segment", "mac", {"segment_tok": 1}, segment=1)
    yield case("mac, one segment", "mac", {"segment_tok": 32}, segment=32)
    yield case("mac, no persistent rows", "mac", {**four, "persistent_tok": 0}, segment=4)
    yield case(
        "mac, a window in the segment",
        "mac",
        {"segment_tok": 8},
        mixer_set={"window_tok": 3},
        mix={"window": 3},
        segment=8,
    )
    yield case("mac, no positions", "mac", four, mixer_set={"pos": "none"}, mix={"pos": "none"}, segment=4)
    yield case("mac, frozen memory", "mac", {"segment_tok": 6}, segment=6, **frozen)
    yield case("mac, MLP", "mac", {"segment_tok": 6}, segment=6, T=14, **deep)
    yield case("mac, MLP, in pieces", "mac", {"segment_tok": 6}, segment=6, T=14, options=pieces, **deep)
    yield case("mac, gated delta", "mac", four, segment=4, **gated)
    for form in ("mul", "sig", "lerp", "add"):
        yield case(f"mac, gate {form}", "mac", {**four, "gate": form}, segment=4, form=form)
        yield case(f"mag, gate {form}", "mag", {"gate": form}, form=form)
    yield case("mag", "mag")
    yield case("mag, from a given memory", "mag", given=("mem",))
    yield case("mag, from nothing", "mag", rule_set=())
    yield case("mag, in pieces", "mag", options=pieces)
    yield case(
        "mag, window, grouped heads", "mag", mixer_set={"window_tok": 5, "kv_heads": 1}, mix={"window": 5, "kv": 1}
    )
    yield case("mag, a window of the caller's", "mag", options=("--desc", "window_left=4"), mix={"window": 5})
    yield case("mag, the memory sees p", "mag", {"persistent_to_memory": "yes"}, to_memory=True)
    yield case("mag, frozen memory, in pieces", "mag", options=pieces, **frozen)
    yield case("mag, MLP", "mag", T=14, **deep)
    yield case("mag, gla and gated delta", "mag", mixer="gla", **gated)
    yield case("mal", "mal", form="add")
    yield case("mal, from nothing", "mal", form="add", rule_set=())
    yield case("mal, in pieces", "mal", form="add", options=pieces)
    yield case("mal, p past the memory", "mal", {"persistent_to_memory": "no"}, form="add", to_memory=False)
    yield case("mal, normgate, window", "mal", {"gate": "normgate"}, mixer_set={"window_tok": 5}, mix={"window": 5})
    yield case("mal, MLP", "mal", form="add", T=14, **deep)
    yield case("mal, gla", "mal", form="add", mixer="gla")
    yield case("lmm", "lmm")
    yield case("lmm, from a given memory, MLP", "lmm", given=("mem",), T=14, **deep)
    yield case("lmm, persistent rows, in pieces", "lmm", {"persistent_tok": 3}, options=pieces)
    yield case("plain", "plain")
    yield case("plain, persistent rows, in pieces", "plain", {"persistent_tok": 3}, options=pieces)
    yield case("plain, gla, persistent rows", "plain", {"persistent_tok": 3}, mixer="gla")
