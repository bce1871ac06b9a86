# SPDX-License-Identifier: Apache-2.0
"""compose/mac, mag, mal, lmm and plain against the same blocks in plain PyTorch, with mixer/mha and a memory inside.

Titans (Behrouz et al. 2025), section 4; p are learned rows that everyone sees, mix(a | c) attention of a over c:

    plain  y = mix(x | [p; x])                 lmm  y = mem([p; x])
    mag    o = gate(mix(x | [p; x]), mem(x))   mal  u = gate(z, mem(z)), y = mix(u_x | u), z = [p; x]
    mac    per segment: h = read(M, queries), y = mix(x | [p; h; x]), m = step(y), o = gate(y, m)

The memory that mac reads is the one the segment before left; a second copy advances on y. Nothing here knows of lock
step, caches, run lists or saved blocks: a segment is a slice.

Where we depart from the paper: as printed, mac sees the future twice (`literal`). `strict` lets token t see the rows h_j
of tokens j <= t; `summary` reads with learned queries, `previous` with those of the segment before. The gate's form is
open in the paper: normgate is (a o rms(y)) o sigmoid(b o rms(m)). mal has a residual around the memory (gate = add).
"""

import torch

from common import Case, Draw, named, plain
from delta import Published
from front import Layer
from gla import gla
from layers import rms
from mha import mha
from titans import Deep, Matrix

GATE_EPS = 1e-6


def gate(form, y, m, w):
    if form == "normgate":
        return rms(y, w["gate_y.weight"], GATE_EPS) * torch.sigmoid(rms(m, w["gate_m.weight"], GATE_EPS))
    if form == "lerp":
        g = torch.sigmoid(torch.cat([y, m], -1) @ w["gate.weight"].T)
        return g * y + (1 - g) * m
    return {"mul": lambda: y * m, "sig": lambda: y * torch.sigmoid(m), "add": lambda: y + m}[form]()


class Block:
    """w: the composition's own weights; mix(x, ctx, q_pos, k_pos); mem(x)."""

    def __init__(self, w, mix, mem=None, form="normgate"):
        self.w, self.mix, self.mem, self.form = w, mix, mem, form

    def rows(self, x):
        """[p; x] and its positions."""
        p = self.w["persistent"] if "persistent" in self.w else x.new_zeros(0, x.shape[2])
        p = p.expand(x.shape[0], *p.shape)
        return torch.cat([p, x], 1), torch.cat([-torch.ones(p.shape[1]), torch.arange(x.shape[1])]).long(), p.shape[1]

    def attend(self, x):
        ctx, pos, P = self.rows(x)
        return self.mix(x, ctx, pos[P:], pos)

    def plain(self, x):
        return self.attend(x)

    def lmm(self, x):
        z, _, P = self.rows(x)
        return self.mem(z)[:, P:]

    def mag(self, x, to_memory=False):
        m = self.lmm(x) if to_memory else self.mem(x)
        return gate(self.form, self.attend(x), m, self.w)

    def mal(self, x, to_memory=True):
        if not to_memory:
            return self.attend(gate(self.form, x, self.mem(x), self.w))
        z, pos, P = self.rows(x)
        u = gate(self.form, z, self.mem(z), self.w)
        return self.mix(u[:, P:], u, pos[P:], pos)


class Mac(Block):
    """mem: (layer, weights, first state of the memory that is written, of the one that is read)."""

    def __init__(self, w, mix, mem, form, segment, retrieval="strict"):
        super().__init__(w, mix, mem, form)
        self.segment, self.retrieval = segment, retrieval

    def queries(self, x, at):
        if self.retrieval == "summary":
            return self.w["summary"].expand(x.shape[0], *self.w["summary"].shape)
        if self.retrieval == "previous":
            return x[:, at - self.segment : at] if at else x[:, :0]
        return x[:, at : at + self.segment]

    def context(self, h, s, at):
        """Rows and positions."""
        own, P = at + torch.arange(s.shape[1]), self.rows(s)[2]
        before = -torch.ones(h.shape[1]).long()
        if self.retrieval == "strict":
            before = own
        if self.retrieval == "literal":  # positions of the concatenation
            before, own = torch.arange(h.shape[1]), h.shape[1] + torch.arange(s.shape[1])
        rows, _, _ = self.rows(torch.cat([h, s], 1))
        return rows, own, torch.cat([-torch.ones(P).long(), before, own])

    def __call__(self, x):
        layer, w, run, snap = self.mem
        out = []
        for at in range(0, x.shape[1], self.segment):
            s, q = x[:, at : at + self.segment], self.queries(x, at)
            h, read = layer.read(q, w, snap) if q.shape[1] else (q, snap)
            if self.retrieval != "summary":  # there the queries are a sequence of their own for every read
                snap = read
            rows, own, pos = self.context(h, s, at)
            y = self.mix(s, rows, own, pos)
            if self.retrieval == "literal":
                m, run = self.written(layer, w, y, run, at)
            else:
                m, run = layer.step(y, w, run, at)
            out.append(gate(self.form, y, m, self.w))
            if s.shape[1] == self.segment:
                snap = {n: snap[n] if n.startswith("front.tail") else run[n] for n in snap}
        return torch.cat(out, 1), run, snap

    @staticmethod
    def written(layer, w, y, run, at):
        """The memory after the whole segment, read by all its tokens; their tails are those before it."""
        _, after = layer.step(y, w, run, at)
        m, _ = layer.read(y, w, {n: run[n] if n.startswith("front.tail") else t for n, t in after.items()})
        return m, after


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


