# SPDX-License-Identifier: Apache-2.0
"""What bench/run-all measures, piece by piece; bench/report.py says which are missing."""

# name: script and arguments. None is to take more than about three minutes on two cores.
PIECES = {
    "attention-f32-forward": "attention.py --rounds 2 --tokens 512,2048",
    "attention-f32-forward-long": "attention.py --rounds 1 --tokens 8192",
    "attention-f32-backward": "attention.py --pass backward --rounds 2 --tokens 512,2048,4096",
    "attention-bf16-forward": "attention.py --dtype bf16 --rounds 2",
    "attention-bf16-backward": "attention.py --dtype bf16 --pass backward --rounds 2 --tokens 512,2048",
    "attention-avx2": "attention.py --cpu avx2 --rounds 2 --tokens 512,2048",
    "window": "window.py --rounds 2",
    "decode": "decode.py --rounds 2 --tokens 8192 --seconds 0.5",
    "memory-core": "memory.py core --rounds 2",
    "memory-titans": "memory.py titans --rounds 2 --seconds 0.05",
    "memory-titans-updated": "memory.py updated --rounds 1 --seconds 0.05",
    "memory-delta": "memory.py delta --rounds 2 --seconds 0.05",
    "train-small": "train_vs_pytorch.py small --peers eager,compiled,autocast --only time --rounds 2 --seconds 1.5",
    "train-small-memory": "train_vs_pytorch.py small --only memory",
    "train-124m": "train_vs_pytorch.py 124m --peers eager --only time --rounds 2 --seconds 0.1",
    "train-124m-compiled": "train_vs_pytorch.py 124m --peers compiled --only time --rounds 2 --seconds 0.1",
    "train-124m-autocast": "train_vs_pytorch.py 124m --peers autocast --only time --set run.compute=bf16 --rounds 2 --seconds 0.1",
    "train-124m-memory": "train_vs_pytorch.py 124m --only memory",
    "gemm": "gemm.py --rounds 2 --seconds 0.2",
    "small": "small.py",
    "scaling-length-full": "scaling.py length --layer full --seconds 0.1",
    "scaling-length-window": "scaling.py length --layer window --seconds 0.1",
    "scaling-length-gla": "scaling.py length --layer gla --seconds 0.1",
    "scaling-length-titans": "scaling.py length --layer titans --seconds 0.1",
    "scaling-memory-full": "scaling.py memory --layer full",
    "scaling-memory-window": "scaling.py memory --layer window",
    "scaling-memory-gla": "scaling.py memory --layer gla",
    "scaling-memory-titans": "scaling.py memory --layer titans",
    "scaling-stream": "scaling.py stream --seconds 0.1",
    "scaling-threads": "scaling.py threads --rounds 5 --seconds 0.3",
}

# What a processor must have for a piece to say something of it (common.machine): products in bf16; more than AVX2.
NEEDS = {"train-124m-autocast": "avx512_bf16", "attention-avx2": "avx512f"}


def fits(name, has):
    return NEEDS.get(name) in (None, *has)
