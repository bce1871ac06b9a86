#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A step of training of loci beside PyTorch's, on the same model: tokens a second and peak memory.

    bench/train_vs_pytorch.py [small|124m] [--peers eager,compiled,autocast]

    small   two blocks of width 128, four heads, SwiGLU of 352, 256 bytes of vocabulary; 8 rows of 256 tokens
    124m    the shape of GPT-2 124M: twelve blocks of 768, twelve heads, GELU of 3072, 50257 tokens; 1 row of 1024

Both have RMSNorm, rotary positions, causal attention over the whole sequence, a tied head, weights of N(0, 0.02) and
AdamW with clipping. A step is forward, backward, clipping and update on tokens that are drawn. `autocast` runs PyTorch's
products in bf16, and stands beside loci with bf16 products where this machine has them. The peak of memory is the
resident set of a process that takes three steps and does nothing else; PyTorch's own libraries are part of it.
"""
import importlib.util
import os
import pathlib
import subprocess
import sys
import tempfile

from common import Session, arguments, median_seconds, of_loci, of_peer, turns

SHAPES = {
    "small": {"config": "bytes-2x128.ini", "L": 2, "D": 128, "H": 4, "FF": 352, "ffn": "swiglu", "V": 256, "B": 8, "T": 256},
    "124m": {"config": "gpt2-124m.ini", "L": 12, "D": 768, "H": 12, "FF": 3072, "ffn": "gelu", "V": 50257, "B": 1, "T": 1024},
}
TOP = pathlib.Path(__file__).resolve().parent.parent


def model_of(torch, z):
    """The model in PyTorch."""
    functional = torch.nn.functional
    dim, heads, hidden, tokens = z["D"], z["H"], z["FF"], z["T"]

    def linear(a, b):
        return torch.nn.Linear(a, b, bias=False)

    class Block(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.n1, self.n2 = torch.nn.RMSNorm(dim), torch.nn.RMSNorm(dim)
            self.q, self.k, self.v, self.o = (linear(dim, dim) for _ in range(4))
            self.up, self.down = linear(dim, hidden), linear(hidden, dim)
            self.gate = linear(dim, hidden) if z["ffn"] == "swiglu" else None

        def forward(self, x, cos, sin):
            def turn(a):
                u, v = a.chunk(2, -1)
                return torch.cat((u * cos - v * sin, v * cos + u * sin), -1)

            n = self.n1(x)
            q, k, v = (w(n).view(-1, tokens, heads, dim // heads).transpose(1, 2) for w in (self.q, self.k, self.v))
            y = functional.scaled_dot_product_attention(turn(q).to(v), turn(k).to(v), v, is_causal=True)
            x = x + self.o(y.transpose(1, 2).reshape(-1, tokens, dim))
            n = self.n2(x)
            inner = functional.silu(self.gate(n)) * self.up(n) if self.gate else functional.gelu(self.up(n), approximate="tanh")
            return x + self.down(inner)

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = torch.nn.Embedding(z["V"], dim)
            self.blocks = torch.nn.ModuleList(Block() for _ in range(z["L"]))
            self.norm = torch.nn.RMSNorm(dim)
            angle = torch.outer(torch.arange(tokens).float(),
                                10000 ** (-torch.arange(0, dim // heads, 2).float() / (dim // heads)))
            self.register_buffer("cos", angle.cos(), persistent=False)
            self.register_buffer("sin", angle.sin(), persistent=False)
            for p in self.parameters():
                if p.dim() > 1:
                    torch.nn.init.normal_(p, 0, 0.02)

        def forward(self, x, target):
            h = self.embed(x)
            for b in self.blocks:
                h = b(h, self.cos, self.sin)
            logits = functional.linear(self.norm(h), self.embed.weight)
            return functional.cross_entropy(logits.reshape(-1, z["V"]), target.reshape(-1))

    return Model()


def step_of(torch, z, form):
    """A function that takes one step."""
    model = model_of(torch, z)
    opt = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1, fused=True)
    run = torch.compile(model) if form == "compiled" else model
    text = torch.randint(0, z["V"], (z["B"], z["T"] + 1))

    def step():
        with torch.autocast("cpu", torch.bfloat16, enabled=form == "autocast"):
            loss = run(text[:, :-1], text[:, 1:])
        opt.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()

    return step


def resident_bytes(command):
    """The peak of the resident set of a command that succeeds; None when it does not."""
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return used.ru_maxrss * 1024 if child.returncode == 0 else None


def memory(s, shape, forms, sets):
    z, o = SHAPES[shape], s.options
    peaks = {f"PyTorch {f}": resident_bytes([sys.executable, __file__, shape, "--three-steps", f, "--threads",
                                            str(o.threads)]) for f in forms}
    with tempfile.TemporaryDirectory() as folder:
        text = os.path.join(folder, "text")
        with open(text, "wb") as f:
            f.write(os.urandom(16 * (z["T"] + 1) * (z["B"] + 1)))
        keep = {"run.dir": os.path.join(folder, "run"), "data.train": text, "train.steps": 3, "train.eval_every": 0,
                "train.save_every": 0, "train.eval_tokens": z["T"]}
        words = [w for k, v in keep.items() for w in ("--set", f"{k}={v}")]
        peaks["loci"] = resident_bytes([o.loci, "train", "-c", str(TOP / "etc" / "bench" / z["config"]), "-q", "--threads",
                                        str(o.threads), *words, *sets])
    return peaks


def main():
    p = arguments(__doc__)
    p.add_argument("shape", nargs="?", default="small", choices=SHAPES)
    p.add_argument("--peers", default="eager", help="of eager, compiled, autocast (%(default)s)")
    p.add_argument("--only", choices=["time", "memory"], help="one of the two")
    p.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of the config of loci")
    p.add_argument("--three-steps", metavar="FORM", help="take three steps and nothing else")
    o = p.parse_args()
    z = SHAPES[o.shape]
    s = Session(o)
    if o.three_steps:
        step = step_of(s.torch(), z, o.three_steps)
        for _ in range(3):
            step()
        return
    sets = [w for x in o.set for w in ("--set", x)]
    forms = [f for f in o.peers.split(",") if f and importlib.util.find_spec("torch")]
    about = {"what": "train", "shape": o.shape, "sets": o.set, "B": z["B"], "T": z["T"], "D": z["D"]}
    if o.only != "time": # first: a process begins with the resident set of the one that starts it
        s.emit(**about, peak_bytes=memory(s, o.shape, forms, sets))
    if o.only == "memory":
        return
    torch = s.torch()
    rows = []

    def ours():
        rows.extend(s.loci("train", "-c", TOP / "etc" / "bench" / z["config"], *sets))
        return {}

    def theirs(form):
        step = step_of(torch, z, form)
        if form == "compiled":
            step()
        return lambda: {"": median_seconds(step, o.seconds, least=2)}

    got = turns(o.rounds, {"loci": ours, **{f"PyTorch {f}": theirs(f) for f in forms}})
    s.emit(**about, loci=of_loci(rows), peers={n: of_peer(c[""]) for n, c in got.items() if n != "loci"})


if __name__ == "__main__":
    main()
