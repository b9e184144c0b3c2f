"""The scoreboard as Markdown and as one HTML file that asks the network for nothing."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from string import Template
from typing import Any

from tierwise.eval.scoreboard_tables import (
    Section,
    in_words,
    names_of,
    number,
    sections,
    with_interval,
)

WIDTH, ROW, LABEL = 640, 22, 220

PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>tierwise scoreboard</title>
<style>
:root { color-scheme: light dark; --ink: #1c2126; --soft: #5b6570; --line: #d8dde2;
  --page: #fbfcfd; --card: #ffffff; --ahead: #0b6bcb; --behind: #b4540a; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaee; --soft: #9aa5b1; --line: #343c45;
  --page: #14181c; --card: #1b2026; --ahead: #5aa9f5; --behind: #f0a05a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 68rem; background: var(--page);
  color: var(--ink); font: 16px/1.55 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; }
h2 { font-size: 1.1rem; margin: 2.25rem 0 .25rem; }
h3 { font-size: .95rem; margin: 1.25rem 0 .25rem; }
p { margin: .4rem 0; max-width: 46rem; }
.soft { color: var(--soft); font-size: .9rem; }
.lead { font-weight: 600; }
code { overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; min-width: 100%; }
th, td { text-align: right; padding: .35rem 0 .35rem .9rem; border-bottom: 1px solid var(--line);
  font-variant-numeric: tabular-nums; vertical-align: bottom; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; position: sticky; left: 0;
  background: var(--page); }
td:nth-child(2):last-child { white-space: normal; text-align: left; }
svg { display: block; width: 100%; max-width: 46rem; height: auto; }
svg text { fill: var(--ink); font: 12px system-ui, sans-serif; }
svg .soft { fill: var(--soft); font-size: 12px; }
svg .zero { stroke: var(--soft); }
svg .span { stroke: var(--soft); stroke-width: 2; }
svg .ahead { fill: var(--ahead); } svg .behind { fill: var(--behind); }
</style>
</head>
<body>
<h1>tierwise scoreboard</h1>
<p class="lead">$words</p>
<p class="soft"><code>$command</code><br>commit <code>$commit</code>; $folds folds by split unit,
$seeds draws of the folds, $draws draws of the split units</p>
$body
</body>
</html>
""")


def as_markdown(found: Mapping[str, Any]) -> str:
    """Return the scoreboard as Markdown."""
    lines = ["# Scoreboard", "", in_words(found), "", f"    {found['command']}", ""]
    lines += [f"Commit {found['commit'] or 'unknown'}.", ""]
    for one in sections(found):
        lines += [f"## {one.title}", ""]
        lines += [one.note, ""] if one.note else []
        lines += [_line(one.header), "|" + "---|" * len(one.header)]
        lines += [_line(row) for row in one.rows]
        lines += [""]
    return "\n".join(lines)


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def as_html(found: Mapping[str, Any]) -> str:
    """Return the scoreboard as one HTML page."""
    parts = [_bars(found["tables"])]
    parts += [_table(one) for one in sections(found)]
    return PAGE.substitute(
        words=escape(in_words(found)),
        command=escape(found["command"]),
        commit=escape(found["commit"] or "unknown"),
        folds=found["folds"],
        seeds=len(found["seeds"]),
        draws=found["draws"],
        body="\n".join(parts),
    )


def _table(one: Section) -> str:
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in one.header)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in one.rows
    )
    note = f'<p class="soft">{escape(one.note)}</p>' if one.note else ""
    return (
        f'<h2>{escape(one.title)}</h2>{note}<div class="wide"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _bars(tables: Mapping[str, Any]) -> str:
    """Draw, for each table, what the router is ahead of each control, with intervals."""
    parts = [
        "<h2>Ahead of each control</h2>",
        '<p class="soft">Routing gain of the router less the control\'s; the line is the 95 % '
        "interval over split units. Right of the middle the router is ahead.</p>",
    ]
    for name, one in tables.items():
        rows = {c: one["controls"][c]["difference"] for c in names_of(tables, "controls")}
        rows = {c: d for c, d in rows.items() if None not in d.values()}
        if rows:
            parts.append(f"<h3>{escape(name)}</h3>{_chart(name, rows)}")
    return "\n".join(parts) if len(parts) > 2 else ""


def _chart(name: str, rows: Mapping[str, Mapping[str, float]]) -> str:
    reach = max(max(abs(v) for v in one.values()) for one in rows.values()) or 1.0
    middle, half = (LABEL + WIDTH) / 2, (WIDTH - LABEL) / 2 - 8

    def x(value: float) -> float:
        return round(middle + half * value / reach, 1)

    marks = []
    for place, (control, one) in enumerate(rows.items()):
        top, center = ROW * place, ROW * place + ROW / 2
        left, right = sorted((x(0), x(one["value"])))
        kind = "ahead" if one["value"] >= 0 else "behind"
        marks.append(
            f'<text x="0" y="{center + 4}">{escape(control)}</text>'
            f'<text class="soft" x="{LABEL - 8}" y="{center + 4}" text-anchor="end">'
            f"{number(one['value'], sign=True)}</text>"
            f'<rect class="{kind}" x="{left}" y="{top + 5}" width="{round(right - left, 1)}" '
            f'height="{ROW - 10}"><title>{escape(with_interval(one, sign=True))}</title></rect>'
            f'<line class="span" x1="{x(one["low"])}" x2="{x(one["high"])}" '
            f'y1="{center}" y2="{center}"/>'
        )
    height = ROW * len(rows)
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{escape(name)}: router less each control">'
        f'<line class="zero" x1="{x(0)}" x2="{x(0)}" y1="0" y2="{height}"/>{"".join(marks)}</svg>'
    )
