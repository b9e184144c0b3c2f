"""Controls work with any number of tiers, and say nothing where nothing is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tierwise.data.errors import BadInput
from tierwise.data.role_table import RoleTable, position, read_role_table
from tierwise.eval.controls import always, at_random, best_mixture, nearest_texts, task_mean
from tierwise.eval.role_table import serve_by_role, serve_by_rule

UNKNOWN = np.array([np.nan])


@pytest.mark.parametrize(("k", "places"), [(2, [0, 1, 1]), (3, [0, 1, 2]), (16, [0, 8, 15])])
def test_small_mid_and_frontier_have_a_place_among_any_number_of_tiers(
    k: int, places: list[int]
) -> None:
    tiers = [f"tier {i}" for i in range(k)]
    assert [position(name, tiers) for name in ("small", "mid", "frontier")] == places
    roles = np.array(["extract", "worker", "planner"])
    assert serve_by_role(RoleTable(), roles, tiers).tolist() == places


def test_a_role_table_may_name_a_tier_and_roles_in_any_case(tmp_path: Path) -> None:
    path = tmp_path / "roles.yaml"
    path.write_text("default: small\nroles: {Critic: b, worker: frontier}\n")
    roles = np.array(["critic", "CRITIC ", "worker", "planner", ""])
    assert serve_by_role(read_role_table(path), roles, ["a", "b", "c"]).tolist() == [1, 1, 2, 0, 0]


def test_steps_without_a_role_get_the_middle(tmp_path: Path) -> None:
    table = read_role_table(tmp_path / "none.yaml")
    assert serve_by_role(table, np.array(["", ""]), ["a", "b", "c"]).tolist() == [1, 1]


@pytest.mark.parametrize(
    "content", ["[]", "roles: [a]", "roles: {a: 1}", "role: {a: mid}", "a: [", "default: 2"]
)
def test_a_damaged_role_table_is_refused_in_one_line(tmp_path: Path, content: str) -> None:
    path = tmp_path / "roles.yaml"
    path.write_text(content)
    with pytest.raises(BadInput) as refused:
        read_role_table(path)
    assert "\n" not in str(refused.value)


def test_a_role_table_naming_no_tier_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(BadInput, match="small, mid, frontier, a, b"):
        serve_by_role(RoleTable({"x": "huge"}), np.array(["x"]), ["a", "b"])


@pytest.mark.parametrize(
    ("task", "complexity", "judgment", "tier"),
    [
        ("extract", 9, 0, 0),
        ("Extract", 9, np.nan, 0),
        ("extract", 3, 1, 2),
        ("write", 6, 0, 1),
        ("write", 7, 0, 2),
        ("write", 3, 1, 2),
        ("write", np.nan, 0, 2),
        ("", np.nan, np.nan, 2),
    ],
)
def test_the_rule_of_thumb_sends_what_it_does_not_know_to_frontier(
    task: str, complexity: float, judgment: float, tier: int
) -> None:
    served = serve_by_rule(np.array([task]), np.array([complexity]), np.array([judgment]), 3)
    assert served.tolist() == [tier]


@pytest.mark.parametrize("k", [2, 3, 16])
def test_the_rule_of_thumb_serves_tiers_that_exist(k: int) -> None:
    served = serve_by_rule(
        np.array(["extract", "x", "x"]), np.array([1.0, 1.0, 9.0]), np.zeros(3), k
    )
    assert served[0] == 0
    assert served.max() == served[2] == k - 1


def test_a_task_of_few_steps_is_shrunk_towards_the_tier() -> None:
    task = np.array(["a"] * 80 + ["b"] * 20)
    values = np.where(task == "a", 0.0, 1.0)[:, None] * np.ones((1, 2))
    found = task_mean(task, values, np.array(["a", "b", "never seen"]), n0=20)
    assert found[:, 0].tolist() == pytest.approx([4 / 100, 24 / 40, 0.2])
    assert found[:, 1].tolist() == found[:, 0].tolist()


def test_without_any_task_the_task_mean_is_the_tiers_mean() -> None:
    values = np.random.default_rng(0).random((30, 16))
    found = task_mean(np.full(30, ""), values, np.full(4, ""))
    assert found == pytest.approx(np.tile(values.mean(axis=0), (4, 1)))


def test_like_texts_are_estimated_alike() -> None:
    texts = [f"sort list number {i % 5}" for i in range(30)] + [
        f"poem moon {i % 5}" for i in range(30)
    ]
    values = np.repeat([[1.0, 0.0], [0.0, 1.0]], 30, axis=0)
    found = nearest_texts(texts, values, [b"please sort the list", b"a poem", b"zzz"], k=10)
    assert found == pytest.approx(np.array([[1, 0], [0, 1], [0.5, 0.5]]))


@pytest.mark.parametrize("texts", [["", ""], [b"\xff\xfe", b"!"]])
def test_texts_without_words_are_estimated_by_the_tiers_mean(texts: list[str | bytes]) -> None:
    found = nearest_texts(texts, np.array([[0.0, 1.0], [1.0, 1.0]]), texts)
    assert found.tolist() == [[0.5, 1.0], [0.5, 1.0]]


def test_the_best_mixture_is_the_line_between_two_tiers() -> None:
    quality, cost = np.array([[0.0, 0.1, 1.0]]), np.array([[1.0, 2.0, 3.0]])
    assert best_mixture(quality, cost, 2.0) == pytest.approx(0.5)


def test_fixed_and_random_choices_have_one_tier_a_step() -> None:
    assert always(2, 3).tolist() == [2, 2, 2]
    drawn = at_random(4000, 4, np.random.default_rng(0))
    assert np.bincount(drawn) == pytest.approx(1000, rel=0.1)
