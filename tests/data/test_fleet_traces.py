"""The simulated fleet as a trace table, fully answered or as one policy logged it."""

import json

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest
import yaml

from tierwise.data.errors import BadInput
from tierwise.data.fleet import FleetParams, draw, make_world, to_traces, write
from tierwise.data.fleet_draw import role_table
from tierwise.data.fleet_roles import ROLES
from tierwise.data.fleet_traces import OUTCOME_NULLS
from tierwise.data.schema import ARROW, COLUMNS, PANDAS, faults
from tierwise.data.tiers import read_catalogue


def fleet_of(n_traces=300, seed=1, **settings):
    world = make_world(FleetParams(**settings), np.random.default_rng(0))
    return draw(world, n_traces, np.random.default_rng(seed))


def logged(fleet, exploration=0.2, seed=2):
    return to_traces(fleet, "logged", exploration, np.random.default_rng(seed))


def params_file(folder, **settings):
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump({"fleet": {"traces": 40, **settings}}))
    return path


def test_full_feedback_has_every_tier_once_for_every_step():
    fleet = fleet_of()
    table = to_traces(fleet, "full", 0.2, np.random.default_rng(2))
    counts = table.groupby(["trace_id", "step_id"], observed=True)["tier"].nunique()
    assert len(table) == 4 * len(fleet.steps)
    assert (counts == 4).all()
    assert set(table["feedback_source"]) == {"benchmark"}
    assert (table["attempt"] == 0).all()
    assert table["propensity"].isna().all()


def test_the_table_holds_what_was_drawn():
    fleet = fleet_of(nulls=0.0)
    table = to_traces(fleet, "full", 0.2, np.random.default_rng(2))
    shape = fleet.quality.shape
    np.testing.assert_array_equal(table["quality"].to_numpy().reshape(shape), fleet.quality)
    np.testing.assert_array_equal(table["cost_usd"].to_numpy().reshape(shape), fleet.cost)
    valid = table["valid"].to_numpy(dtype=float, na_value=np.nan).reshape(shape)
    np.testing.assert_array_equal(valid, fleet.valid)


@pytest.mark.parametrize("feedback", ["full", "logged"])
def test_no_row_is_one_that_ingestion_would_reject(feedback):
    table = to_traces(fleet_of(), feedback, 0.2, np.random.default_rng(2))
    assert faults(table).isna().all()


def test_cost_is_tokens_times_price():
    fleet = fleet_of(nulls=0.0)
    table = logged(fleet)
    prices = {tier.name: tier for tier in fleet.world.tiers}
    tiers = table["tier"].map(prices)
    fresh = table["input_tokens"] - table["cached_tokens"]
    total = (
        fresh * tiers.map(lambda t: t.price_in)
        + table["cached_tokens"] * tiers.map(lambda t: t.price_cached)
        + table["output_tokens"] * tiers.map(lambda t: t.price_out)
    )
    np.testing.assert_allclose(table["cost_usd"], (total / 1e6).astype(float), rtol=1e-9)


def test_propensities_are_the_frequencies_with_which_tiers_are_served():
    fleet = fleet_of(3000)
    first = logged(fleet).query("attempt == 0")
    given = pd.DataFrame(first["propensities"].map(json.loads).tolist())
    for tier in given:
        p, served = given[tier].to_numpy(), (first["tier"] == tier).to_numpy()
        error = np.sqrt((p * (1 - p)).sum())
        assert abs(served.sum() - p.sum()) < 4.5 * error
    chosen = given.to_numpy()[np.arange(len(first)), given.columns.get_indexer(first["tier"])]
    np.testing.assert_allclose(first["propensity"], chosen)
    np.testing.assert_allclose(given.sum(axis=1), 1)


def test_weighting_the_log_by_its_propensities_values_each_tier_without_bias():
    fleet = fleet_of(3000, nulls=0.0)
    first = logged(fleet).query("attempt == 0")
    served = first["tier"].to_numpy()
    for k, tier in enumerate(fleet.world.tiers):
        weighted = np.where(served == tier.name, first["quality"] / first["propensity"], 0.0)
        error = weighted.std() / np.sqrt(len(weighted))
        assert abs(weighted.mean() - fleet.true_quality[:, k].mean()) < 4.5 * error


