#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Attention of loci on a GPU beside PyTorch's flash and cuDNN kernels and one in Triton.

    bench/gpu.py [--dtype bf16] [--widths 64,128] [--tokens 512,2048,8192,16384] [--table FILE]

H D = 2048 and B T = 16384 in every case, causal and full; a backward is timed by itself. All sides are timed from the
call until the card has done it, by the clock of the host. --table writes the results as Markdown. scripts/gpu-check runs
this.
"""
import json

from common import Session, arguments, median_seconds, of_loci, of_peer, turns

CHANNELS, TOKENS = 2048, 16384
FLASH, CUDNN, TRITON = "PyTorch flash", "PyTorch cuDNN", "Triton"
# What is aimed at, as a share of PyTorch's flash attention.
GOALS = {"forward": 0.85, "backward": 0.7}


def cases(options):
    for which in ("forward", "backward"):
        for d in map(int, options.widths.split(",")):
            for t in map(int, options.tokens.split(",")):
                for causal in (True, False):
                    yield which, d, t, causal


def operations(which, d, t, causal):
    """Useful ones: two products of the visible pairs forward, five backward."""
    pairs = t * (t + 1) // 2 if causal else t * t
    return (4 if which == "forward" else 10) * max(1, TOKENS // t) * (CHANNELS // d) * pairs * d


def sdpa(torch, kind, q, k, v, causal):
    with torch.nn.attention.sdpa_kernel(kind):
        return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal)


def peers(torch, o):
    """{name: function of a case that returns seconds, or None where the peer cannot}"""
    kinds = {FLASH: torch.nn.attention.SDPBackend.FLASH_ATTENTION, CUDNN: torch.nn.attention.SDPBackend.CUDNN_ATTENTION}
    dtype = {"bf16": torch.bfloat16, "f16": torch.float16}[o.dtype]

    def tensors(d, t):
        shape = (max(1, TOKENS // t), CHANNELS // d, t, d)
        return [torch.randn(shape, device="cuda").to(dtype) for _ in range(4)]

    def timed(call):
        def whole():
            call()
            torch.cuda.synchronize()

        return median_seconds(whole, o.seconds)

    def of_torch(kind):
        def run(which, d, t, causal):
            q, k, v, do = tensors(d, t)
            try:
                if which == "forward":
                    return timed(lambda: sdpa(torch, kind, q, k, v, causal))
                inputs = [x.requires_grad_() for x in (q, k, v)]
                out = sdpa(torch, kind, *inputs, causal)
                return timed(lambda: torch.autograd.grad(out, inputs, do, retain_graph=True))
            except RuntimeError as e:
                print(f"{kind} {which} D={d} T={t}: {str(e).splitlines()[0]}")
                return None

        return run

    def of_triton(which, d, t, causal):
        if which != "forward":
            return None
        import gpu_triton

        q, k, v, _ = tensors(d, t)
        want = sdpa(torch, torch.nn.attention.SDPBackend.MATH, q[:1], k[:1], v[:1], causal).float() if t <= 2048 else None
        got = gpu_triton.forward(q, k, v, causal)
        if want is not None and (got[:1].float() - want).norm() > 2e-2 * want.norm():
            raise SystemExit(f"the Triton kernel is wrong at D={d} T={t}")
        return timed(lambda: gpu_triton.forward(q, k, v, causal))

    found = {name: of_torch(kind) for name, kind in kinds.items()}
    try:
        import triton  # noqa: F401

        found[TRITON] = of_triton
    except ImportError:
        pass
    return found


def measure(s, o):
    torch = s.torch()
    if not torch or not torch.cuda.is_available():
        raise SystemExit("bench/gpu.py needs PyTorch with a card that it sees; `loci bench attention --backend cuda "
                         "--set run.device=cuda` needs neither")
    s.facts["machine"] = {"card": torch.cuda.get_device_name(0), "capability": ".".join(map(str, torch.cuda.get_device_capability(0)))}
    sides = peers(torch, o)
    if TRITON in sides:
        s.peer("triton")
    results = []
    for which, d, t, causal in cases(o):
        rows = []

        def ours():
            words = ["attention", "--backend=cuda", "--set", "run.device=cuda", f"--dtype={o.dtype}", f"--pass={which}", "-B",
                     max(1, TOKENS // t), "-H", CHANNELS // d, "-D", d, "-T", t] + ([] if causal else ["--full"])
            rows.extend(s.loci(*words))
            return {}

        got = turns(o.rounds, {"loci": ours, **{n: lambda f=f: {0: f(which, d, t, causal)} for n, f in sides.items()}})
        seconds = {n: of_peer(c[0]) for n, c in got.items() if n != "loci" and None not in c[0]}
        results.append(dict(what="gpu attention", which=which, dtype=o.dtype, D=d, T=t, causal=causal, loci=of_loci(rows),
                            peers=seconds, operations=operations(which, d, t, causal)))
        s.emit(**results[-1])
    return results


def table(results, facts):
    """The rows as Markdown: teraflops of each side, and ours as a share of flash."""
    names = [n for n in (FLASH, CUDNN, TRITON) if any(n in r["peers"] for r in results)]
    lines = [", ".join(f"{n} {v}" for n, v in facts.get("versions", {}).items()) + ". TFLOP/s; H D = "
             f"{CHANNELS}, B T = {TOKENS}, {results[0]['dtype']}; medians, sides in turns.", "",
             "| pass | D | T | | loci | " + " | ".join(names) + " | share of flash | goal |",
             "|---|---:|---:|---|---:|" + "---:|" * (len(names) + 1) + "---|"]
    for r in results:
        rate = lambda x: r["operations"] / x["seconds"] / 1e12 if x else None
        cell = lambda x: f"{x:.0f}" if x else "-"
        flash = r["peers"].get(FLASH)
        share = flash["seconds"] / r["loci"]["seconds"] if flash else None
        goal = GOALS[r["which"]]
        last = [f"{share:.2f}", f"{'met' if share >= goal else 'missed'}: {goal}"] if share else ["-", "-"]
        words = [r["which"], r["D"], r["T"], "causal" if r["causal"] else "full", cell(rate(r["loci"])),
                 *(cell(rate(r["peers"].get(n))) for n in names), *last]
        lines.append("| " + " | ".join(map(str, words)) + " |")
    return "\n".join(lines) + "\n"


def main():
    p = arguments(__doc__, rounds=3, seconds=0.2)
    p.add_argument("--dtype", default="bf16", choices=["bf16", "f16"])
    p.add_argument("--widths", default="64,128")
    p.add_argument("--tokens", default="512,2048,8192,16384")
    p.add_argument("--table", help="Markdown of the results")
    p.add_argument("--from", dest="old", help="no measuring: the table of results that lie in this file")
    o = p.parse_args()
    s = Session(o)
    if o.old:
        with open(o.old, encoding="utf-8") as f:
            results = [json.loads(line) for line in f]
        facts = results[0]
    else:
        results, facts = measure(s, o), s.facts
    if o.table:
        with open(o.table, "w", encoding="utf-8") as f:
            f.write(table(results, facts))


if __name__ == "__main__":
    main()
