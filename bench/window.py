#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Sliding-window attention: linear in T, and beside PyTorch's compiled flex_attention.

    bench/window.py [--window 256] [--tokens 4096,8192,16384] [--peer-tokens 8192]

16 heads of 64, float32, causal. Compiling takes PyTorch half a minute and is not timed.
"""
from common import Session, arguments, median_seconds, of_loci, of_peer, turns

HEADS, WIDTH = 16, 64


def main():
    p = arguments(__doc__, rounds=2)
    p.add_argument("--window", type=int, default=256)
    p.add_argument("--tokens", default="4096,8192,16384")
    p.add_argument("--peer-tokens", type=int, default=8192)
    o = p.parse_args()
    s = Session(o)
    torch = s.torch()
    rows = {}

    def ours():
        for r in s.loci("attention", "--backend=cpu", f"--window={o.window}", "-H", HEADS, "-D", WIDTH, "-T", o.tokens):
            rows.setdefault(r["T"], []).append(r)
        return {}

    sides = {"loci": ours}
    if torch:
        from torch.nn.attention.flex_attention import create_block_mask, flex_attention

        q, k, v = (torch.randn(1, HEADS, o.peer_tokens, WIDTH) for _ in range(3))
        mask = create_block_mask(lambda b, h, i, j: (i >= j) & (i - j < o.window), 1, 1, o.peer_tokens, o.peer_tokens,
                                 device="cpu")
        flex = torch.compile(flex_attention)
        flex(q, k, v, block_mask=mask)
        sides["flex_attention, compiled"] = lambda: {
            o.peer_tokens: median_seconds(lambda: flex(q, k, v, block_mask=mask), o.seconds)}
    got = turns(o.rounds, sides)
    for t, r in rows.items():
        s.emit(what="window", which="forward", dtype="f32", window=o.window, H=HEADS, D=WIDTH, T=t, loci=of_loci(r),
               peers={n: of_peer(c[t]) for n, c in got.items() if t in c})


if __name__ == "__main__":
    main()
