#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Decoding: one query before T keys that are in no cache, as a share of what memory can be read.

    bench/decode.py [--tokens 8192,32768]

Attention of 8 heads of 128, float32 and bf16, all heads with keys of their own and two of them with keys for all; beside
PyTorch's scaled_dot_product_attention over keys and values that take turns until they exceed every cache.
"""
import itertools

from common import Session, arguments, median_seconds, of_loci, of_peer, turns

HEADS, WIDTH = 8, 128
BEYOND_CACHES = 1 << 30


def main():
    p = arguments(__doc__)
    p.add_argument("--tokens", default="8192,32768")
    o = p.parse_args()
    s = Session(o)
    torch = s.torch()
    rows = {}

    def ours():
        for kv in (HEADS, 2):
            for r in s.loci("attention", "--backend=cpu", "--pass=decode", "--dtype=f32,bf16", "-H", HEADS,
                            f"--kv-heads={kv}", "-D", WIDTH, "-T", o.tokens):
                rows.setdefault((kv, r["dtype"], r["T"]), []).append(r)
        return {}

    def theirs():
        attend = torch.nn.functional.scaled_dot_product_attention
        found = {}
        for kv, dtype, t in itertools.product((HEADS, 2), ("f32", "bf16"), map(int, o.tokens.split(","))):
            kind = {"f32": torch.float32, "bf16": torch.bfloat16}[dtype]
            bytes_of_pair = 2 * kv * t * WIDTH * kind.itemsize
            pairs = [[torch.randn(1, kv, t, WIDTH, dtype=torch.float32).to(kind) for _ in range(2)]
                     for _ in range(max(2, min(8, BEYOND_CACHES // bytes_of_pair)))]
            turn = itertools.cycle(pairs)
            q = torch.randn(1, HEADS, 1, WIDTH).to(kind)

            def call():
                k, v = next(turn)
                attend(q, k, v, enable_gqa=kv != HEADS)

            found[kv, dtype, t] = median_seconds(call, o.seconds, least=5)
        return found

    got = turns(o.rounds, {"loci": ours, **({"PyTorch SDPA": theirs} if torch else {})})
    for (kv, dtype, t), r in rows.items():
        s.emit(what="decode", which="decode", dtype=dtype, H=HEADS, kv=kv, D=WIDTH, T=t, loci=of_loci(r),
               peers={n: of_peer(c[kv, dtype, t]) for n, c in got.items() if n != "loci"})


if __name__ == "__main__":
    main()
