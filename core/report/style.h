/* SPDX-License-Identifier: Apache-2.0
 *
 * core/report: how the HTML report looks. Included once, by html.c.
 *
 * Six colours, given for light, dark and print; no font is fetched. Numbers are set with figures of equal width. Plots
 * stand on white in dark pages too, since their palette was chosen for white.
 */
#ifndef LOCI_CORE_REPORT_STYLE_H
#define LOCI_CORE_REPORT_STYLE_H

static const char style[] =
    ":root{color-scheme:light dark;"
    "--ink:#1b1f24;--soft:#59636e;--line:#d1d9e0;--page:#fff;--tint:#f4f6f8;--good:#0b6b3a}\n"
    "@media(prefers-color-scheme:dark){:root{--ink:#e6e9ed;--soft:#9aa5b1;--line:#3a434d;--page:#14181d;--tint:#1d232a;"
    "--good:#6fd39b}}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0 auto;max-width:62rem;padding:2rem 1.25rem 4rem;background:var(--page);color:var(--ink);"
    "font:16px/1.55 system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}\n"
    "h1{font-size:1.7rem;line-height:1.2;margin:0 0 1rem}h2{font-size:1.15rem;margin:2.4rem 0 .6rem}\n"
    ".verdict{font-size:1.12rem;border-left:.3rem solid var(--good);padding:.5rem 1rem;background:var(--tint);margin:0 "
    "0 1.2rem;"
    "white-space:pre-line}\n"
    ".verdict.open{border-color:var(--soft)}\n"
    "p.small,figcaption,caption{color:var(--soft);font-size:.88rem}\n"
    ".wide{overflow-x:auto}\n"
    "table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:.93rem}\n"
    "caption{caption-side:bottom;text-align:left;padding-top:.4rem}\n"
    "th,td{padding:.35rem .6rem;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}\n"
    "thead th{border-bottom:2px solid var(--line);font-weight:600}\n"
    "thead th::first-letter,caption::first-letter{text-transform:uppercase}\n"
    "td.n,th.n{text-align:right;white-space:nowrap}\n"
    "tbody th{font-weight:600}\n"
    ".won{color:var(--good);font-weight:600}\n"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem;margin:0;font-size:.93rem}\n"
    "dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}\n"
    "code,pre{font:.88rem/1.45 ui-monospace,'DejaVu Sans Mono',Consolas,monospace}\n"
    "pre{background:var(--tint);padding:.8rem 1rem;overflow-x:auto;margin:.5rem 0}\n"
    "figure{margin:1rem 0 1.8rem}figure svg{width:100%;height:auto;background:#fff;border:1px solid var(--line);"
    "border-radius:4px;padding:.4rem}\n"
    "summary{cursor:pointer;font-weight:600;padding:.2rem 0}\n"
    "@media print{:root{color-scheme:light;--ink:#000;--soft:#444;--line:#bbb;--page:#fff;--tint:#f6f6f6;--good:#064}"
    "body{max-width:none;padding:0;font-size:10.5pt}table,figure,.verdict{break-inside:avoid}h2{break-after:avoid}"
    "pre{white-space:pre-wrap}}\n";

#endif
