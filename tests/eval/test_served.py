"""What is served is the rule at the certified point, and retries are charged."""

from __future__ import annotations

import numpy as np
import pytest
from eval_fakes import PRICES, ROLES, estimates_for, make_certificate, make_spec, make_steps

from tierwise.data.errors import BadInput
from tierwise.eval.served import category, certified_points, number, serve, with_retries
from tierwise.router_model.rule import choose


def test_categories_are_words_again_and_empty_where_unknown() -> None:
    table = make_steps(30)
    context = table.context.copy()
    context[0, 0] = np.nan
    table = table.__class__(**{**table.__dict__, "context": context})
    role = category(table, make_spec(table), "role")
    assert role[0] == ""
    assert role[1] == ROLES[int(context[1, 0])]
    assert set(category(table, make_spec(table), "agent")) == {""}


def test_a_column_the_graph_does_not_take_is_unknown() -> None:
    table = make_steps(30)
    assert np.isnan(number(table, make_spec(table), "n_tools")).all()
    assert number(table, make_spec(table), "text_bytes").tolist() == [9.0] * 30


def test_roles_without_a_stratum_belong_to_the_rest() -> None:
    certificate = make_certificate(7)
    role = np.array(["planner", "worker", "", "new"])
    points = certified_points(role, certificate["strata"], certificate["chosen"])
    assert points.tolist() == [7, -1, 7, 7]


def test_each_step_is_served_at_the_point_of_its_role() -> None:
    table = make_steps(300)
    spec = make_spec(table)
    role = category(table, spec, "role")
    estimates = estimates_for(table.context)
    served = serve(estimates, spec, role, make_certificate(8))
    relative = estimates.total_cost / np.float32(PRICES[2])
    at_8 = choose(estimates.quality, relative, 2, spec.path)[8]
    worker = role == "worker"
    assert served.tier[~worker].tolist() == at_8[~worker].tolist()
    assert set(served.tier[worker]) == {2}
    assert set(served.reason[worker]) == {"not_certified"}
    assert set(served.reason[~worker]) == {"floor"}
    assert set(served.tier[~worker]) != {2}, "the point must differ from the reference"


def test_a_role_table_is_served_as_it_stands() -> None:
    table = make_steps(30)
    spec = make_spec(table, fixed=(2, 1, 0, 1))
    role = np.array([ROLES[0], ROLES[2], "", "new"])
    served = serve(estimates_for(table.context[:4]), spec, role, make_certificate(8))
    assert served.tier.tolist() == [2, 0, 1, 1]
    assert set(served.reason) == {"fixed_role"}


def test_a_failed_answer_is_paid_again_one_rung_up_to_the_top() -> None:
    cost = np.array([[1.0, 10.0, 100.0]] * 3)
    valid = np.array([[0.0, 0.0, 0.0], [0.0, 1.0, 1.0], [np.nan, 0.0, 1.0]])
    total = with_retries(cost, valid, (1, 2, -1))
    assert total.tolist() == [[111, 110, 100], [11, 10, 100], [1, 110, 100]]


def test_an_unknown_time_stays_unknown_only_where_it_is_needed() -> None:
    time = np.array([[1.0, np.nan], [1.0, np.nan]])
    total = with_retries(time, np.array([[1.0, 1.0], [0.0, 1.0]]), (1, -1))
    assert np.isnan(total).tolist() == [[False, True], [True, True]]


def test_a_ladder_in_a_circle_is_refused() -> None:
    with pytest.raises(ValueError, match="circle"):
        with_retries(np.ones((1, 2)), np.zeros((1, 2)), (1, 0))


def test_a_certificate_of_another_path_is_refused() -> None:
    table = make_steps(30)
    with pytest.raises(BadInput, match="certified point 99"):
        serve(estimates_for(table.context), make_spec(table), np.full(30, ""), make_certificate(99))
