"""The style of the HTML report: light and dark, narrow and wide, screen and paper."""

from __future__ import annotations

import base64
import hashlib

STYLE = """
:root{color-scheme:light dark;--ground:#fff;--panel:#f6f7f9;--ink:#16191d;--dim:#59626d;
--line:#d5dae0;--track:#e7eaee;--critical:#a4123f;--high:#c2410c;--medium:#8a6100;--low:#3f6184;
--good:#1d7a45;--plain:#3b6ea8}
@media (prefers-color-scheme:dark){:root{--ground:#14171b;--panel:#1c2126;--ink:#e8ebee;
--dim:#a3adb8;--line:#343b43;--track:#2a3037;--critical:#ff7598;--high:#ff9f5a;--medium:#e3b341;
--low:#8fb8e0;--good:#5fd38d;--plain:#7db0ea}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.5 system-ui,sans-serif;
overflow-wrap:anywhere}
table{overflow-wrap:break-word}
.key,.why,td bdi{overflow-wrap:anywhere}
main,footer{max-width:72rem;margin:0 auto;padding:1rem}
h1{font-size:1.5rem;line-height:1.25;margin:.5rem 0}
h2{font-size:1.15rem;margin:2rem 0 .5rem}
h3{font-size:1rem;margin:0 0 .5rem}
p{margin:.4rem 0}
.dim,footer{color:var(--dim);font-size:.9rem}
.verdict{border-left:.4rem solid var(--good);background:var(--panel);padding:.6rem .9rem;
font-weight:600}
.verdict.critical{border-color:var(--critical)}.verdict.high{border-color:var(--high)}
.verdict.medium,.verdict.partial{border-color:var(--medium)}.verdict.low{border-color:var(--low)}
.warn{border:1px solid var(--medium);border-radius:4px;padding:.5rem .9rem;margin:.6rem 0}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(8.5rem,1fr));gap:.6rem;
margin:1rem 0;padding:0;list-style:none}
.figures li{background:var(--panel);border-radius:4px;padding:.6rem .8rem}
.figures b{display:block;font-size:1.35rem;line-height:1.3;font-variant-numeric:tabular-nums}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(26rem,100%),1fr));gap:1rem}
.charts section{border:1px solid var(--line);border-radius:4px;padding:.8rem 1rem;min-width:0}
.chart{display:block;overflow:visible}
.chart text{font-size:13px;fill:var(--ink);unicode-bidi:isolate}
.chart .value{fill:var(--dim);font-variant-numeric:tabular-nums}
.track{fill:var(--track)}.bar{fill:var(--plain)}.whisker{stroke:var(--ink);stroke-width:1.5}
.bar.critical{fill:var(--critical)}.bar.high{fill:var(--high)}.bar.medium{fill:var(--medium)}
.bar.low{fill:var(--low)}.bar.good{fill:var(--good)}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.92rem}
caption{text-align:left;color:var(--dim);padding:.2rem 0}
th,td{text-align:left;vertical-align:top;padding:.35rem .6rem .35rem 0;
border-bottom:1px solid var(--line)}
th{font-weight:600;white-space:nowrap}thead th{color:var(--dim)}
.kind{white-space:nowrap}.said{min-width:7rem;overflow-wrap:anywhere}
details caption{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.key{font-family:ui-monospace,monospace;font-size:.9em;min-width:9rem}
.why{min-width:11rem}
.tag{font-weight:700;font-size:.8rem;white-space:nowrap}
.tag.critical,.tag.violated{color:var(--critical)}.tag.high{color:var(--high)}
.tag.medium,.tag.undecided{color:var(--medium)}.tag.low{color:var(--low)}
.tag.held{color:var(--good)}
details{margin:.6rem 0}summary{cursor:pointer;font-weight:600}
summary:focus-visible,.scroll:focus-visible{outline:2px solid var(--plain);outline-offset:2px}
@media print{body{font-size:10pt}main,footer{max-width:none;padding:0}
.charts section,tr{break-inside:avoid}.scroll{overflow:visible}
.bar,.track,.verdict,.figures li{print-color-adjust:exact;-webkit-print-color-adjust:exact}
details::details-content{content-visibility:visible;block-size:auto}}
""".strip()


def content_policy() -> str:
    """What the page may load: nothing but its own style, which is named by its hash."""
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode("ascii")
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
