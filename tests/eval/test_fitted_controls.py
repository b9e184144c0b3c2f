"""The controls find what is there to find, and do not look at what they are judged on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tierwise.eval.fitted_controls import CONTROLS, Said, fit_controls
from tierwise.eval.judged_table import Outcomes
from tierwise.eval.text_controls import ALPHAS, neighbor_means, read_words, ridges

TEXT_CONTROLS = [c for c in CONTROLS if c != "task mean"]


def steps(n: int, seed: int, by: str) -> Outcomes:
    """Steps whose cheap tier's quality depends on the task or on the text."""
    rng = np.random.default_rng(seed)
    task, hard = rng.integers(0, 3, n), rng.random(n) < 0.5
    words = np.where(hard, "prove the theorem", "rename this list")
    chance = np.array([0.1, 0.5, 0.9])[task] if by == "task" else np.where(hard, 0.1, 0.9)
    quality = np.stack([rng.random(n) < chance, rng.random(n) < 0.95], axis=1)
    return Outcomes(
        text=tuple(f"{w} {rng.integers(30)}".encode() for w in words),
        task=np.array([f"t{t}" for t in task]),
        unit=np.array([f"u{i // 2}" for i in range(n)]),
        quality=quality.astype(float),
        cost=np.tile([1.0, 10.0], (n, 1)) * (1 + task[:, None]),
    )


def told_apart(said: Said, control: str, easy: np.ndarray) -> float:
    """Mean estimate of the cheap tier on easy steps less that on the others."""
    cheap = said.quality[control][:, 0]
    return float(cheap[easy].mean() - cheap[~easy].mean())


@pytest.fixture(scope="module")
def by_text() -> tuple[Outcomes, Said]:
    asked = steps(200, 1, "text")
    return asked, fit_controls(steps(600, 0, "text"), asked)


@pytest.mark.parametrize("control", TEXT_CONTROLS)
def test_every_text_control_finds_what_the_text_tells(
    control: str, by_text: tuple[Outcomes, Said]
) -> None:
    asked, said = by_text
    easy = np.array([text.startswith(b"rename") for text in asked.text])
    assert told_apart(said, control, easy) > 0.2


def test_the_task_mean_does_not_look_at_texts(by_text: tuple[Outcomes, Said]) -> None:
    asked, said = by_text
    easy = np.array([text.startswith(b"rename") for text in asked.text])
    assert abs(told_apart(said, "task mean", easy)) < 0.05


@pytest.mark.parametrize("control", ["task mean", "task + ridge", "task + LightGBM", CONTROLS[-1]])
def test_controls_over_the_task_find_what_the_task_tells(control: str) -> None:
    asked = steps(200, 1, "task")
    said = fit_controls(steps(600, 0, "task"), asked)
    assert told_apart(said, control, asked.task == "t2") > 0.4


def test_outcomes_of_asked_steps_are_not_looked_at(by_text: tuple[Outcomes, Said]) -> None:
    asked, said = by_text
    blind = replace(asked, quality=1 - asked.quality, cost=7 * asked.cost)
    again = fit_controls(steps(600, 0, "text"), blind)
    assert all(np.array_equal(again.quality[c], said.quality[c]) for c in CONTROLS)
    assert np.array_equal(again.cost, said.cost)


def test_cost_is_the_tasks_mean_for_every_control(by_text: tuple[Outcomes, Said]) -> None:
    asked, said = by_text
    for name, level in (("t0", 1.0), ("t1", 2.0), ("t2", 3.0)):
        assert said.cost[asked.task == name, 1] == pytest.approx(10 * level, rel=0.15)


def test_texts_without_a_word_leave_every_control_at_its_table() -> None:
    empty = replace(steps(300, 0, "task"), text=(b"",) * 300)
    said = fit_controls(empty, empty)
    assert np.isfinite(np.stack(list(said.quality.values()))).all()
    assert said.quality["kNN"] == pytest.approx(np.tile(empty.quality.mean(axis=0), (300, 1)))


def test_ridge_is_the_solution_of_its_equations() -> None:
    rng = np.random.default_rng(0)
    texts = tuple(f"w{a} w{b}".encode() for a, b in rng.integers(0, 20, (80, 2)))
    words = read_words(texts, texts, 0)
    target = rng.normal(size=(80, 2))
    found = ridges(words.learned, target, words.learned)
    dense = words.learned.toarray().astype(float)
    for i, alpha in enumerate(ALPHAS):
        weights = np.linalg.solve(
            dense.T @ dense + alpha * np.eye(dense.shape[1]), dense.T @ target
        )
        assert found[i] == pytest.approx(dense @ weights, abs=5e-3)
        assert np.abs(found[i]).max() > 0.01


def test_a_step_is_no_neighbor_of_its_own_fold() -> None:
    texts = tuple(f"alpha beta gamma w{i}".encode() for i in range(40))
    words = read_words(texts, texts, 0)
    fold = np.arange(40) % 2
    values = fold[:, None].astype(float)
    means = neighbor_means(words.learned, words.learned, values, (fold, fold))
    assert means[:, 0].tolist() == (1.0 - fold).tolist()
