from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tierwise.data.errors import BadInput
from tierwise.data.tiers import Catalogue, Tier, infer_catalogue, read_catalogue

CATALOGUE = """
tiers:
  - {name: small, models: [gpt-4o-mini*, haiku], price_in: 0.15, price_out: 0.6, vendor: openai}
  - {name: think-low, models: [o3], effort: low, price_in: 2, price_out: 8}
  - {name: think-high, models: [o3], effort: high, price_in: 2, price_out: 8}
  - {name: any-o, models: o3*, price_in: 2, price_out: 8}
  - {name: own, procurement: self_hosted, cost_per_hour: 3, capacity: 600}
"""


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    (tmp_path / "tiers.yaml").write_text(CATALOGUE)
    return read_catalogue(tmp_path / "tiers.yaml")


@pytest.mark.parametrize(
    ("row", "tier"),
    [
        (("own", "haiku", None), "own"),  # the tier's name goes before the model's
        (("x", "haiku", None), "small"),
        (("gpt-4o-mini-2024", None, None), "small"),
        (("o3", "o3", "high"), "think-high"),
        (("o3", "o3", None), "any-o"),
        (("o3-pro", None, "high"), "any-o"),
        (("o4", None, None), None),
    ],
)
def test_a_row_finds_its_tier_by_name_then_model_then_glob(
    catalogue: Catalogue, row: tuple[str, str | None, str | None], tier: str | None
) -> None:
    found = catalogue.match(*row)
    assert (None if found is None else catalogue.names[found]) == tier


def test_a_catalogue_survives_json(catalogue: Catalogue) -> None:
    assert Catalogue.from_dict(json.loads(json.dumps(catalogue.to_dict()))) == catalogue


def test_inferred_tiers_stand_cheap_to_dear_by_mean_cost_then_name_and_unknown_last() -> None:
    costs = {"b": 1.0, "a": 1.0, "free": 0.0, "unknown": None}
    catalogue = infer_catalogue([Tier(name, mean_cost_usd=cost) for name, cost in costs.items()])
    assert catalogue.names == ("free", "a", "b", "unknown")


FAULTY = {
    "{name: a, prise_in: 1}": "did you mean price_in?",
    "{name: a, price_in: -1}": "price_in = -1",
    "{name: a, price_in: .nan}": "price_in = nan",
    "{name: a, price_in: true}": "price_in = True",
    "{name: b}": "two tiers called 'b'",
    "{name: 4}": "has no name",
    "{models: [x]}": "has no name",
    "{name: a, effort: off}": "effort = False",
    "{name: a, models: [1]}": "models = [1]",
    "{name: a, procurement: leased}": "procurement = 'leased'",
    "{name: a, procurement: self_hosted, cost_per_hour: 1}": "self_hosted without a price",
    "{name: a, procurement: self_hosted, cost_per_hour: 1, capacity: 0}": "without a price",
    "{name: [": "not YAML",
}


@pytest.mark.parametrize("entry", FAULTY)
def test_a_faulty_catalogue_is_bad_input(tmp_path: Path, entry: str) -> None:
    (tmp_path / "tiers.yaml").write_text(f"tiers:\n  - {{name: b}}\n  - {entry}\n")
    with pytest.raises(BadInput) as caught:
        read_catalogue(tmp_path / "tiers.yaml")
    assert FAULTY[entry] in str(caught.value)


@pytest.mark.parametrize("content", ["", "tiers: {}", "tiers: [{name: only}]", "hello"])
def test_a_catalogue_without_two_tiers_is_bad_input(tmp_path: Path, content: str) -> None:
    (tmp_path / "tiers.yaml").write_text(content)
    with pytest.raises(BadInput):
        read_catalogue(tmp_path / "tiers.yaml")


@pytest.mark.parametrize("like", ["gone", "new", "other"])
def test_a_new_tier_is_like_one_that_stands_for_itself(tmp_path: Path, like: str) -> None:
    tiers = [{"name": "old"}, {"name": "new", "like": like}, {"name": "other", "like": "old"}]
    (tmp_path / "tiers.yaml").write_text(json.dumps({"tiers": tiers}))
    with pytest.raises(BadInput, match="like no other: old"):
        read_catalogue(tmp_path / "tiers.yaml")


def test_the_trace_table_holds_the_tiers_name_and_keeps_the_models(
    run: Any, log: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "tiers.yaml").write_text(CATALOGUE)
    rows = log(tiers=("gpt-4o-mini", "o3"))
    for row in rows:
        row["propensities"] = {"gpt-4o-mini": 0.5, "haiku": 0.25, "o3": 0.25}
    run(rows, tmp_path / "tiers.yaml")
    assert run.traces[["tier", "model"]].iloc[:2].to_numpy().tolist() == [
        ["small", "gpt-4o-mini"],
        ["any-o", "o3"],
    ]
    assert json.loads(run.traces["propensities"][0]) == {"small": 0.75, "any-o": 0.25}
    assert run.tiers["order"] == "catalogue"
    assert [tier["mean_cost_usd"] for tier in run.tiers["tiers"]] == [0.001, None, None, 0.01, None]


def test_models_of_two_efforts_are_two_tiers_where_none_are_named(run: Any, log: Any) -> None:
    rows = [row | {"model": row["tier"], "effort": "high"} for row in log(tiers=("a", "b"))]
    rows += [row | {"effort": "low", "cost_usd": row["cost_usd"] / 2} for row in rows]
    assert list(run(rows).tiers) == ["a:low", "a:high", "b:low", "b:high"]


@pytest.mark.parametrize("n_tiers", [2, 7, 16, 20])
def test_any_number_of_tiers_is_read(run: Any, log: Any, n_tiers: int) -> None:
    names = [f"tier{i:02d}" for i in range(n_tiers)]
    summary = run(log(tiers=names))
    assert list(summary.tiers) == names
    assert summary.feedback.kind == "full"


def test_mean_costs_come_from_first_attempts_only(run: Any, log: Any) -> None:
    rows = log()
    rows += [row | {"attempt": 1, "cost_usd": 9.0} for row in rows if row["tier"] == "small"]
    run(rows)
    assert [t["mean_cost_usd"] for t in run.tiers["tiers"]] == pytest.approx([0.001, 0.01])
