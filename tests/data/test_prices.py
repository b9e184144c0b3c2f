from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tierwise.data.errors import BadInput

Log = Callable[..., list[dict[str, Any]]]
TOKENS = {"input_tokens": 1_000_000, "output_tokens": 100_000, "cost_usd": None}


@pytest.fixture
def catalogue(tmp_path: Path) -> Callable[[str], Path]:
    def write(small: str) -> Path:
        path = tmp_path / "tiers.yaml"
        path.write_text(f"tiers:\n- {{name: small, {small}}}\n- {{name: large, models: []}}\n")
        return path

    return write


def first_cost(run: Any, log: Log, tiers: Path | None, **cells: Any) -> float:
    rows = log()
    rows[0] |= cells
    run(rows, tiers)
    return float(run.traces["cost_usd"][0])


def test_a_missing_cost_is_tokens_times_the_catalogues_prices(
    run: Any, log: Log, catalogue: Any
) -> None:
    tiers = catalogue("price_in: 2, price_out: 8")
    assert first_cost(run, log, tiers, **TOKENS) == pytest.approx(2 + 0.8)


def test_cached_tokens_cost_the_cached_price(run: Any, log: Log, catalogue: Any) -> None:
    tiers = catalogue("price_in: 2, price_cached: 0.5, price_out: 8")
    cost = first_cost(run, log, tiers, **TOKENS, cached_tokens=400_000)
    assert cost == pytest.approx(0.6 * 2 + 0.4 * 0.5 + 0.8)


def test_a_cost_that_is_known_is_kept(run: Any, log: Log, catalogue: Any) -> None:
    tiers = catalogue("price_in: 2, price_out: 8")
    assert first_cost(run, log, tiers, **TOKENS | {"cost_usd": 0.125}) == 0.125


def test_a_self_hosted_step_costs_its_share_of_the_hour(run: Any, log: Log, catalogue: Any) -> None:
    tiers = catalogue("procurement: self_hosted, cost_per_hour: 3, capacity: 600")
    assert first_cost(run, log, tiers, cost_usd=None) == pytest.approx(0.005)


def test_public_list_prices_help_where_there_is_no_catalogue(run: Any, log: Log) -> None:
    model = "openai/gpt-4-1106-preview"  # 10 and 30 USD per million tokens
    assert first_cost(run, log, None, **TOKENS, model=model) == pytest.approx(10 + 3)


def test_the_catalogue_goes_before_public_list_prices(run: Any, log: Log, catalogue: Any) -> None:
    tiers = catalogue("price_in: 1, price_out: 1")
    cost = first_cost(run, log, tiers, **TOKENS, model="gpt-4-1106-preview")
    assert cost == pytest.approx(1.1)


def test_tokens_of_a_model_without_a_price_are_bad_input_that_names_it(run: Any, log: Log) -> None:
    with pytest.raises(BadInput, match="no price for 'house-model'"):
        first_cost(run, log, None, **TOKENS, model="house-model")


def test_a_row_without_cost_and_tokens_stays_unknown(run: Any, log: Log) -> None:
    cost = first_cost(run, log, None, cost_usd=None, input_tokens=5, model="house-model")
    assert cost != cost
