#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Matrix products of loci beside PyTorch's and ggml's: float32, sizes of the models that train_vs_pytorch.py times.

    bench/gemm.py [--sizes 2048x128x128,1024x3072x768]        M x N x K: C [M,N] = A [M,K] B

ggml has B as [N,K], as a weight lies, loci and PyTorch as [K,N].
"""
from common import Session, arguments, median_seconds, of_loci, of_peer, turns
from ggml_peer import open_ggml

SIZES = "2048x128x128,2048x352x128,1024x768x768,1024x3072x768,1024x768x3072,1024x1024x1024"


def main():
    p = arguments(__doc__)
    p.add_argument("--sizes", default=SIZES)
    o = p.parse_args()
    s = Session(o)
    sizes = [tuple(map(int, z.split("x"))) for z in o.sizes.split(",")]
    torch, ggml = s.torch(), open_ggml(s)
    rows = {}

    def ours():
        for m, n, k in sizes:
            rows.setdefault((m, n, k), []).extend(s.loci("gemm", "-M", m, "-N", n, "-K", k))
        return {}

    def of_torch(m, n, k):
        a, b, c = torch.randn(m, k), torch.randn(k, n), torch.empty(m, n)
        return lambda: torch.mm(a, b, out=c)

    def of_ggml(m, n, k):
        import numpy

        return ggml.product(*(numpy.random.rand(x, k).astype(numpy.float32) for x in (m, n)))[0]

    def side(make):
        return lambda: {z: median_seconds(make(*z), o.seconds) for z in sizes}

    peers = {**({"PyTorch": side(of_torch)} if torch else {}), **({"ggml": side(of_ggml)} if ggml else {})}
    got = turns(o.rounds, {"loci": ours, **peers})
    for z, r in rows.items():
        s.emit(what="gemm", dtype="f32", M=z[0], N=z[1], K=z[2], loci=of_loci(r),
               peers={n: of_peer(got[n][z]) for n in peers})


if __name__ == "__main__":
    main()
