#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Attention of loci beside PyTorch's scaled_dot_product_attention and, forward in f32, ggml's flash_attn_ext: causal, one
row, forward or backward alone.

    bench/attention.py [--dtype f32|bf16] [--pass forward|backward] [--widths 64,128] [--tokens 512,2048,8192] [--cpu avx2]

H D = 1024 in every case. A backward is timed by itself on both sides: 5 products of a pair of query and key where a
forward has 2. With --cpu, which caps the instructions of loci, there is no peer.
"""
from common import Session, arguments, median_seconds, of_loci, of_peer, turns
from ggml_peer import open_ggml

CHANNELS = 1024


def main():
    p = arguments(__doc__)
    p.add_argument("--dtype", default="f32", choices=["f32", "bf16"])
    p.add_argument("--pass", dest="which", default="forward", choices=["forward", "backward"])
    p.add_argument("--cpu", choices=["ref", "avx2", "avx512"])
    p.add_argument("--widths", default="64,128")
    p.add_argument("--tokens", default="512,2048,8192")
    o = p.parse_args()
    s = Session(o)
    widths, tokens = ([int(x) for x in text.split(",")] for text in (o.widths, o.tokens))
    torch = None if o.cpu else s.torch()
    ggml = open_ggml(s) if not o.cpu and (o.dtype, o.which) == ("f32", "forward") else None
    rows = {}

    def ours():
        for d in widths:
            for r in s.loci("attention", "--backend=cpu", f"--dtype={o.dtype}", f"--pass={o.which}", "-H", CHANNELS // d,
                            "-D", d, "-T", o.tokens, env={"LOCI_CPU": o.cpu} if o.cpu else None):
                rows.setdefault((d, r["T"]), []).append(r)
        return {}

    def theirs():
        dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[o.dtype]
        attend = torch.nn.functional.scaled_dot_product_attention
        found = {}
        for d in widths:
            for t in tokens:
                q, k, v, do = (torch.randn(1, CHANNELS // d, t, d).to(dtype) for _ in range(4))
                if o.which == "forward":
                    call = lambda: attend(q, k, v, is_causal=True)
                else:
                    inputs = [x.requires_grad_() for x in (q, k, v)]
                    out = attend(*inputs, is_causal=True)
                    call = lambda: torch.autograd.grad(out, inputs, do, retain_graph=True)
                found[d, t] = median_seconds(call, o.seconds)
        return found

    def of_ggml():
        import numpy

        found = {}
        for d in widths:
            for t in tokens:
                arrays = [numpy.random.rand(CHANNELS // d, t, d).astype(numpy.float32) for _ in range(3)]
                found[d, t] = median_seconds(ggml.attention(*arrays)[0], o.seconds)
        return found

    sides = {"loci": ours, **({"PyTorch SDPA": theirs} if torch else {}), **({"ggml": of_ggml} if ggml else {})}
    got = turns(o.rounds, sides)
    for (d, t), r in rows.items():
        s.emit(what="attention", which=o.which, dtype=o.dtype, cpu=o.cpu, H=CHANNELS // d, D=d, T=t, loci=of_loci(r),
               peers={n: of_peer(c[d, t]) for n, c in got.items() if n != "loci"})


if __name__ == "__main__":
    main()
