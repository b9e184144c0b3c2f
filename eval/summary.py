"""The short table that `make repro` ends with: saved, kept, promised, and where things are.

python -m tierwise.eval.summary --run artifacts/fleet
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tierwise.data.errors import run_stage
from tierwise.data.files import read_json
from tierwise.eval.newcomers import lines
from tierwise.eval.report import interval, percent, thousand

Row = tuple[str, str]


def rows(
    run: Path,
    metrics: Mapping[str, Any],
    certificate: Mapping[str, Any],
    gate: Mapping[str, Any] | None,
    registered: Mapping[str, Any] | None,
) -> list[Row]:
    """Return the table's lines: a name and what is said of it."""
    found: list[Row] = []
    if "policy" in metrics:
        found += _measured(metrics)
    for line in metrics.get("audit", {}).get("lines", []):
        found.append(("audit", line))
    if "note" in metrics:
        found.append(("note", metrics["note"]))
    found += _estimated(metrics)
    found += [("new tier", words) for words in lines(metrics.get("newcomers", {}))]
    if metrics.get("feedback") != "none":
        found.append(("promise", str(certificate.get("promise", "none"))))
    if "mix" in metrics:
        shares = ", ".join(f"{tier} {metrics['mix'][tier]:.0%}" for tier in metrics["tiers"])
        found.append(("tier mix", shares))
    if held_back := metrics.get("reasons", {}).get("guard"):
        words = f"{held_back:,} test steps unlike the learn part: the reference serves them"
        found.append(("guard", words))
    found += _verdict(gate or {})
    if (run / "policy").is_dir():
        found.append(("bundle", (run / "policy").as_posix()))
    found.append(("report", (run / "report.html").as_posix()))
    if registered is not None:
        aliases = ", ".join(registered["aliases"]) or "no alias"
        found.append(("MLflow", f"model {registered['name']} ({aliases}); `make ui` shows it"))
    return found


def _estimated(metrics: Mapping[str, Any]) -> list[Row]:
    """Return what logs tell of the policy, and which kind of policy has earned its place."""
    found = []
    for name, one in ((metrics.get("off_policy") or {}).get("policies") or {}).items():
        if "quality" in one:
            quality, cost = one["quality"], one["cost_usd"]
            words = (
                f"quality {quality['value']:.3f} ({quality['low']:.3f} to {quality['high']:.3f}), "
                f"USD per 1,000 steps {thousand(cost['value'])} ({thousand(cost['low'])} to "
                f"{thousand(cost['high'])})"
            )
            found.append((f"  {name}", words))
    if "graduation" in metrics:
        found.append(("kind", str(metrics["graduation"]["words"])))
    return found


def _verdict(gate: Mapping[str, Any]) -> list[Row]:
    if not gate:
        return []
    told = [
        (f"  {rule['verdict']}", f"{rule['name']}: {rule['words']}")
        for rule in gate["rules"]
        if rule["verdict"] != "pass"
    ]
    return [("gate", "passed" if gate["passed"] else "refused"), *told]


def _measured(metrics: Mapping[str, Any]) -> list[Row]:
    policy, test = metrics["policy"], metrics["test"]
    found = [
        (name, f"{percent(one['value'])} ({interval(one)})")
        for name, key in (
            ("cost saved", "cost_saved"),
            ("quality kept", "quality_kept"),
            ("time saved", "time_saved"),
        )
        if (one := policy.get(key)) is not None
    ]
    found.append(
        (
            "measured on",
            f"{test['steps']:,} test steps in {test['units']:,} units, against always "
            f"{metrics['reference']}; 95 % intervals unless set otherwise",
        )
    )
    fixed = [f"always {tier}" for tier in metrics["tiers"]]
    others = [name for name in metrics["controls"] if name not in fixed]
    for name in [*fixed, *others]:
        one = metrics["controls"][name]
        saved, kept = percent(one["cost_saved"]), percent(one["quality_kept"])
        found.append((f"  {name}", f"saves {saved}, keeps {kept}"))
    return [*found, *_at_policy_cost(metrics)]


def _at_policy_cost(metrics: Mapping[str, Any]) -> list[Row]:
    """Return what learned controls keep at the policy's cost, their point picked on test."""
    policy, found = metrics["policy"], []
    for name in ("task mean", "nearest texts"):
        quality = metrics["curves"][name]["quality_at_policy_cost"]
        if quality is not None and policy["reference_quality"]:
            kept = percent(quality / policy["reference_quality"])
            found.append((f"  {name}", f"keeps {kept} at the policy's cost"))
    return found


def show(table: list[Row], title: str, terminal: bool) -> None:
    """Print the table: with rich on a terminal, as plain lines elsewhere."""
    if terminal:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        shown = Table(title=Text(title), show_header=False, title_justify="left")
        for name, words in table:
            shown.add_row(Text(name), Text(words))  # Text: names may hold what rich reads as markup
        Console().print(shown)
        return
    width = min(32, max(len(name) for name, _ in table))
    print(title)
    for name, words in table:
        print(f"{name:<{width}}  {words}")


def main() -> None:
    """Print a run's short table."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--run", type=Path, required=True)
    run = parser.parse_args().run
    gate, registered = run / "gate.json", run / "registered.json"
    table = rows(
        run,
        read_json(run / "metrics.json"),
        read_json(run / "certificate.json"),
        read_json(gate) if gate.exists() else None,
        read_json(registered) if registered.exists() else None,
    )
    show(table, f"tierwise: run {run.name}", sys.stdout.isatty())


if __name__ == "__main__":
    run_stage(main)
