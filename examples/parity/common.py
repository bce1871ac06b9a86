# SPDX-License-Identifier: Apache-2.0
"""Hold a component of loci against a function in plain PyTorch.

A *case* is a component with its settings, inputs under the names of `loci apply`, and a function of these inputs. The
function says what must come out; autograd differentiates it. The component runs through the command, once in float32
and once in float64, and gives gradients of its own. bfloat16 is a way to store tensors, for what takes it: there
results carry the rounding of the store, and a backward begins with a rounded o.

 (1) The function runs in float64 on the very numbers the component is given, whatever the component computes in.
 (2) Compared is every tensor that `apply` writes: outputs, states at the end, and the gradient of every input, gate,
     weight and given initial state. Cotangents are random, those of final states included. A tensor that one side has
     and the other has not is a failure; so is a weight of the component that the case does not know.
 (3) The distance of two tensors is their relative RMS, |a - b| / |b| in the 2-norm; where b is 0, a must be 0. What is
     infinite must be infinite on both sides.
 (4) The function also runs in float32. How far that is from itself in float64 says how well the case is conditioned.
"""

import json
import os
import subprocess
import tempfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

import torch
from safetensors.torch import load_file, save_file

LIMIT = {torch.float32: 1e-5, torch.float64: 1e-10, torch.bfloat16: 1e-2}
NAMES = {torch.float32: "f32", torch.float64: "f64", torch.bfloat16: "bf16"}


@dataclass
class Case:
    name: str
    component: str  # "memory/titans"
    inputs: dict  # tensors by name; those in float64 take the type of the run
    reference: Callable  # of the inputs: the outputs by name
    set: dict = field(default_factory=dict)  # "memory.titans.chunk": 4
    options: tuple = ()  # of the command: ("--pieces", "3,1,7")
    ignore: tuple = ()  # what `apply` writes and no function can say; the case tells why
    types: tuple = (torch.float32, torch.float64)


# ---- the command -----------------------------------------------------------------------------------------------------


class Refused(Exception):
    """The command did not do it: its exit code and last line."""


