"""The guard's threshold: what a step of a new unit exceeds rarely, and a new language surely."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
import pytest
import scipy.sparse as sp

from tests.training.fits import SMALL, fit_steps, make_steps
from tierwise.data.errors import BadInput
from tierwise.features.steps import CERTIFY, LEARN, StepTable
from tierwise.features.token_session import TokenIds
from tierwise.router_model.estimate import estimate
from tierwise.router_model.graph import build_graph, serialize
from tierwise.router_model.runtime import PolicyGraph
from tierwise.router_model.spec import PolicySpec
from tierwise.training.certificate import Certificate
from tierwise.training.certify import CertifyParams, certify_steps
from tierwise.training.guard import LEAST, NEVER, fit_guard, unseen_share
from tierwise.training.hashed import fit_vocabulary, shares

BITS = 12
IDS = TokenIds(BITS, BITS)
ROUNDING = 1e-6
WORDS = tuple(bytes([a, b, c]) for a in b"bdfgk" for b in b"aeiou" for c in b"lmnrstxyzp")
"""250 words, of which a text has a few: rare ones are on hardly any step."""


def texts_of(n: int, seed: int, n_words: int = 12) -> tuple[bytes, ...]:
    rng = np.random.default_rng(seed)
    common = 1 / np.arange(1, len(WORDS) + 1)
    draw = rng.choice(len(WORDS), (n, n_words), p=common / common.sum())
    return tuple(b" ".join(WORDS[i] for i in one) for one in draw)


def of(texts: tuple[bytes, ...], ids: TokenIds = IDS) -> sp.csr_matrix:
    return shares(texts, ids)


def threshold(texts: tuple[bytes, ...], quantile: float = 0.99, ids: TokenIds = IDS) -> float:
    unit = np.arange(len(texts)).astype(np.str_)
    return fit_guard(of(texts, ids), ids.n_words, unit, quantile)


def scores(learn: tuple[bytes, ...], asked: tuple[bytes, ...], ids: TokenIds = IDS) -> np.ndarray:
    """What a policy learned from `learn` would say of `asked`: its rows' marks decide."""
    seen = np.zeros(ids.n_ids)
    seen[fit_vocabulary(of(learn, ids), ids.n_words).kept] = 1
    return np.asarray(1 - of(asked, ids) @ seen)


def test_an_entirely_new_text_is_a_third_words_and_two_thirds_pairs() -> None:
    """Here every word is known and no pair is, so that it scores two thirds, and is half known."""
    n_words, n_pairs, n_steps = 4, 100, 50
    words = np.full((n_steps, n_words), 1 / n_words)
    known = sp.csr_matrix(np.hstack([words, np.zeros((n_steps, n_pairs))]))
    found = fit_guard(known, n_words, np.arange(n_steps).astype(np.str_), 0.99)
    assert found == pytest.approx(LEAST * 2 / 3, abs=1e-3)


