# SPDX-License-Identifier: Apache-2.0
"""Train a small model on a text, stream from it, look at a weight without copying it, save.

    python3 demo.py TEXT [STEPS]
"""

import sys

import loci

CONFIG = """
[model]
layers = 1
dim = 32
[compose]
backend = mag
[mixer.mha]
heads = 2
window_tok = 16
[memory]
backend = titans
heads = 2
[data]
seq_tok = 64
[train]
batch = 4
lr = 1e-2
warmup = 10
"""


def main(text, steps):
    engine = loci.Engine(CONFIG, set={"data.train": text, "train.steps": steps}, train=True)
    print("loci", loci.version(), engine.facts()["parameters"], "parameters")
    for i in range(1, steps + 1):
        measure = engine.step()
        if i % 20 == 0 or i == steps:
            print(f"step {i}  loss {measure['loss_nats']:.4f} nats")

    stream, answer = engine.stream(), b""
    stream.prefill(b"the ")
    while len(answer) < 40:
        answer += bytes([stream.draw(temperature=0.8, top_p=0.95, seed=1)])
        stream.feed(answer[-1:])
    print("the", answer.decode("utf-8", "replace"))

    norm = engine.weights["norm.weight"]
    print("norm.weight", norm.shape, "begins", [round(x, 3) for x in norm.tolist()[:4]])
    try:
        import numpy
    except ImportError:
        print("numpy is not installed: weights are seen as ctypes arrays, tensor.raw()")
    else:
        view = numpy.from_dlpack(norm)
        print("the same through DLPack", numpy.round(view[:4], 3).tolist(), "at one address:", view.ctypes.data == norm.address)
    print("saved", engine.save("runs/python"))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: demo.py TEXT [STEPS]")
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 100)