class Loci:
    def __init__(self, command=None):
        built = Path(__file__).resolve().parents[2] / "build" / "loci"
        self.command = str(command or os.environ.get("LOCI_COMMAND") or (built if built.exists() else "loci"))
        self.known = {}

    def run(self, *words):
        done = subprocess.run([self.command, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise Refused(f"exit {done.returncode}: {(done.stderr.strip() or 'no message').splitlines()[-1]}")
        return done.stdout

    @staticmethod
    def settings(values):
        return [w for key, value in values.items() for w in ("--set", f"{key}={value}")]

    def info(self, component, settings, *options):
        """What the component has under these settings: the document of `loci info --json`."""
        words = ("info", component, "--json", *self.settings(settings), *options)
        if words not in self.known:
            self.known[words] = json.loads(self.run(*words))
        return self.known[words]

    def apply(self, case, tensors):
        with tempfile.TemporaryDirectory() as folder:
            given, made = os.path.join(folder, "in.safetensors"), os.path.join(folder, "out.safetensors")
            save_file({name: t.detach().contiguous() for name, t in tensors.items()}, given)
            self.run(
                "apply",
                case.component,
                *self.settings(case.set),
                *case.options,
                "-q",
                "--grad",
                "--in",
                given,
                "--out",
                made,
            )
            return load_file(made)


# ---- inputs ----------------------------------------------------------------------------------------------------------


class Draw:
    """Random tensors that depend on a name alone."""

    def __init__(self, name):
        self.random = torch.Generator().manual_seed(zlib.crc32(name.encode()))

    def normal(self, *shape, scale=1.0):
        return scale * torch.randn(*shape, generator=self.random, dtype=torch.float64)

    def uniform(self, lo, hi, *shape):
        return lo + (hi - lo) * torch.rand(*shape, generator=self.random, dtype=torch.float64)

    def unit(self, *shape):
        x = self.normal(*shape)
        return x / x.norm(dim=-1, keepdim=True)

    def weight(self, shape, init):
        """Of the kind that the slot asks for, but large enough for every path of the gradient to count."""
        kind, a, b = init if isinstance(init, list) else (init, 0, 0)
        if kind == "uniform":
            return self.uniform(a, b, *shape)
        return self.normal(*shape, scale=shape[-1] ** -0.5) if kind == "normal" else a + self.normal(*shape, scale=0.3)

    def weights(self, info):
        return {
            f"param.{s['name']}": self.weight(s["shape"], s["init"]) for s in info["slots"] if s["role"] == "weight"
        }

    def states(self, info, streams, scale=0.5):
        return {
            f"state.{s['name']}": self.normal(streams, *s["shape"][1:], scale=scale)
            for s in info["slots"]
            if s["role"] == "state"
        }

    def gates(self, info, *shape, top=1.0):
        """Gates of a rule, [*shape] or [*shape, width], in the lower `top` of their range."""
        made = {}
        for g in info["gates"]:
            lo, hi = g["range"][0], 2.0 if g["range"][1] == "inf" else g["range"][1]
            full = (*shape, g["width"]) if g["width"] > 1 else shape
            made[f"gate.{g['name']}"] = self.uniform(lo + 0.02 * (hi - lo), lo + 0.95 * top * (hi - lo), *full)
        return made


def plain(tensors, role):
    """{"M": ...} of {"state.M": ...}."""
    return {name[len(role) + 1 :]: t for name, t in tensors.items() if name.startswith(role + ".")}


def named(role, tensors):
    return {f"{role}.{name}": t for name, t in tensors.items()}


# ---- comparison ------------------------------------------------------------------------------------------------------


def distance(a, b):
    """(3), of a from b."""
    a, b = a.double().flatten(), b.double().flatten()
    if a.shape != b.shape:
        return float("inf")
    finite = torch.isfinite(b)
    if not torch.equal(a[~finite], b[~finite]):
        return float("inf")
    a, b = a[finite], b[finite]
    off, size = (a - b).norm().item(), b.norm().item()
    return 0.0 if off == 0 else off / size if size > 0 and off == off else float("inf")


def forward(case, tensors, dtype):
    """The function's inputs, as leaves of a graph, and its outputs."""
    leaves = {n: t.detach().to(dtype).requires_grad_() if t.is_floating_point() else t for n, t in tensors.items()}
    return leaves, case.reference(leaves)


def backward(leaves, out, cotangents):
    """All that the component must write, by its name in the file."""
    real = {n: t for n, t in leaves.items() if t.is_floating_point()}
    total = sum(
        (torch.where(torch.isfinite(t), t, 0) * cotangents["d_" + n].to(t.dtype)).sum()
        for n, t in out.items()
        if t.is_floating_point()
    )
    grads = torch.autograd.grad(total, list(real.values()), allow_unused=True)
    made = {n: t.detach() for n, t in out.items()}
    for (name, t), g in zip(real.items(), grads):
        to = "grad." + name[6:] if name.startswith("param.") else "d_" + name
        made[to] = torch.zeros_like(t) if g is None else g
    return made


@dataclass
class Result:
    worst: float
    where: str
    torch: float  # (4), at its worst
    each: dict


def against(made, expected, ignore=()):
    """Distances by name, (2)."""
    each = {name: distance(made[name], t) if name in made else float("inf") for name, t in expected.items()}
    return {**each, **{name: float("inf") for name in made if name not in each and name not in ignore}}


def compare(loci, case, dtype):
    draw = Draw(case.component + case.name)
    tensors = {n: t.to(dtype) if t.dtype == torch.float64 else t for n, t in case.inputs.items()}
    leaves, out = forward(case, tensors, torch.float64)
    cotangents = {"d_" + n: draw.normal(*t.shape).to(dtype) for n, t in out.items() if t.is_floating_point()}
    expected = backward(leaves, out, cotangents)
    single = backward(*forward(case, tensors, torch.float32), cotangents)
    # `apply` says also what the gradient of a state is that was not given; the function has no such input.
    begun = {"d_" + n for n in out if n.startswith("state.") and n not in tensors}
    each = against(loci.apply(case, {**tensors, **cotangents}), expected, begun.union(case.ignore))
    where = max(each, key=each.get)
    return Result(each[where], where, max(against(single, expected).values()), each)
