#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How layers scale: time and memory of training against the length of a sequence, time and state of decoding, and time
against threads.

    bench/scaling.py length|memory|stream|threads [--layer full|window|gla|titans] [--longest 65536] [--patience 40]

Layers of width 512 with eight heads, float32: softmax attention over everything, the same in a window of 256, gated
linear attention, and the Titans memory with its front end. No peer. A length is left out where one call, or one training or
prefill, would take longer than --patience seconds by what the one before took: four times as long at worst. A training
that this machine has no memory for is left out, too.

`memory` trains a model of four such layers for one step, with train.recompute = none and = layer, and takes the peak of
what the process had resident, less the weights, their gradients and their two moments.
"""
import json
import os
import subprocess
import tempfile
import time

from common import Session, arguments, of_loci

DIM, HEADS, WINDOW = 512, 8, 256
LAYERS = {
    "full attention": ("mixer", ["--backend=mha", "--set", f"mixer.mha.heads={HEADS}"]),
    f"window of {WINDOW}": ("mixer", ["--backend=mha", "--set", f"mixer.mha.heads={HEADS}",
                                      "--set", f"mixer.mha.window_tok={WINDOW}"]),
    "gla": ("mixer", ["--backend=gla", "--set", f"mixer.gla.heads={HEADS}"]),
    "titans memory": ("memory", ["--layer", "--backend=titans", "--set", f"memory.heads={HEADS}"]),
}
MODEL = ["--set", f"model.dim={DIM}", "--set", "model.layers=1"]
STREAMS = {
    "full attention": ["--backend=plain", *LAYERS["full attention"][1][1:]],
    f"window of {WINDOW}": ["--backend=plain", *LAYERS[f"window of {WINDOW}"][1][1:]],
    "gla": ["--backend=plain", "--set", "mixer.backend=gla", *LAYERS["gla"][1][1:]],
    "titans memory": ["--backend=lmm", "--set", "memory.backend=titans", *LAYERS["titans memory"][1][2:]],
}
MODELS = {
    "full attention": ["compose.backend=plain", "memory.backend=none", "mixer.backend=mha", f"mixer.mha.heads={HEADS}"],
    f"window of {WINDOW}": ["compose.backend=plain", "memory.backend=none", "mixer.backend=mha", f"mixer.mha.heads={HEADS}",
                            f"mixer.mha.window_tok={WINDOW}"],
    "gla": ["compose.backend=plain", "memory.backend=none", "mixer.backend=gla", f"mixer.gla.heads={HEADS}"],
    "titans memory": ["compose.backend=lmm", "memory.backend=titans", f"memory.heads={HEADS}"],
}


def lengths(first, last):
    while first <= last:
        yield first
        first *= 2


def length(s):
    for name, (what, words) in LAYERS.items():
        if s.options.layer not in name:
            continue
        before = 0
        for t in lengths(256, s.options.longest):
            if 4 * before > s.options.patience:
                break
            row = s.loci(what, *words, "-D", DIM, "-T", t)[0]
            before = row["seconds"]
            s.emit(what="scaling", which="length", layer=name, D=DIM, T=t, loci=of_loci([row]), peers={})


def trained(s, folder, t, keys):
    """The last line of a training of one step; None when it does not fit into memory."""
    text = os.path.join(folder, "text")
    with open(text, "wb") as f:
        f.write(os.urandom(16 * t + 4096))
    keys = ["run.device=cpu", f"run.dir={folder}/run", f"data.train={text}", f"data.seq_tok={t}", "train.batch=1", "train.steps=1",
            f"train.eval_tokens={t}", f"model.dim={DIM}", "model.layers=4", *keys]
    command = [s.options.loci, "train", "--json", "-q", "--threads", str(s.options.threads)]
    done = subprocess.run(command + [w for k in keys for w in ("--set", k)], capture_output=True, text=True, check=False)
    if "this run needs" in done.stderr:
        return None
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr.strip()}")
    return json.loads(done.stdout.splitlines()[-1])


def memory(s):
    for name, keys in MODELS.items():
        if s.options.layer not in name:
            continue
        for again in ("none", "layer"):
            before = 0
            for t in lengths(256, s.options.longest):
                if 4 * before > s.options.patience:
                    break
                begin = time.monotonic()
                with tempfile.TemporaryDirectory() as folder:
                    end = trained(s, folder, t, [*keys, f"train.recompute={again}"])
                if not end:
                    break
                before = time.monotonic() - begin
                s.emit(what="scaling", which="memory", layer=name, recompute=again, D=DIM, T=t, peers={},
                       activation_bytes=end["peak_bytes"] - 16 * end["parameters"])


def stream(s):
    for name, words in STREAMS.items():
        before = 0
        for t in lengths(256, s.options.longest):
            if 4 * before > s.options.patience:
                break
            begin = time.monotonic()
            row = s.loci("decode", *words, *MODEL, "-T", t)[0]
            before = time.monotonic() - begin
            s.emit(what="scaling", which="stream", layer=name, D=DIM, T=t,
                   loci={**of_loci([row]), "state_bytes": row["state_bytes"]}, peers={})


def threads(s):
    """One, two, four ... and all cores, in turns, as the speed-up is a ratio."""
    cores, rows = s.facts["machine"]["cores"], {}
    counts = sorted({cores, *(n for n in lengths(1, cores))})
    for name, (what, words) in LAYERS.items():
        for _ in range(s.options.rounds):
            for n in counts:
                s.options.threads = n
                rows.setdefault((n, name), []).extend(s.loci(what, *words, "-D", DIM, "-T", 2048))
    for (n, name), got in rows.items():
        s.emit(what="scaling", which="threads", layer=name, D=DIM, T=2048, n=n, loci=of_loci(got), peers={})


def main():
    p = arguments(__doc__, rounds=1)
    p.add_argument("which", choices=["length", "memory", "stream", "threads"])
    p.add_argument("--layer", default="", help="of `length` and `memory`: only layers whose name contains it")
    p.add_argument("--longest", type=int, default=65536)
    p.add_argument("--patience", type=float, default=40, metavar="SECONDS", help="for the longest (%(default)g)")
    o = p.parse_args()
    {"length": length, "memory": memory, "stream": stream, "threads": threads}[o.which](Session(o))


if __name__ == "__main__":
    main()
