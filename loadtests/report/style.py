"""How pages look: the colours of the product's own pages, light and dark as the reader has it, narrow and wide."""

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #f4f3ef; --card: #ffffff; --well: #eceae4; --ink: #1b1b1f; --soft: #63615c; --line: #dedbd3;
  --accent: #3743c4; --good: #157a4d; --good-tint: #dff3e8; --warn: #8a5300; --warn-tint: #fcefd6;
  --bad: #b3261e; --bad-tint: #fce5e3; --available: #2f9e6b; --held: #e5a42f; --sold: #a9a59b;
  --s0: #3743c4; --s1: #b8590b; --s2: #157a4d; --s3: #8b3fb0; --s4: #63615c; --s5: #a1274f;
  font: 16px/1.45 -apple-system, BlinkMacSystemFont, "Segoe UI", Roboto, "Helvetica Neue", Arial, system-ui, sans-serif;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #111216; --card: #1b1d23; --well: #272a32; --ink: #f1f0ec; --soft: #a5a7b0; --line: #31343d;
    --accent: #97a1ff; --good: #5fd39b; --good-tint: #173527; --warn: #f3bf66; --warn-tint: #3a2c12;
    --bad: #ff8f87; --bad-tint: #432120; --available: #46c08a; --held: #e8b04b; --sold: #5b5e68;
    --s0: #97a1ff; --s1: #f0a04b; --s2: #5fd39b; --s3: #d59bf0; --s4: #a5a7b0; --s5: #ff8fb1;
  }
}
*, *::before, *::after { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
main { max-width: 1120px; margin: 0 auto; padding: 28px 16px 56px; display: grid; gap: 18px; }
main > * { min-width: 0; }
h1, h2, h3, p, ul, ol, dl, dd, figure { margin: 0; padding: 0; }
h1 { font-size: 1.5rem; line-height: 1.2; letter-spacing: -0.01em; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; font-weight: 650; }
h3 { font-size: 0.95rem; font-weight: 650; overflow-wrap: anywhere; }
ul, ol { list-style: none; }
p, li, td, th, dd { overflow-wrap: anywhere; }
.eyebrow, .note, caption { color: var(--soft); font-size: 0.85rem; }
.eyebrow { margin-bottom: 4px; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 16px; padding: 16px; }
.card > h2 { margin-bottom: 10px; }
.verdict { border-left: 6px solid var(--good); }
.verdict.failed { border-left-color: var(--bad); }
.verdict h1::before { content: "✓ "; color: var(--good); }
.verdict.failed h1::before { content: "✗ "; color: var(--bad); }
.verdict p { margin-top: 6px; }
.finding { padding: 12px 0; border-top: 1px solid var(--line); }
.finding:first-of-type { border-top: 0; padding-top: 0; }
.kind { display: inline-block; font-size: 0.8rem; font-weight: 650; color: var(--bad); background: var(--bad-tint);
  border-radius: 99px; padding: 1px 9px; margin-bottom: 4px; }
.evidence { margin: 8px 0 0; padding: 8px 12px; background: var(--well); border-radius: 10px;
  font: 0.8rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
details > summary { cursor: pointer; margin-top: 8px; color: var(--accent); font-size: 0.9rem; }
.remark { background: var(--warn-tint); color: var(--warn); border-radius: 10px; padding: 8px 12px; font-size: 0.9rem; }
.remark + .remark, p + .remark, .remark + .wide { margin-top: 8px; }
.card > .note { margin-top: 10px; }
.tiles { display: grid; gap: 10px; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 14px; padding: 12px 14px; }
.tile dt { color: var(--soft); font-size: 0.82rem; }
.tile dd { font-size: 1.3rem; font-weight: 650; font-variant-numeric: tabular-nums; }
.tile dd small { font-size: 0.82rem; font-weight: 400; color: var(--soft); }
.tile .why { font-size: 0.8rem; font-weight: 400; color: var(--soft); }
.plots { display: grid; gap: 18px; grid-template-columns: repeat(auto-fill, minmax(min(100%, 430px), 1fr)); }
.plots > * { min-width: 0; }
figure svg { display: block; width: 100%; height: auto; margin-top: 6px; }
figure .note { margin-top: 8px; }
.legend { display: flex; flex-wrap: wrap; gap: 2px 16px; font-size: 0.85rem; margin-top: 6px; }
.legend li { display: flex; align-items: center; gap: 6px; }
.legend svg { width: 34px; height: 16px; margin: 0; flex: none; }
.defs { position: absolute; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 0.9rem; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 6px 0 6px 16px; border-top: 1px solid var(--line); vertical-align: top; }
thead th { border-top: 0; color: var(--soft); font-weight: 500; font-size: 0.82rem; }
th:first-child, .told th:last-child, .told td:last-child { text-align: left; }
th:first-child { padding-left: 0; }
tbody th { font-weight: 400; }
.better { color: var(--good); font-weight: 650; } .worse { color: var(--bad); font-weight: 650; }
.moved { color: var(--warn); font-weight: 650; }
.facts { display: grid; grid-template-columns: minmax(110px, max-content) 1fr; gap: 4px 16px; font-size: 0.9rem; }
.facts dt { color: var(--soft); }
svg text { font: 12.5px -apple-system, BlinkMacSystemFont, "Segoe UI", Roboto, Arial, system-ui, sans-serif;
  fill: var(--soft); font-variant-numeric: tabular-nums; }
svg .value { fill: var(--ink); font-weight: 600; }
.grid { stroke: var(--line); } .base { stroke: var(--soft); stroke-opacity: 0.7; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.line.s1 { stroke-dasharray: 7 4; } .line.s2 { stroke-dasharray: 2 4; }
.line.s3 { stroke-dasharray: 10 3 2 3; } .line.s4 { stroke-dasharray: 4 2; } .line.s5 { stroke-dasharray: 12 3; }
.s0 { stroke: var(--s0); } .s1 { stroke: var(--s1); } .s2 { stroke: var(--s2); } .s3 { stroke: var(--s3); }
.s4 { stroke: var(--s4); } .s5 { stroke: var(--s5); }
.point { stroke: var(--card); stroke-width: 1; } .point.open { fill: none; stroke-width: 2; }
.point.s0 { fill: var(--s0); } .point.s1 { fill: var(--s1); } .point.s2 { fill: var(--s2); }
.point.s3 { fill: var(--s3); } .point.s4 { stroke: var(--s4); } .point.s5 { fill: var(--s5); }
.area { fill-opacity: 0.75; } .area.a0 { fill: var(--available); } .area.a1 { fill: var(--held); }
.area.a2 { fill: var(--sold); }
.edge { fill: none; stroke: var(--ink); stroke-opacity: 0.55; stroke-width: 1; }
.over { fill: none; } .over.stripes { fill: url(#stripes); } .over.dots { fill: url(#dots); }
.hatch { fill: none; stroke: var(--ink); stroke-opacity: 0.45; stroke-width: 1.2; }
.hatch-dot { fill: var(--ink); fill-opacity: 0.5; }
.mark line { stroke: var(--soft); stroke-width: 1.2; }
.mark.cut line { stroke-dasharray: 6 3; } .mark.deploy line { stroke-dasharray: 2 3; }
.strips rect, .strip { fill: transparent; } .strips rect:hover { fill: var(--ink); fill-opacity: 0.12; }
details > .plots { margin-top: 12px; }
.bar, .column { fill: var(--s0); } .whisker { stroke: var(--s0); stroke-width: 2; }
.box { fill: var(--s0); fill-opacity: 0.35; stroke: var(--s0); } .median { fill: var(--ink); }
.goal { stroke: var(--bad); stroke-width: 1.6; stroke-dasharray: 6 4; }
.spread { stroke: var(--s0); stroke-width: 1.4; } .missed { fill: none; stroke: var(--bad); stroke-width: 2.4; }
@media (max-width: 640px) {
  main { padding: 16px 12px 40px; gap: 14px; } .card { padding: 14px 12px; border-radius: 14px; }
  svg text { font-size: 17px; } .legend svg text { font-size: 12px; }
  .tiles { grid-template-columns: repeat(auto-fit, minmax(140px, 1fr)); }
  .stacks thead { position: absolute; clip-path: inset(50%); }
  .stacks tr { display: grid; grid-template-columns: 1fr 1fr; gap: 2px 12px; padding: 8px 0;
    border-top: 1px solid var(--line); }
  .stacks th, .stacks td { border: 0; padding: 0; text-align: left; }
  .stacks th { grid-column: 1 / -1; font-weight: 600; }
  .stacks td[data-name]::before { content: attr(data-name) " "; color: var(--soft); }
}
@media print { body { background: none; } .card, .tile { break-inside: avoid; } }
"""