def test_a_learn_step_scores_as_it_would_if_its_unit_were_new() -> None:
    texts = texts_of(60, seed=1)
    unit = (np.arange(60) // 3).astype(np.str_)
    found = unseen_share(of(texts), unit)
    for u in np.unique(unit):
        others = tuple(t for t, v in zip(texts, unit, strict=True) if v != u)
        own = tuple(t for t, v in zip(texts, unit, strict=True) if v == u)
        np.testing.assert_allclose(found[unit == u], scores(others, own), atol=1e-6)
    assert 0 < found.mean() < 1


def test_new_steps_like_the_learn_part_exceed_the_threshold_about_as_rarely_as_asked() -> None:
    learn, new = texts_of(1500, seed=2), texts_of(4000, seed=3)
    for quantile in (0.9, 0.97):
        unit = np.arange(len(learn)).astype(np.str_)
        usual = np.quantile(unseen_share(of(learn), unit), quantile, method="higher")
        found = scores(learn, new)
        assert (found > usual + ROUNDING).mean() < 1 - quantile + 0.02
        assert (found > usual - ROUNDING).mean() > 1 - quantile - 0.02
        assert threshold(learn, quantile) >= usual
    assert (scores(learn, new) > threshold(learn, 0.99)).mean() < 0.01


def test_counting_a_units_own_steps_would_hold_new_steps_back() -> None:
    learn, new = texts_of(400, seed=4, n_words=25), texts_of(4000, seed=5, n_words=25)
    found = of(learn)
    unseen = np.bincount(found.indices, minlength=IDS.n_ids) < 2
    naive = np.quantile(found @ unseen, 0.99)
    honest = np.quantile(unseen_share(found, np.arange(400).astype(np.str_)), 0.99)
    held_back = [(scores(learn, new) > limit + ROUNDING).mean() for limit in (naive, honest)]
    assert held_back[0] > 0.1
    assert held_back[1] < 0.03


@pytest.mark.parametrize(("bits", "pair_bits"), [(12, 12), (12, 14), (14, 6)])
def test_a_language_that_the_learn_part_has_no_word_of_exceeds_the_threshold(
    bits: int, pair_bits: int
) -> None:
    learn, ids = texts_of(1500, seed=6), TokenIds(bits, pair_bits)
    letters = [chr(c) for c in range(0x3B1, 0x3C9)]
    rng = np.random.default_rng(7)
    new = tuple(
        " ".join("".join(rng.choice(letters, 6)) for _ in range(30)).encode() for _ in range(100)
    )
    assert (scores(learn, new, ids) > threshold(learn, 0.999, ids)).all()


def test_texts_that_say_the_same_again_and_again_may_have_some_new_words() -> None:
    learn = (b"copy the file", b"rename the report") * 50
    entirely_new = scores(learn, (b"zyx wvu tsr qpo " * 30,))[0]
    assert threshold(learn) == pytest.approx(LEAST * entirely_new, abs=0.02)


def test_where_learn_steps_are_as_new_as_any_text_there_is_no_guard() -> None:
    rng = np.random.default_rng(9)
    words = rng.integers(97, 123, (60, 40, 12)).astype(np.uint8)
    assert threshold(tuple(b" ".join(w.tobytes() for w in text) for text in words)) == NEVER


@pytest.mark.parametrize("learn", [(), (b"copy",)])
def test_hardly_any_steps_make_no_guard(learn: tuple[bytes, ...]) -> None:
    assert threshold(learn) == NEVER


def test_a_share_of_1_is_no_guard() -> None:
    assert threshold(texts_of(200, seed=8), 1.0) == NEVER
    none = sp.csr_matrix((0, IDS.n_ids), dtype=np.float32)
    assert fit_guard(none, IDS.n_words, np.zeros(0, str), 0.9) == 1


@pytest.mark.parametrize("feedback", ["full", "logged"])
def test_fit_learns_the_guard_whatever_the_feedback(feedback: str) -> None:
    params = dataclasses.replace(SMALL, bits=BITS, pair_bits=BITS, guard=0.99)
    steps = make_steps(300, feedback=feedback)
    learn = steps.of_part(LEARN)
    found = fit_steps(steps, params).spec.guard
    assert found == fit_guard(of(learn.text), IDS.n_words, learn.unit, 0.99)
    assert 0.3 < found < NEVER


@pytest.mark.parametrize("guard", [0.0, -0.1, 1.5, float("nan")])
def test_a_guard_that_is_no_share_of_steps_is_bad_input(guard: float) -> None:
    with pytest.raises(BadInput, match=r"fit\.guard"):
        fit_steps(make_steps(60), dataclasses.replace(SMALL, guard=guard))


class Fit(NamedTuple):
    steps: StepTable
    graph: PolicyGraph
    spec: PolicySpec


@pytest.fixture(scope="module")
def guarded_fit() -> Fit:
    """A policy with a guard; every fifth step of the certify part is Greek to it."""
    steps = make_steps(600)
    fitted = fit_steps(steps, dataclasses.replace(SMALL, bits=BITS, pair_bits=BITS, guard=0.99))
    greek = "καλημέρα κόσμε αντίο φίλε θάλασσα ουρανός".encode()
    text = tuple(greek if i % 5 == 0 else t for i, t in enumerate(steps.text))
    graph = PolicyGraph(serialize(build_graph(fitted.model, fitted.spec)))
    said = estimate(fitted.model, *IDS.many(text), steps.context)
    held_back = said.unseen > fitted.spec.guard
    np.testing.assert_array_equal(held_back, np.arange(600) % 5 == 0)
    return Fit(dataclasses.replace(steps, text=text), graph, fitted.spec)


def certified(fit: Fit, steps: StepTable) -> Certificate:
    said = fit.graph.estimates(steps.text, steps.context)
    return certify_steps(steps, said, fit.spec, CertifyParams(level=0.8))


def test_steps_that_the_guard_holds_back_are_counted_and_are_no_part_of_the_promise(
    guarded_fit: Fit,
) -> None:
    whole = certified(guarded_fit, guarded_fit.steps)
    within = certified(guarded_fit, guarded_fit.steps.rows(np.arange(600) % 5 > 0))
    assert whole.guarded == 120
    assert whole.as_dict()["guarded"] == 120
    assert within.guarded == 0
    assert whole == dataclasses.replace(within, guarded=120)
    assert sum(s.steps for s in whole.strata) == 480
    assert Certificate.from_dict(whole.as_dict()) == whole


def test_a_step_held_back_whose_outcomes_are_unknown_is_not_counted(
    guarded_fit: Fit,
) -> None:
    quality = guarded_fit.steps.quality.copy()
    quality[:100] = np.nan
    steps = dataclasses.replace(guarded_fit.steps, quality=quality)
    assert certified(guarded_fit, steps).guarded == 100


def test_the_part_that_certifies_is_not_the_part_that_sets_the_threshold() -> None:
    steps = make_steps(300)
    params = dataclasses.replace(SMALL, bits=BITS, pair_bits=BITS, guard=0.99)
    other = tuple(b"zz" if p == CERTIFY else t for p, t in zip(steps.part, steps.text, strict=True))
    changed = dataclasses.replace(steps, text=other)
    assert fit_steps(steps, params).spec.guard == fit_steps(changed, params).spec.guard
