#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Training rate of loci's plain and MAG models beside PyTorch's plain one, in one run.

The same model in both: byte vocabulary, two blocks of width 128 (RMSNorm, four-head causal attention over the whole sequence
with rotary positions, SwiGLU of width 352, tied head), float32, T = 256, batch 8, AdamW with clipping. Steps of both are
taken in turn, so that a change of the machine's speed meets both; the median of the rounds is printed.

    bench/train_vs_pytorch.py [LOCI [ROUNDS [STEPS]]]      (build/loci 5 40)

Needs torch and numpy, which the product does not.
"""
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch
import torch.nn.functional as F

LOCI = sys.argv[1] if len(sys.argv) > 1 else "build/loci"
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 5
STEPS = int(sys.argv[3]) if len(sys.argv) > 3 else 40
THREADS = int(os.environ.get("THREADS", "2"))
L, D, H, T, B, FF, V = 2, 128, 4, 256, 8, 352, 256


class Block(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.n1, self.n2 = torch.nn.RMSNorm(D), torch.nn.RMSNorm(D)
        lin = lambda a, b: torch.nn.Linear(a, b, bias=False)
        self.q, self.k, self.v, self.o = lin(D, D), lin(D, D), lin(D, D), lin(D, D)
        self.up, self.gate, self.down = lin(D, FF), lin(D, FF), lin(FF, D)

    def forward(self, x, cos, sin):
        n = self.n1(x)
        q, k, v = (w(n).view(B, T, H, D // H).transpose(1, 2) for w in (self.q, self.k, self.v))
        turn = lambda a: torch.cat((a[..., : D // H // 2] * cos - a[..., D // H // 2 :] * sin,
                                    a[..., D // H // 2 :] * cos + a[..., : D // H // 2] * sin), -1)
        y = F.scaled_dot_product_attention(turn(q), turn(k), v, is_causal=True)
        x = x + self.o(y.transpose(1, 2).reshape(B, T, D))
        n = self.n2(x)
        return x + self.down(F.silu(self.gate(n)) * self.up(n))


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = torch.nn.Embedding(V, D)
        self.blocks = torch.nn.ModuleList(Block() for _ in range(L))
        self.norm = torch.nn.RMSNorm(D)
        angle = torch.outer(torch.arange(T).float(), 10000 ** (-torch.arange(0, D // H, 2).float() / (D // H)))
        self.cos, self.sin = angle.cos(), angle.sin()
        for p in self.parameters():
            if p.dim() > 1:
                torch.nn.init.normal_(p, 0, 0.02)

    def forward(self, x):
        h = self.embed(x)
        for b in self.blocks:
            h = b(h, self.cos, self.sin)
        return self.norm(h) @ self.embed.weight.T


def torch_rate(model, opt, text):
    begin = time.perf_counter()
    for _ in range(STEPS):
        at = np.random.randint(0, len(text) - T - 1, B)
        x = torch.from_numpy(np.stack([text[i : i + T + 1] for i in at]).astype(np.int64))
        loss = F.cross_entropy(model(x[:, :-1]).reshape(-1, V), x[:, 1:].reshape(-1))
        opt.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
    return STEPS * B * T / (time.perf_counter() - begin)


def loci_rate(folder, name, sets, text):
    run = os.path.join(folder, name)
    args = [LOCI, "train", "--json", "-q", "--threads", str(THREADS)]
    base = {"run.dir": run, "data.train": text, "data.seq_tok": T, "train.batch": B, "train.steps": STEPS,
            "train.eval_every": 0, "train.save_every": 0, "train.eval_tokens": T, "model.layers": L, "model.dim": D,
            "mixer.mha.heads": H, "memory.heads": H}
    for key, value in {**base, **sets}.items():
        args += ["--set", f"{key}={value}"]
    out = subprocess.run(args, check=True, capture_output=True, text=True).stdout
    subprocess.run(["rm", "-rf", run], check=True)
    return json.loads(out.strip().splitlines()[-1])["tokens_per_s"]


def main():
    torch.set_num_threads(THREADS)
    torch.manual_seed(1)
    model = Model()
    opt = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1, fused=True)
    rates = {"PyTorch plain": [], "loci plain": [], "loci mag": []}
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "text")
        data = np.random.default_rng(1).integers(32, 127, 1 << 20).astype(np.uint8)
        data.tofile(path)
        torch_rate(model, opt, data)  # warm-up
        for _ in range(ROUNDS):
            rates["PyTorch plain"].append(torch_rate(model, opt, data))
            rates["loci plain"].append(loci_rate(folder, "p", {"compose.backend": "plain"}, path))
            rates["loci mag"].append(
                loci_rate(folder, "m", {"compose.backend": "mag", "memory.backend": "titans", "mixer.mha.window_tok": 64}, path))
    cpu = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), "?")
    print(f"{cpu}, {THREADS} threads, PyTorch {torch.__version__}, {ROUNDS} rounds of {STEPS} steps, median (min - max)")
    for name, r in rates.items():
        ratio = statistics.median(a / b for a, b in zip(r, rates["PyTorch plain"]))
        print(f"{name:14s} {statistics.median(r):8.0f} tokens/s ({min(r):.0f} - {max(r):.0f})   {ratio:.2f} of PyTorch")


if __name__ == "__main__":
    main()