def test_the_log_is_confounded_so_that_plain_means_mislead():
    fleet = fleet_of(3000, nulls=0.0)
    first = logged(fleet).query("attempt == 0")
    plain = first.groupby("tier")["quality"].mean()["frontier"]
    assert plain < fleet.true_quality[:, -1].mean() - 0.1


def test_without_exploration_the_log_is_deterministic():
    first = logged(fleet_of(), exploration=0.0).query("attempt == 0")
    assert (first["propensity"] == 1).all()
    assert not first["explored"].any()


def test_retries_follow_failed_checks_only_and_go_one_tier_up():
    fleet = fleet_of(1500, nulls=0.0)
    table = logged(fleet)
    names = [tier.name for tier in fleet.world.tiers]
    rung = table["tier"].map(names.index)
    retry = (table["attempt"] == 1).to_numpy()
    before = np.roll(retry, -1)
    assert retry.sum() > 50
    assert (table["step_id"].to_numpy()[retry] == table["step_id"].to_numpy()[before]).all()
    failed = table["valid"].eq(False).fillna(False).to_numpy(dtype=bool)
    assert failed[before].all()
    assert (rung[retry].to_numpy() == rung[before].to_numpy() + 1).all()
    assert table["previous_failed"][retry].all()
    assert table["propensity"][retry].isna().all()
    np.testing.assert_array_equal(failed & (rung < 3).to_numpy() & ~retry, before)


def test_unknown_outcomes_are_null_and_the_known_ones_stay():
    holed = to_traces(fleet_of(2000), "full", 0.2, np.random.default_rng(2))
    known = to_traces(fleet_of(2000, nulls=0.0), "full", 0.2, np.random.default_rng(2))
    for column, rate in OUTCOME_NULLS.items():
        unknown = holed[column].isna()
        assert not known[column].isna().any()
        assert abs(unknown.mean() - rate) < 0.02, column
        pd.testing.assert_series_equal(known[column][~unknown], holed[column][~unknown])


def test_the_role_table_gives_planners_the_frontier_and_extractors_the_small_tier():
    tiers = fleet_of(2).world.tiers
    table = dict(zip(ROLES, [tiers[i].name for i in role_table(tiers)], strict=True))
    assert (table["planner"], table["worker"], table["extractor"]) == ("frontier", "mid", "small")


@pytest.mark.parametrize("n_tiers", [2, 16])
@pytest.mark.parametrize("feedback", ["full", "logged"])
def test_two_and_sixteen_tiers_can_be_written_and_read(tmp_path, n_tiers, feedback):
    path = write(tmp_path / "run", params_file(tmp_path, tiers=n_tiers, feedback=feedback))
    table = pd.read_parquet(path).astype({k: PANDAS[v] for k, v in COLUMNS.items()})
    tiers = read_catalogue(tmp_path / "run" / "fleet_tiers.yaml")
    assert len(tiers.names) == n_tiers
    assert set(table["tier"]) <= set(tiers.names)
    assert faults(table).isna().all()
    assert pyarrow.parquet.read_schema(path).equals(ARROW)


def test_the_catalogue_tells_a_high_effort_from_its_model(tmp_path):
    write(tmp_path, params_file(tmp_path))
    tiers = read_catalogue(tmp_path / "fleet_tiers.yaml")
    assert tiers.match("?", "mid-model", "high") == tiers.names.index("mid-high")
    assert tiers.match("?", "mid-model", "default") == tiers.names.index("mid")


def test_equal_parameters_write_equal_bytes(tmp_path):
    path = params_file(tmp_path, feedback="logged")
    one, two = write(tmp_path / "one", path), write(tmp_path / "two", path)
    other = write(tmp_path / "other", params_file(tmp_path, feedback="logged", seed=1))
    assert one.read_bytes() == two.read_bytes()
    assert one.read_bytes() != other.read_bytes()


def test_a_wrong_parameter_leaves_no_file(tmp_path):
    with pytest.raises(BadInput, match=r"fleet\.tiers"):
        write(tmp_path / "run", params_file(tmp_path, tiers=99))
    with pytest.raises(BadInput, match="did you mean"):
        write(tmp_path / "run", params_file(tmp_path, tier=3))
    assert not (tmp_path / "run").exists()


def test_another_kind_of_feedback_is_refused():
    with pytest.raises(BadInput, match="full or logged"):
        to_traces(fleet_of(2), "some", 0.2, np.random.default_rng(0))
