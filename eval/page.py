"""The report's page: layout and colors, light and dark; `report` fills it."""

from __future__ import annotations

from string import Template

PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>tierwise report</title>
<style>
:root { color-scheme: light dark; --ink: #1c2126; --soft: #5b6570; --line: #d8dde2;
  --page: #fbfcfd; --card: #ffffff; --accent: #0b6bcb; --second: #b4540a; --third: #5f7f1f; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaee; --soft: #9aa5b1; --line: #343c45;
  --page: #14181c; --card: #1b2026; --accent: #5aa9f5; --second: #f0a05a; --third: #a9cc66; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 60rem; background: var(--page);
  color: var(--ink); font: 16px/1.55 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; }
h2 { font-size: 1.1rem; margin: 2.25rem 0 .5rem; }
p { margin: .4rem 0; max-width: 46rem; }
.soft { color: var(--soft); font-size: .9rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .75rem;
  margin: 1.25rem 0; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: .5rem;
  padding: .75rem 1rem; }
.tile b { display: block; font-size: 1.6rem; line-height: 1.2; }
.promise { border-left: 4px solid var(--accent); padding: .25rem 0 .25rem 1rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; padding: .35rem .6rem .35rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; }
th { vertical-align: bottom; }
th:first-child, td:first-child { min-width: 7.5rem; max-width: 20rem; overflow-wrap: break-word;
  position: sticky; left: 0; background: var(--page); }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
tr.own td { font-weight: 600; }
svg { display: block; width: 100%; height: auto; background: var(--card);
  border: 1px solid var(--line); border-radius: .5rem; }
svg text { fill: var(--soft); font: 12px system-ui, sans-serif; }
.narrow { display: none; }
svg .grid { stroke: var(--line); }
svg polyline { fill: none; stroke-width: 1.5; }
.router { stroke: var(--accent); stroke-width: 2.5; }
.task { stroke: var(--second); stroke-dasharray: 5 3; }
.words { stroke: var(--third); stroke-dasharray: 2 3; }
.oracle { stroke: var(--soft); }
svg .spot { fill: var(--accent); stroke: var(--card); stroke-width: 2; }
svg .tier { fill: var(--soft); }
svg.key { display: inline-block; width: 2.2rem; height: .6rem; background: none; border: 0;
  margin-right: .35rem; }
.keys span { display: inline-block; margin-right: 1.1rem; white-space: nowrap; }
.note { background: var(--card); border: 1px solid var(--second); border-radius: .5rem;
  padding: .6rem 1rem; margin: 1rem 0; }
ul { padding-left: 1.25rem; }
li { max-width: 46rem; margin: .2rem 0; }
.mix { display: flex; height: 1rem; margin-top: .25rem; min-width: 9rem;
  max-width: 24rem; border-radius: .25rem; overflow: hidden; }
.mix i { background: var(--accent); display: block; }
@media (max-width: 36rem) { .broad { display: none; } .narrow { display: block; }
  th:first-child, td:first-child { min-width: 6rem; max-width: 9rem; }
  th.n { white-space: normal; } th, td { padding-right: .45rem; } table { font-size: .85rem; } }
</style>
</head>
<body>
<h1>tierwise report</h1>
<p class="soft">$subject</p>
$body
</body>
</html>
""")
