# SPDX-License-Identifier: Apache-2.0
"""What the scripts in this folder share: the command under test, timing, turns, and results as JSON lines.

 (1) loci and its peers run in one script in turns, so that a change of the machine's speed meets all; a time is the
     median over the rounds of medians.
 (2) A result is one JSON object a line, complete in itself: what was measured, both times, the peak that `loci bench`
     measured in its own process, machine, versions, date, command.
 (3) A peer that is not installed is said to be absent, and the rest is measured all the same.
"""
import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import time


def arguments(doc, **defaults):
    """The options every script has; defaults are those of `rounds` and `seconds`."""
    p = argparse.ArgumentParser(description=doc.split("\n\n")[0], formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--loci", default=os.environ.get("LOCI_COMMAND", "build/loci"), help="the command (%(default)s)")
    p.add_argument("--threads", type=int, default=2, help="of both sides (%(default)s)")
    p.add_argument("--rounds", type=int, default=defaults.get("rounds", 3), help="turns of each side (%(default)s)")
    p.add_argument("--seconds", type=float, default=defaults.get("seconds", 0.3),
                   help="of a case and turn, about (%(default)s)")
    p.add_argument("--out", default="-", help="file to append results to (standard output)")
    return p


class Session:
    """Options, facts of the machine, and where results go."""

    def __init__(self, options):
        self.options = options
        self.facts = {"date": datetime.date.today().isoformat(), "machine": machine(), "threads": options.threads,
                      "versions": {}, "command": " ".join(map(shlex.quote, ["bench/" + os.path.basename(sys.argv[0])] +
                                                              bare(sys.argv[1:])))}

    def loci(self, *words, env=None):
        """Rows of `loci bench WORDS`."""
        o = self.options
        # Two libraries that share the cores would each think it has them: one thread each but for the pool of loci.
        quiet = {**os.environ, "OMP_NUM_THREADS": "1", **(env or {})}
        command = [o.loci, "bench", *map(str, words), "--threads", str(o.threads), "--json", "-q"]
        if not any(str(w).startswith("--seconds") for w in words):
            command += ["--seconds", str(o.seconds)]
        done = subprocess.run(command, capture_output=True, text=True, env=quiet, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)}: {done.stderr.strip()}")
        rows = json.loads(done.stdout)
        self.facts["versions"]["loci"] = rows[0]["machine"].split("loci ")[-1]
        return rows

    def peer(self, package, module=None):
        """The version of an installed peer; None, and a word on standard error, when it is absent."""
        try:
            version = importlib.metadata.version(package)
            __import__(module or package)
        except ImportError as e:
            print(f"{package} is absent ({e}): pip install -r bench/requirements.txt", file=sys.stderr)
            return None
        self.facts["versions"][package] = version
        return version

    def torch(self):
        """PyTorch with the threads of this session, or None."""
        if not self.peer("torch"):
            return None
        import torch

        torch.set_num_threads(self.options.threads)
        torch.manual_seed(1)
        return torch

    def emit(self, **record):
        line = json.dumps({**record, **self.facts})
        if self.options.out == "-":
            print(line, flush=True)
        else:
            with open(self.options.out, "a", encoding="utf-8") as f:
                f.write(line + "\n")


def bare(words):
    """What tells a measurement from another: not where the command lies, nor where results go."""
    kept, skip = [], False
    for w in words:
        if not skip and w not in ("--out", "--loci") and not w.startswith(("--out=", "--loci=")):
            kept.append(w)
        skip = w in ("--out", "--loci")
    return kept


def machine():
    """The processor, and what of it decides: cores that may be used, and which instructions for matrices it has."""
    facts = {}
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        for line in f:
            name, _, value = line.partition(":")
            facts.setdefault(name.strip(), value.strip())
    flags = facts.get("flags", "").split()
    has = [f for f in ("avx2", "avx512f", "avx512_bf16", "avx512_fp16", "amx_bf16") if f in flags]
    return {"cpu": facts.get("model name", platform.processor()), "family": facts.get("cpu family"),
            "model": facts.get("model"), "cores": len(os.sched_getaffinity(0)), "has": has}


def median_seconds(call, budget, least=3):
    """Of one call: a warm-up, then samples for so long, at least three."""
    begin = time.perf_counter()
    call()
    if time.perf_counter() - begin < budget:
        call()
    times, begin = [], time.perf_counter()
    while len(times) < least or time.perf_counter() - begin < budget:
        at = time.perf_counter()
        call()
        times.append(time.perf_counter() - at)
    return statistics.median(times)


def turns(rounds, sides):
    """Every side in turn, so many rounds. A side is a function that gives {case: number}; the result {side: {case: the
    numbers of the rounds}}."""
    got = {name: {} for name in sides}
    for _ in range(rounds):
        for name, run in sides.items():
            for case, x in run().items():
                got[name].setdefault(case, []).append(x)
    return got


def middle(rows, member):
    """The median of a member over rows that have it."""
    numbers = [r[member] for r in rows if r.get(member) is not None]
    return statistics.median(numbers) if numbers else None


def of_loci(rows):
    """The rows of one case in all rounds, as one."""
    names = ("seconds", "gflops", "peak_gflops", "fraction", "cpu_fraction", "bytes_per_s", "read_bytes_per_s",
             "read_fraction", "triad_bytes_per_s", "tokens_per_s")
    return {**{n: middle(rows, n) for n in names}, "peak": rows[0].get("peak"), "all": [r["seconds"] for r in rows]}


def of_peer(seconds):
    return {"seconds": statistics.median(seconds), "all": seconds}
