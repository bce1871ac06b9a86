#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Neural memories: rules against the floor of their own recurrence, and beside PyTorch implementations.

    bench/memory.py core      rules alone, forward and backward, as shares of the peak (no peer)
    bench/memory.py titans    a Titans layer, projections included, beside titans-pytorch at its chunks 16 and 64
    bench/memory.py updated   the same, its weights updated after every chunk
    bench/memory.py delta     gated delta rule beside the plain CPU forms of flash-linear-attention

Layers and rules have four heads of 64 channels and 1024 tokens beside a peer, where a whole run in PyTorch takes
seconds. Backwards beside a peer are forward and backward together, as autograd runs them.

By default titans-pytorch takes the errors of all tokens of a call at the weights that it began with, so no chunk waits
for another: less work than the recurrence of the paper, which our exact forms compute token by token and our frozen form
chunk by chunk. With its batch_size equal to the chunk, `updated`, it computes what our frozen form does.
"""
import importlib.util
import pathlib
import sys
import sysconfig

from common import Session, arguments, median_seconds, of_loci, of_peer, turns

HEADS, WIDTH, TOKENS = 4, 64, 1024
DIM = HEADS * WIDTH


def core(s):
    rules = [("delta", "delta", 64), ("delta", "delta", 128), ("titans", "titans", 64), ("titans", "titans", 128),
             ("titans, depth 2", "titans", 64), ("hebbian", "hebbian", 64)]
    for name, rule, d in rules:
        heads, more = 1024 // d, ["--set", "memory.titans.depth=2"] if "depth" in name else []
        tokens = 512 if more else 2048
        rows = []
        for _ in range(s.options.rounds):
            rows.append(s.loci("memory", f"--backend={rule}", "--pass=forward,backward", "-H", heads, "-D", d,
                               "-T", tokens, *more))
        for i, which in enumerate(("forward", "backward")):
            s.emit(what="memory", rule=name, which=which, dtype="f32", H=heads, D=d, T=tokens,
                   loci=of_loci([r[i] for r in rows]), peers={})


def both(s, *words):
    """Seconds of a forward, and of forward and backward together."""
    rows = s.loci("memory", "--pass=forward,backward", "-T", TOKENS, *words)
    return rows[0]["seconds"], rows[0]["seconds"] + rows[1]["seconds"]


def titans(s, updated=False):
    torch = s.torch()
    if not torch or not s.peer("titans-pytorch", "titans_pytorch"):
        return
    from titans_pytorch import MemoryMLP, NeuralMemory

    x = torch.randn(1, TOKENS, DIM)

    def theirs():
        found = {}
        for depth in (1, 2):
            for chunk in (16, 64):
                m = NeuralMemory(dim=DIM, chunk_size=chunk, batch_size=chunk if updated else None, heads=HEADS,
                                 dim_head=WIDTH, momentum=True,
                                 model=MemoryMLP(WIDTH, depth=depth, expansion_factor=4.0))

                def alone():
                    with torch.no_grad():
                        m(x)

                found[depth, chunk, "forward"] = median_seconds(alone, s.options.seconds, least=2)
                found[depth, chunk, "forward+backward"] = median_seconds(lambda: m(x)[0].sum().backward(),
                                                                         s.options.seconds, least=2)
        return found

    def ours():
        found = {}
        for depth in (1, 2):
            for chunk in (16, 64):
                sets = ["--layer", "--backend=titans", "-D", DIM, "--set", f"memory.heads={HEADS}",
                        "--set", f"memory.titans.depth={depth}"]
                if depth > 1: # a matrix runs in its exact form, whatever the chunk
                    sets += ["--set", f"memory.titans.chunk={chunk}", "--set", "memory.titans.expansion=4"]
                found[depth, chunk, "forward"], found[depth, chunk, "forward+backward"] = both(s, *sets)
        return found

    theirs() # a rehearsal: its first calls compile and fill caches, for seconds
    name = "titans-pytorch" + (", updated" if updated else "")
    put_beside(s, turns(s.options.rounds, {name: theirs, "loci": ours}),
               lambda case: {"what": "titans layer", "depth": case[0], "chunk": case[1], "which": case[2]})


def naive(name):
    """A file of plain CPU forms, without the package around it, which wants a GPU."""
    path = pathlib.Path(sysconfig.get_paths()["purelib"]) / "fla" / "ops" / name / "naive.py"
    if not path.exists():
        print("fla-core is absent: pip install --no-deps -r bench/requirements-naive.txt", file=sys.stderr)
        return None
    spec = importlib.util.spec_from_file_location(f"naive_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def delta(s):
    torch = s.torch()
    rule = naive("gated_delta_rule") if torch else None
    if not rule:
        return
    s.facts["versions"]["fla-core"] = importlib.metadata.version("fla-core")
    q, k, v = (torch.nn.functional.normalize(torch.randn(1, TOKENS, HEADS, WIDTH), dim=-1) for _ in range(3))
    beta, g = torch.rand(1, TOKENS, HEADS), -torch.rand(1, TOKENS, HEADS)
    inputs = [x.requires_grad_() for x in (q, k, v, beta, g)]
    forms = {"chunked": rule.naive_chunk_gated_delta_rule, "recurrent": rule.naive_recurrent_gated_delta_rule}

    def theirs():
        found = {}
        for name, form in forms.items():

            def alone():
                with torch.no_grad():
                    form(q=q, k=k, v=v, g=g, beta=beta)

            def whole():
                torch.autograd.grad(form(q=q, k=k, v=v, g=g, beta=beta)[0].sum(), inputs)

            found[name, "forward"] = median_seconds(alone, s.options.seconds, least=2)
            found[name, "forward+backward"] = median_seconds(whole, s.options.seconds, least=1)
        return found

    def ours():
        forward, whole = both(s, "--backend=delta", "-H", HEADS, "-D", WIDTH)
        return {(name, which): t for name in forms for which, t in (("forward", forward), ("forward+backward", whole))}

    theirs() # a rehearsal: its first calls compile and fill caches, for seconds
    put_beside(s, turns(s.options.rounds, {"fla naive": theirs, "loci": ours}),
               lambda case: {"what": "gated delta rule", "form": case[0], "which": case[1]})


def put_beside(s, got, named):
    (peer, theirs), (_, ours) = got.items()
    for case, seconds in theirs.items():
        s.emit(**named(case), dtype="f32", H=HEADS, D=WIDTH, T=TOKENS, loci=of_peer(ours[case]),
               peers={peer: of_peer(seconds)})


def main():
    p = arguments(__doc__)
    p.add_argument("which", choices=["core", "titans", "updated", "delta"])
    o = p.parse_args()
    run = {"core": core, "titans": titans, "updated": lambda s: titans(s, updated=True), "delta": delta}
    run[o.which](Session(o))


if __name__ == "__main__":
    main()
