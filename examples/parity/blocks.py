# SPDX-License-Identifier: Apache-2.0
"""The blocks of Titans (Behrouz et al. 2025, section 4) over whole documents, given a mixer and a memory as functions.

    plain  y = mix(x | [p; x])                 lmm  y = mem([p; x])
    mag    o = gate(mix(x | [p; x]), mem(x))   mal  u = gate(z, mem(z)), y = mix(u_x | u), z = [p; x]
    mac    per segment: h = read(M, queries), y = mix(x | [p; h; x]), m = step(y), o = gate(y, m)

p are learned rows that everyone sees, mix(a | c) is attention of a over c. The memory that mac reads is the one that
the segment before left; a second copy advances on y. Nothing here knows of lock step, caches, run lists or saved
blocks: a segment is a slice.
"""

import torch

from layers import rms

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
