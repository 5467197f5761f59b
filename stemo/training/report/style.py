"""The page's look: one column on a phone, two where there is room; light and dark by the reader's own setting."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ground: #f4f5f8; --ink: #1b1f27; --muted: #5d6675;
  --line: #d5dae2; --accent: #0b6e8a; --wrong: #be3418; --right: #0c6b4a; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #161a22; --ground: #0d1017; --ink: #eef1f6; --muted: #a3acba; --line: #2f3644;
    --accent: #78d6e8; --wrong: #f5835f; --right: #4fd3a4; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main, header, footer { max-width: 70rem; margin: 0 auto; padding: 0 1rem; }
header { padding-top: 2.2rem; }
h1 { font-size: 1.65rem; line-height: 1.2; margin: 0 0 .5rem; letter-spacing: -.01em; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 0 0 .3rem; }
h3 { font-size: 1rem; margin: 1.4rem 0 .3rem; }
p { margin: .4rem 0 .8rem; max-width: 46rem; }
a { color: var(--accent); }
.quiet, figcaption { color: var(--muted); font-size: .88rem; }
nav { margin: 1rem 0; display: flex; flex-wrap: wrap; gap: .3rem 1rem; font-size: .92rem; }
section { background: var(--paper); border: 1px solid var(--line); border-radius: .7rem; padding: 1.1rem 1.1rem 1.2rem;
  margin: 1rem 0; }
.headline { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.2rem, 1fr)); gap: .7rem; margin: 1.2rem 0; }
.headline div { background: var(--paper); border: 1px solid var(--line); border-radius: .7rem; padding: .7rem .9rem; }
.headline b { display: block; font-size: 1.5rem; line-height: 1.25; font-variant-numeric: tabular-nums; }
.headline span { display: block; color: var(--muted); font-size: .82rem; }
.pair { display: grid; grid-template-columns: 1fr; gap: 1.2rem; align-items: start; }
.pair > * { min-width: 0; }
@media (min-width: 56rem) { .pair { grid-template-columns: 1fr 1fr; } }
figure { margin: 0; }
figure > picture > img { display: block; width: 100%; max-width: 36rem; height: auto; margin: 0 auto; }
.scroll { overflow-x: auto; max-height: 38rem; overflow-y: auto; }
table { width: 100%; border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .32rem .5rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { font-weight: 600; }
thead th { color: var(--muted); font-size: .82rem; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
td small { display: block; color: var(--muted); font-size: .76rem; }
.matrix th, .matrix td { padding: .28rem .3rem; }
.matrix thead th { vertical-align: bottom; }
.matrix thead span { writing-mode: vertical-rl; transform: rotate(180deg); }
td.diagonal { color: var(--accent); font-weight: 700; }
.faces { display: grid; grid-template-columns: repeat(auto-fill, minmax(6.2rem, 1fr)); gap: .9rem .7rem; }
.faces img { display: block; width: 100%; aspect-ratio: 1; object-fit: contain; border-radius: .4rem;
  background: var(--ground); }
.faces figcaption { font-size: .78rem; line-height: 1.3; margin-top: .3rem; }
.faces b { display: block; white-space: nowrap; }
.right b { color: var(--right); }
.wrong b { color: var(--wrong); }
ul { padding-left: 1.2rem; max-width: 46rem; }
.note { border-left: .25rem solid var(--wrong); padding-left: .7rem; }
footer { padding-bottom: 3rem; }
@media (max-width: 34rem) {
  main, header, footer { padding-left: .6rem; padding-right: .6rem; }
  section { padding: .9rem .8rem 1rem; }
  .headline { grid-template-columns: 1fr 1fr; gap: .5rem; }
  th, td { padding-left: .22rem; padding-right: .22rem; }
  table { font-size: .84rem; }
  td small { font-size: .66rem; }
  thead th { font-size: .72rem; }
  .faces { gap: .8rem .5rem; } }
""".strip()
