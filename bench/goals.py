# SPDX-License-Identifier: Apache-2.0
"""What is aimed at: for each result a number, the least or most it should be, and where that comes from.

Shares are of the peak or bandwidth that was measured in the same process. Some goals differ by the kind of CPU: they were
set by prototypes on two of them. The floors (bench/floors) are 0.8 of these, on CPU time.
"""
ZEN4, INTEL, AVX2 = "Zen 4", "Intel", "a processor without AVX-512"


def kind(machine):
    if "avx512f" not in machine["has"]:
        return AVX2
    return INTEL if "Intel" in machine["cpu"] else ZEN4


class Line:
    """One goal held against one number."""

    def __init__(self, name, value, goal, most=False, unit="", note=""):
        self.name, self.value, self.goal, self.most, self.unit, self.note = name, value, goal, most, unit, note

    @property
    def met(self):
        return self.value <= self.goal if self.most else self.value >= self.goal

    @property
    def share(self):
        """Of the goal: 1 and more is met."""
        return self.goal / self.value if self.most else self.value / self.goal


def ratio(record, *peers):
    """How many times as fast as the fastest of these peers (of all)."""
    times = [p["seconds"] for n, p in record["peers"].items() if not peers or n in peers]
    return min(times) / record["loci"]["seconds"] if times else None


def attention_fraction(record):
    """The goal for this case on this CPU, or None."""
    k, t, d = kind(record["machine"]), record["T"], record["D"]
    has = record["machine"]["has"]
    if record.get("cpu") == "avx2" or k == AVX2:
        return 0.80 if (record["dtype"], record["which"]) == ("f32", "forward") else None
    if record["dtype"] == "f32":
        if record["which"] == "backward":
            return {ZEN4: 0.80, INTEL: 0.70}[k] if t > 512 else None
        if t <= 512:
            return {ZEN4: 0.76, INTEL: 0.63}[k]
        return {ZEN4: 0.85 if d == 64 else 0.88, INTEL: 0.73}[k]
    if "amx_bf16" in has:
        if record["which"] == "backward":
            return 0.20
        return {64: (0.27, 0.40, 0.40), 128: (0.32, 0.45, 0.43)}[d][0 if t <= 512 else 1 if t <= 2048 else 2]
    return 0.75 if k == ZEN4 and record["which"] == "forward" else None


def attention_ratio(record):
    if record["dtype"] == "f32":
        return 1.4 if record["which"] == "backward" else 1.5 if record["T"] <= 2048 else 1.3
    if "amx_bf16" in record["machine"]["has"]:
        return 4 if record["which"] == "backward" else 3
    return None


def of_attention(r):
    case = f"attention {r['dtype']} {r['which']}, D={r['D']}, T={r['T']}" + (", AVX2" if r.get("cpu") == "avx2" else "")
    lines = []
    if attention_fraction(r):
        lines.append(Line(case + ": share of the peak", r["loci"]["fraction"], attention_fraction(r)))
    if ratio(r, "PyTorch SDPA") and attention_ratio(r):
        lines.append(Line(case + ": times as fast as PyTorch", ratio(r, "PyTorch SDPA"), attention_ratio(r)))
    return lines


def of_window(records):
    lines, by_length = [], {r["T"]: r for r in records}
    for t, r in sorted(by_length.items()):
        lines.append(Line(f"window {r['window']}, T={t}: share of the peak", r["loci"]["fraction"], 0.66))
        if 2 * t in by_length:
            lines.append(Line(f"window {r['window']}: time at T={2 * t} over T={t}",
                              by_length[2 * t]["loci"]["seconds"] / r["loci"]["seconds"], 2.1, most=True))
        if ratio(r):
            lines.append(Line(f"window {r['window']}, T={t}: times as fast as compiled flex_attention", ratio(r), 3))
    return lines


def of_decode(records):
    lines, by_case = [], {(r["kv"], r["dtype"], r["T"]): r for r in records}
    for (kv, dtype, t), r in sorted(by_case.items()):
        case = f"decode {dtype}, {r['H']} heads, {kv} of keys, T={t}"
        if dtype == "f32":
            lines.append(Line(case + ": share of what can be read", r["loci"]["read_fraction"], 0.9))
        elif (kv, "f32", t) in by_case:
            lines.append(Line(case + ": time over that of f32",
                              r["loci"]["seconds"] / by_case[kv, "f32", t]["loci"]["seconds"], 0.5, most=True))
    return lines


TIMES_FLOOR = {"delta": 1.33, "titans": 1.5}


def of_memory(records):
    lines, by_case = [], {(r["rule"], r["D"], r["which"]): r for r in records}
    for (rule, d, which), r in sorted(by_case.items()):
        case = f"memory {rule}, d={d}"
        if which == "forward" and rule in TIMES_FLOOR:
            lines.append(Line(case + ": time over that of its recurrence at the peak", 1 / r["loci"]["fraction"],
                              TIMES_FLOOR[rule], most=True))
        if which == "backward":
            lines.append(Line(case + ": backward over forward",
                              r["loci"]["seconds"] / by_case[rule, d, "forward"]["loci"]["seconds"], 3, most=True))
    return lines


def of_titans(r):
    form = "matrix" if r["depth"] == 1 else "MLP"
    return [Line(f"Titans layer, {form}, {r['which']}: times as fast as {peer} at chunk {r['chunk']}", ratio(r, peer),
                 20 if r["chunk"] == 16 else 10) for peer in r["peers"]]


def of_training(records):
    """Each peer may stand in a record of its own; of those in float32 the fastest counts."""
    lines = []
    for shape, goal in (("small", 2), ("124m", 1.2)):
        mine = [r for r in records if r["shape"] == shape and not r["sets"]]
        plain = {n: ratio(r, n) for r in mine for n in r.get("peers", {}) if n != "PyTorch autocast"}
        if plain:
            lines.append(Line(f"training step, {shape}: times as fast as the fastest in f32 of {', '.join(sorted(plain))}",
                              min(plain.values()), goal))
        for peaks in (r["peak_bytes"] for r in mine if r.get("peak_bytes", {}).get("PyTorch eager")):
            lines.append(Line(f"training step, {shape}: peak of memory over PyTorch's",
                              peaks["loci"] / peaks["PyTorch eager"], 0.6, most=True))
    for r in records:
        if r["shape"] == "124m" and "PyTorch autocast" in r.get("peers", {}) and "amx_bf16" in r["machine"]["has"]:
            lines.append(Line("training step, 124m: times as fast as PyTorch's autocast", ratio(r, "PyTorch autocast"), 2))
    return lines


def of_small_things(r):
    if r["what"] == "call":
        return [Line("an empty call of a component", r["loci"]["seconds"] * 1e9, 50, most=True, unit=" ns")]
    if r["what"] == "startup":
        return [Line("start-up with every plugin", r["loci"]["seconds"] * 1e3, 20, most=True, unit=" ms")]
    return [Line("recurrence D: share of the triad's bandwidth", r["share"], 0.9)]


def lines_of(records):
    """Every goal that these results can be held against."""
    of = {w: [r for r in records if r["what"] == w] for w in {r["what"] for r in records}}
    lines = [x for r in of.get("attention", []) for x in of_attention(r)]
    for what, function in (("window", of_window), ("decode", of_decode), ("memory", of_memory)):
        lines += function(of.get(what, []))
    lines += [x for r in of.get("titans layer", []) for x in of_titans(r)]
    lines += of_training(of.get("train", []))
    for what in ("scan D", "call", "startup"):
        lines += [x for r in of.get(what, []) for x in of_small_things(r)]
    return lines
