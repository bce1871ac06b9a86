#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Components of loci against independent implementations in plain PyTorch: outputs and all gradients.

    python3 run.py                       everything, in every type
    python3 run.py --only titans         groups or cases whose name holds a word; --list names them all
    python3 run.py --loci PATH           this command; else LOCI_COMMAND, build/loci of this tree, or the path

A line is a case: the largest relative RMS of any tensor that comes out, and which tensor it is. The limit is 1e-5 in
float32, 1e-10 in float64, and 1e-2 where tensors are stored in bfloat16. The exit code is 1 when a case is worse, 77
when PyTorch is not there.
"""

import argparse
import importlib
import platform
import sys
import time

GROUPS = ("attention", "mha", "gla", "titans", "delta", "hebbian", "front", "compose")


def arguments():
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument(
        "--only", action="append", metavar="WORD", help="cases whose `group: name` holds this; repeatable"
    )
    parse.add_argument("--dtype", choices=("f32", "f64", "bf16"), help="one type instead of all")
    parse.add_argument("--list", action="store_true", help="name the cases and do nothing")
    parse.add_argument("--markdown", action="store_true", help="the summary as a table for a README")
    parse.add_argument("--each", action="store_true", help="every tensor of every case")
    parse.add_argument("--loci", metavar="PATH", help="the command to run")
    return parse.parse_args()


def processor():
    try:
        with open("/proc/cpuinfo") as f:
            return next(line.split(":", 1)[1].strip() for line in f if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def chosen(loci, only):
    """(group, case) of those that --only lets through."""
    for group in GROUPS:
        for case in importlib.import_module(group).cases(loci):
            if not only or any(word in f"{group}: {case.component}, {case.name}" for word in only):
                yield group, case


def hold(common, loci, case, dtype, each):
    """A line of the table: (worst, PyTorch's own, passed), having said it."""
    label = f"{common.NAMES[dtype]}  {case.component:<18} {case.name}"
    try:
        r = common.compare(loci, case, dtype)
    except common.Refused as refused:
        print(f"{'refused':>9}  {label}: {refused}", flush=True)
        return float("inf"), 0.0, False
    passed = r.worst <= common.LIMIT[dtype]
    print(
        f"{r.worst:9.1e}  {label}{'' if passed else '  WORSE THAN %.0e' % common.LIMIT[dtype]}  ({r.where})", flush=True
    )
    for name, d in sorted(r.each.items(), key=lambda item: -item[1]) if each or not passed else ():
        print(f"{d:19.1e}  {name}")
    return r.worst, r.torch, passed


def summary(rows, markdown):
    """Per group: cases, the worst of them in each type, and how far PyTorch in float32 is from itself in float64."""
    lines = [("group", "cases", "f32", "PyTorch f32", "f64", "bf16", "the worst case in f32")]
    for group in GROUPS:
        of = {name: [r for r in rows if r[:2] == (group, name)] for name in ("f32", "f64", "bf16")}
        if not any(of.values()):
            continue
        worst = {name: f"{max(r[3] for r in these):.1e}" if these else "" for name, these in of.items()}
        own = f"{max(r[4] for r in of['f32']):.1e}" if of["f32"] else ""
        where = max(of["f32"], key=lambda r: r[3])[2] if of["f32"] else ""
        count = str(max(len(these) for these in of.values()))
        lines.append((group, count, worst["f32"], own, worst["f64"], worst["bf16"], where))
    if markdown:
        lines.insert(1, ("---",) * 7)
    print()
    for line in lines:
        fixed = "{:<10} {:>5}  {:>8}  {:>11}  {:>8}  {:>8}  {}".format(*line)
        print("| " + " | ".join(line) + " |" if markdown else fixed)


def main():
    args = arguments()
    try:
        import numpy
        import safetensors
        import torch
    except ImportError as missing:
        print(
            f"parity: {missing.name} is not installed for {sys.executable}: nothing was compared; "
            "`pip install -r requirements.txt`, or name another interpreter",
            file=sys.stderr,
        )
        return 77

    import common
    import sabotage
    import selftest

    started, loci, rows = time.time(), common.Loci(args.loci), []
    torch.set_num_threads(1)  # the tensors are small
    if args.list:
        for group, case in chosen(loci, args.only):
            print(f"{group}: {case.component}, {case.name}")
        return 0
    wrong = 0
    if not args.only:
        wrong = selftest.run(lambda name, holds, remark: holds or print(f"self-test FAILED: {name} {remark}"))
        wrong += sabotage.run(loci, lambda name, found, remark: found or print(f"sabotage NOT FOUND: {name} {remark}"))
    for group, case in chosen(loci, args.only):
        for dtype in case.types:
            name = common.NAMES[dtype]
            if args.dtype in (None, name):
                worst, own, passed = hold(common, loci, case, dtype, args.each)
                rows.append((group, name, case.name, worst, own, passed))
                wrong += not passed
    if not rows:
        print(f"parity: no case is called {' or '.join(args.only)}: --list names them", file=sys.stderr)
        return 2
    summary(rows, args.markdown)
    print(f"\n{loci.run('version').splitlines()[0]}; PyTorch {torch.__version__}, numpy {numpy.__version__}, ", end="")
    print(f"safetensors {safetensors.__version__}, Python {platform.python_version()}; {processor()}; ", end="")
    print(f"{time.strftime('%Y-%m-%d')}; {time.time() - started:.0f} s")
    print(f"{sum(r[5] for r in rows)} passed, {wrong} failed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
