#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Small things without a peer: an empty call, start-up, and recurrence D against the triad.

    bench/small.py

Recurrence D is measured by the program bench/scan of the build folder (`make bench/scan`), whose line is read.
"""
import pathlib
import re
import subprocess
import sys

from common import Session, arguments, of_loci


def scan(s):
    program = pathlib.Path(s.options.loci).resolve().parent / "bench" / "scan"
    if not program.exists():
        print(f"{program} is absent: make bench/scan in the build folder", file=sys.stderr)
        return
    done = subprocess.run([program, "4096", str(s.options.threads), "D"], capture_output=True, text=True, check=True)
    found = re.search(r"([\d.]+) GB/s, ([\d.]+) of a triad's ([\d.]+)", done.stdout)
    if not found:
        raise SystemExit(f"{program} says nothing of D:\n{done.stdout}{done.stderr}")
    s.emit(what="scan D", bytes_per_s=1e9 * float(found[1]), share=float(found[2]), triad_bytes_per_s=1e9 * float(found[3]))


def main():
    s = Session(arguments(__doc__).parse_args())
    for what in ("call", "startup"):
        s.emit(what=what, loci=of_loci([s.loci(what)[0] for _ in range(s.options.rounds)]), peers={})
    scan(s)


if __name__ == "__main__":
    main()