def cases(loci):
    def case(name, backend, own=(), rule=Matrix(), memory="titans", rule_set=(("init_state", "learned"),), mixer="mha", mixer_set=(), mix=(),
             options=(), B=2, T=19, dim=32, H=4, form="normgate", given=(), **how):
        draw, component = Draw("compose" + name), f"compose/{backend}"
        settings = {"model.dim": dim, "compose.backend": backend, "mixer.backend": mixer, "memory.backend": memory,
                    "memory.heads": H, f"mixer.{mixer}.heads": H,
                    **{f"compose.{backend}.{k}": v for k, v in dict(own).items()},
                    **{f"memory.{memory}.{k}": v for k, v in dict(rule_set).items()},
                    **{f"mixer.{mixer}.{k}": v for k, v in dict(mixer_set).items()}}
        parts = has(loci, backend, settings)
        x = {"x": draw.normal(B, T, dim), **draw.weights(parts)}
        layer = Layer(rule, H, parts["gates"])
        inside = {"slots": [{**s, "name": s["name"][7:]} for s in parts["slots"] if s["name"].startswith("memory.")]}

        for name_of in given:  # first states of the rule; its lanes begin with no past
            rules = {"slots": [s for s in inside["slots"] if not s["name"].startswith("front.")]}
            x.update({n.replace("state", f"state.{name_of}", 1): t for n, t in draw.states(rules, B).items()})

        def reference(x):
            w, end = plain(x, "param"), {}
            mixing, remembering = plain(w, "mixer"), plain(w, "memory")

            def attend(a, ctx, a_pos, ctx_pos):
                if mixer == "mha":
                    return mha(a, mixing, H, ctx, a_pos, ctx_pos, **{"pos": "rope", **dict(mix)})
                zero = {"S": a.new_zeros(B, H, dim // H, dim // 2 // H)}
                y, last = gla(ctx, mixing, zero, H=H)  # rows before x are its first tokens
                end.update(named("mix", last))
                return y[:, ctx.shape[1] - a.shape[1] :]

            def remember(z):
                y, last = layer.step(z, remembering, first("mem"))
                end.update(named("mem", last))
                return y

            def first(name):
                return {**layer.begin(inside, remembering, B, x["x"]), **plain(x, f"state.{name}")}

            if backend == "mac":
                block = Mac(w, attend, (layer, remembering, first("run"), first("snap")), form, **how)
                y, run, snap = block(x["x"])
                end.update({**named("run", run), **named("snap", snap)})
                if block.retrieval == "previous":  # token t in row t mod C
                    rows = [x["x"][:, max(t for t in range(T) if t % block.segment == i)] for i in range(block.segment)]
                    end["last"] = torch.stack(rows, 1)
            else:
                block = Block(w, attend, remember, form)
                y = getattr(block, backend)(x["x"], **how)
            return {"y": y, **named("state", end)}

        cache = [f"state.mix.{n}" for n in ("k", "v", "pos")]  # its place for a row is the host's affair
        return Case(name, component, x, reference, settings, options, (*cache, *(f"d_{n}" for n in cache)))

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
    yield case("mac, a window in the segment", "mac", {"segment_tok": 8}, mixer_set={"window_tok": 3}, mix={"window": 3},
               segment=8)
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
    yield case("mag, window, grouped heads", "mag", mixer_set={"window_tok": 5, "kv_heads": 1}, mix={"window": 5, "kv": 1})
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
