# SPDX-License-Identifier: Apache-2.0
"""Plots of the scaling of layers, by gnuplot as everywhere in loci, in the colours of its reports."""
import subprocess

COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7"]
HEAD = """set encoding utf8
set terminal svg size 720,400 dynamic noenhanced font 'sans-serif,13' linewidth 1 background rgb '#FFFFFF'
set border 3 lc rgb '#555555'
set tics nomirror out scale 0.6 textcolor rgb '#333333'
set grid ytics lc rgb '#DDDDDD' lw 0.6
set key tmargin center horizontal Left reverse samplen 2.5 width 2 textcolor rgb '#111111'
"""


def draw(path, script):
    done = subprocess.run(["gnuplot", "--default-settings", "-"], input=script, capture_output=True, text=True, check=False)
    if done.returncode or not done.stdout.startswith("<?xml"):
        raise SystemExit(f"gnuplot could not draw {path}: {done.stderr.strip()}")
    path.write_text(done.stdout.replace("<title>Gnuplot</title>", f"<title>{path.stem}</title>"), encoding="utf-8")


def blocks(curves):
    """Data of every curve under a name, and the plot command's items. `A, B` is dashed and has the colour of `A`."""
    data, items, names = [], [], list(dict.fromkeys(n.split(", ")[0] for n in curves))
    for i, (name, points) in enumerate(curves.items()):
        colour, dash = COLOURS[names.index(name.split(", ")[0]) % len(COLOURS)], " dt 2" if ", " in name else ""
        data.append(f"$c{i} << E\n" + "\n".join(f"{x:g} {y:.9g}" for x, y in sorted(points)) + "\nE\n")
        items.append(f"$c{i} with linespoints lw 2 pt 7 ps 0.6 lc rgb '{colour}'{dash} title '{name}'")
    return "".join(data), ", ".join(items)


def against_length(path, curves, y_label, both_logarithmic=True):
    """Curves {name: [(T, y)]} over a logarithmic axis of lengths."""
    data, items = blocks(curves)
    ticks = ", ".join(f"'{t if t < 1024 else f'{t // 1024}k'}' {t}" for t in sorted({x for p in curves.values() for x, _ in p}))
    draw(path, f"{data}{HEAD}set offsets graph 0.02, graph 0.02, 0, 0\nset logscale x 2\n{'set logscale y 10' if both_logarithmic else 'set yrange [0:*]'}\n"
               f"set format y '%g'\nset xtics ({ticks})\nset xlabel 'tokens T'\nset ylabel '{y_label}'\nplot {items}\n")


def bars(path, groups, series, y_label):
    """Bars {group: [y of each series]}."""
    data = "$d << E\n" + "\n".join(f"\"{g}\" " + " ".join(f"{y:.9g}" for y in ys) for g, ys in groups.items()) + "\nE\n"
    items = ", ".join(f"$d using {i + 2}:xtic(1) lc rgb '{COLOURS[i % len(COLOURS)]}' title '{name}'"
                      for i, name in enumerate(series))
    draw(path, f"{data}{HEAD}set style data histograms\nset style histogram clustered gap 1\nset style fill solid 0.9 noborder\n"
               f"set yrange [0:*]\nset format y '%g'\nset ylabel '{y_label}'\nplot {items}\n")
