#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make docs/benchmarks.md, and the plots it shows, of what bench/run-all has measured.

    bench/report.py [--results build/bench/results] [--out docs/benchmarks.md]

Nothing in the page is written by hand but its words: numbers, versions, commands and verdicts come from the results. A
goal that is missed is marked, with the share of it that was reached.
"""
import argparse
import json
import pathlib
import statistics

import plots
from goals import kind, lines_of
from pieces import PIECES, fits

HERE = pathlib.Path(__file__).resolve().parent


def read(folder):
    records = []
    for path in sorted(folder.glob("*.jsonl")):
        records += [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    if not records:
        raise SystemExit(f"{folder} holds no results: run bench/run-all")
    return records


def number(x, digits=3):
    """With so many digits that mean something."""
    if x is None:
        return "-"
    text = f"{x:.{digits}g}"
    return f"{x:.0f}" if "e" in text or abs(x) >= 10 ** digits else text


def share(x):
    return "-" if x is None else f"{x:.2f}"


def span(s):
    for unit, size in (("s", 1), ("ms", 1e-3), ("us", 1e-6)):
        if s >= size:
            return f"{number(s / size)} {unit}"
    return f"{number(s * 1e9)} ns"


def table(head, rows):
    """Text columns first; what begins with a number stands to the right."""
    right = [all(r[i][:1].isdigit() or r[i] == "-" for r in rows) for i in range(len(head))]
    line = lambda cells: "| " + " | ".join(cells) + " |"
    return "\n".join([line(head), line(["---:" if x else "---" for x in right]), *map(line, rows)]) + "\n"


def commands(records):
    return "".join(f"    {c}\n" for c in sorted({r["command"] for r in records})) + "\n"


def middle(records, *path):
    found = []
    for r in records:
        x = r
        for name in path:
            x = (x or {}).get(name)
        if x is not None:
            found.append(x)
    return statistics.median(found) if found else None


def named(m):
    """The kind of a machine, for a heading."""
    return kind(m) + (" with AMX" if "amx_bf16" in m["has"] else "")


def machine(records):
    m = records[0]["machine"]
    versions = {k: v for r in records for k, v in r["versions"].items()}
    f32 = [r for r in records if (r.get("loci") or {}).get("peak", "") and r["loci"]["peak"].startswith("f32") and not r.get("cpu")
           and r["threads"] == 2 and r.get("n") in (None, 2)]
    bf16 = [r for r in records if r.get("dtype") == "bf16"]
    dates = sorted({r["date"] for r in records})
    rows = [["processor", f"{m['cpu']} (family {m['family']}, model {m['model']}), {m['cores']} cores; has {', '.join(m['has'])}"],
            ["goals", f"those for {kind(m)}; " + ("AMX is there" if "amx_bf16" in m["has"] else "no AMX here: nothing of it was run")],
            ["threads", str(statistics.mode(r["threads"] for r in records))],
            ["peak in f32", f"{number(middle(f32, 'loci', 'peak_gflops'))} GFLOP/s ({f32[0]['loci']['peak']})"],
            ["peak in bf16", f"{number(middle(bf16, 'loci', 'peak_gflops'))} GFLOP/s ({bf16[0]['loci']['peak']})" if bf16 else "-"],
            ["memory", f"reads {number(middle(f32, 'loci', 'read_bytes_per_s') / 1e9)} GB/s, "
                       f"triad {number(middle(f32, 'loci', 'triad_bytes_per_s') / 1e9)} GB/s"],
            ["date", dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"],
            ["versions", ", ".join(f"{k} {v}" for k, v in sorted(versions.items()))]]
    return table(["", "this machine"], rows)


def goals(records):
    lines = lines_of(records)
    rows = [[x.name, f"{number(x.value)}{x.unit}", f"{'at most' if x.most else 'at least'} {number(x.goal)}{x.unit}",
             "met" if x.met else f"missed: {x.share:.2f} of it"] for x in lines]
    met = sum(x.met for x in lines)
    return f"{met} of {len(lines)} are met.\n\n" + table(["", "here", "goal", ""], rows)


def beside(r):
    """Peers of a record, as `name time (times ours)`."""
    return "; ".join(f"{n} {span(p['seconds'])}, {number(p['seconds'] / r['loci']['seconds'])} times ours"
                     for n, p in sorted(r["peers"].items())) or "-"


def attention(records):
    mine = sorted((r for r in records if r["what"] == "attention"),
                  key=lambda r: (r["dtype"], r["which"], r.get("cpu") or "", r["D"], r["T"]))
    rows = [[f"{r['dtype']} {r['which']}" + (f", {r['cpu']} only" if r.get("cpu") else ""), str(r["D"]), str(r["T"]),
             span(r["loci"]["seconds"]), number(r["loci"]["gflops"]), share(r["loci"]["fraction"]),
             share(r["loci"]["cpu_fraction"]), beside(r)] for r in mine]
    return commands(mine) + table(["causal", "D", "T", "loci", "GFLOP/s", "of peak", "by CPU time", "peers"], rows)


def window(records):
    mine = sorted((r for r in records if r["what"] == "window"), key=lambda r: r["T"])
    rows = [[str(r["T"]), span(r["loci"]["seconds"]), share(r["loci"]["fraction"]), beside(r)] for r in mine]
    return commands(mine) + table(["T", "loci", "useful, of peak", "peers"], rows)


def decode(records):
    mine = sorted((r for r in records if r["what"] == "decode"), key=lambda r: (r["T"], -r["kv"], r["dtype"]))
    rows = [[str(r["T"]), f"{r['kv']} of {r['H']}", r["dtype"], span(r["loci"]["seconds"]),
             number(r["loci"]["bytes_per_s"] / 1e9), share(r["loci"]["read_fraction"]), beside(r)] for r in mine]
    return commands(mine) + table(["T", "key heads", "keys in", "loci", "GB/s", "of reading", "peers"], rows)


def memory(records):
    mine = sorted((r for r in records if r["what"] == "memory"), key=lambda r: (r["rule"], r["D"], r["which"] == "backward"))
    rows = [[r["rule"], str(r["D"]), r["which"], span(r["loci"]["seconds"]),
             number(1e6 * r["loci"]["seconds"] * r["threads"] / r["T"] / r["H"]), number(r["loci"]["gflops"]),
             share(r["loci"]["fraction"]), number(1 / r["loci"]["fraction"]) if r["loci"]["fraction"] else "-"] for r in mine]
    beside_peers = [r for r in records if r["what"] in ("titans layer", "gated delta rule")]
    more = [[r["what"] + ("" if "form" not in r else ", " + r["form"]) +
             ("" if "depth" not in r else f", {'matrix' if r['depth'] == 1 else 'MLP'}, chunk {r['chunk']}"), r["which"],
             span(r["loci"]["seconds"]), beside(r)] for r in beside_peers]
    return (commands(mine) + table(["rule", "d", "", "loci", "core us a token and head", "GFLOP/s", "of peak", "times the recurrence"],
                                   rows) + "\n" + commands(beside_peers) + table(["", "", "loci", "peer"], more))


def train(records):
    mine = [r for r in records if r["what"] == "train"]
    rows = [[r["shape"] + (f" {' '.join(r['sets'])}" if r["sets"] else ""), span(r["loci"]["seconds"]),
             number(r["loci"]["tokens_per_s"]), share(r["loci"]["fraction"]), beside(r)] for r in mine if "loci" in r]
    peaks = [[r["shape"], *(f"{number(b / 1e9)} GB" for b in (r["peak_bytes"][n] for n in ("loci", "PyTorch eager")))]
             for r in mine if r.get("peak_bytes", {}).get("PyTorch eager")]
    return (commands(mine) + table(["model", "loci, a step", "tokens/s", "of peak", "peers"], rows) + "\n" +
            (table(["model", "peak memory of loci", "of PyTorch"], peaks) if peaks else ""))


def products(records):
    mine = sorted((r for r in records if r["what"] == "gemm"), key=lambda r: (r["M"], r["N"], r["K"]))
    rows = [[str(r["M"]), str(r["N"]), str(r["K"]), span(r["loci"]["seconds"]), number(r["loci"]["gflops"]),
             share(r["loci"]["fraction"]), beside(r)] for r in mine]
    return commands(mine) + table(["M", "N", "K", "loci", "GFLOP/s", "of peak", "peers"], rows)


def small(records):
    rows = []
    for r in records:
        if r["what"] == "scan D":
            rows.append(["recurrence D", f"{number(r['bytes_per_s'] / 1e9)} GB/s, {share(r['share'])} of the triad's"])
        elif r["what"] in ("call", "startup"):
            rows.append([r["what"], span(r["loci"]["seconds"])])
    return commands([r for r in records if r["what"] in ("call", "startup", "scan D")]) + table(["", "loci"], rows)


def scaling(records, folder):
    mine = [r for r in records if r["what"] == "scaling"]
    folder.mkdir(exist_ok=True)

    def curves(which, y):
        found = {}
        for r in mine:
            if r["which"] == which:
                found.setdefault(r["layer"], []).append((r["T"], y(r)))
        return found

    text = commands(mine)
    length = curves("length", lambda r: 1e6 * r["loci"]["seconds"] / r["T"])
    if length:
        plots.against_length(folder / "length.svg", length, "microseconds a token, forward")
        text += f"![time of a token against the length of the sequence]({folder.name}/length.svg)\n\n"
        rows = [[n, *(number(dict(p).get(t)) for t in (256, 2048, 8192, 32768, 65536))] for n, p in length.items()]
        text += table(["forward, us a token", "T=256", "2k", "8k", "32k", "64k"], rows) + "\n"
    for y, name, label in (
            (lambda r: r["loci"]["state_bytes"] / 2 ** 20, "state", "MiB that a stream keeps"),
            (lambda r: 1e6 * r["loci"]["seconds"], "decode", "microseconds for one more token")):
        found = curves("stream", y)
        if found:
            plots.against_length(folder / f"{name}.svg", found, label)
            text += f"![{label} after T tokens]({folder.name}/{name}.svg)\n\n"
    kept = {}
    for r in (r for r in mine if r["which"] == "memory"):
        name = r["layer"] + ("" if r["recompute"] == "none" else ", recomputed")
        kept.setdefault(name, []).append((r["T"], r["activation_bytes"] / 2 ** 20))
    if kept:
        plots.against_length(folder / "memory.svg", kept, "MiB of a step besides weights and optimiser")
        text += f"![memory of a training step against the length of the sequence]({folder.name}/memory.svg)\n\n"
        lengths = sorted({t for p in kept.values() for t, _ in p})
        rows = [[n, *(number(dict(p).get(t)) for t in lengths)] for n, p in kept.items()]
        text += table(["four layers trained, MiB besides weights and optimiser", *(f"T={t}" for t in lengths)], rows) + "\n"
    groups, counts = {}, sorted({r["n"] for r in mine if r["which"] == "threads"})
    for r in sorted((r for r in mine if r["which"] == "threads"), key=lambda r: r["n"]):
        groups.setdefault(r["layer"], []).append(r["loci"]["tokens_per_s"] / 1e3)
    if groups:
        plots.bars(folder / "threads.svg", groups, [f"{n} thread{'s' * (n > 1)}" for n in counts], "thousand tokens a second")
        text += f"![tokens a second against threads]({folder.name}/threads.svg)\n\n"
        text += table(["T=2048", *(f"{n} thread{'s' * (n > 1)}" for n in counts), "speed-up"],
                      [[g, *(f"{number(y)}k tokens/s" for y in ys), number(ys[-1] / ys[0])] for g, ys in groups.items()])
    return text


MADE_BY = "This page is made by `bench/report.py`"
PAGE = """# Benchmarks: {kind}

{others}{made_by} from what `bench/run-all` measured; [bench/README.md](../bench/README.md) says how
to repeat it. loci and its peers ran in turns in one script, on the same threads, and a time is the median over the turns
of medians. A share of the peak is of what the same threads reached in the same process when they did nothing but multiply
and add; `by CPU time` is the same against the CPU time used, which neighbours on the machine disturb less. Operations are
the useful ones: a pair of query and key that the mask hides is no work, a backward of attention is 5 products where a
forward has 2, and a memory's are those of its plain recurrence.

{machine}
{missing}## Goals

{goals}
## Attention

H D = 1024, one row.

{attention}
## A window of 256

{window}
## Decoding

One query, keys and values in no cache.

{decode}
## Memories

{memory}
## A step of training

{train}
## Matrix products

In float32; ggml has its right factor transposed.

{products}
## Small things

{small}
## How it scales

One layer of width 512 with eight heads, f32.

{scaling}"""


def beside_it(page):
    """A line of links to the pages of other machines, which lie beside this one."""
    pages = [f for f in sorted(page.parent.glob("benchmarks*.md")) if f.name != page.name]
    links = [f"[{f.read_text(encoding='utf-8').splitlines()[0].lstrip('# ')}]({f.name})" for f in pages]
    return f"Elsewhere: {', '.join(links)}.\n\n" if links else ""


def tell_others(out):
    """Other pages that this program made get their line anew."""
    for page in (f for f in out.parent.glob("benchmarks*.md") if f.name != out.name):
        title, _, text = page.read_text(encoding="utf-8").partition("\n\n")
        if text.startswith("Elsewhere: "):
            text = text.partition("\n\n")[2]
        if text.startswith(MADE_BY):
            page.write_text(f"{title}\n\n{beside_it(page)}{text}", encoding="utf-8")


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("--results", type=pathlib.Path, default=HERE.parent / "build" / "bench" / "results")
    p.add_argument("--out", type=pathlib.Path, default=HERE.parent / "docs" / "benchmarks.md")
    o = p.parse_args()
    records = read(o.results)
    absent = [n for n in PIECES if fits(n, records[0]["machine"]["has"]) and not (o.results / f"{n}.jsonl").exists()]
    missing = f"Not measured for this page: {', '.join(absent)}.\n\n" if absent else ""
    parts = {f.__name__: f(records) for f in (machine, goals, attention, window, decode, memory, train, products, small)}
    text = PAGE.format(**parts, kind=named(records[0]["machine"]), others=beside_it(o.out), made_by=MADE_BY, missing=missing,
                       scaling=scaling(records, o.out.with_suffix("")))
    o.out.write_text(text, encoding="utf-8")
    tell_others(o.out)


if __name__ == "__main__":
    main()
