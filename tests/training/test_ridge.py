"""The ridge by conjugate gradients is the ridge."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.linear_model import Ridge

from tierwise.training.ridge import fit_ridge

ALPHAS = (1.0, 10.0)


@pytest.fixture(scope="module")
def problem() -> tuple[sp.csr_matrix, np.ndarray]:
    rng = np.random.default_rng(0)
    text = sp.random(200, 80, 0.1, "csr", np.float32, np.random.default_rng(1))
    text = (text / np.sqrt(text.multiply(text).sum() / 200)).astype(np.float32)
    target = text @ rng.normal(size=(80, 3)) + 0.1 * rng.normal(size=(200, 3))
    return text.tocsr(), np.asarray(target, np.float64)


def closed_form(text: sp.csr_matrix, target: np.ndarray, alpha: float) -> np.ndarray:
    known = ~np.isnan(target)
    model = Ridge(alpha=alpha, fit_intercept=False, solver="cholesky")
    return np.asarray(model.fit(text.toarray()[known].astype(np.float64), target[known]).coef_)


def assert_closed_form(text: sp.csr_matrix, target: np.ndarray) -> None:
    weights = fit_ridge(text, target, ALPHAS)
    for a, alpha in enumerate(ALPHAS):
        for column in range(target.shape[1]):
            wanted = closed_form(text, target[:, column], alpha)
            size = np.linalg.norm(wanted)
            assert np.linalg.norm(weights[a, :, column] - wanted) < 1e-3 * size, (alpha, column)


def test_every_strength_and_column_is_the_closed_form(problem: tuple) -> None:
    assert_closed_form(*problem)


def test_an_unknown_target_leaves_the_step_out_of_that_column_alone(problem: tuple) -> None:
    text, target = problem
    holed = target.copy()
    holed[:50, 0] = np.nan
    holed[np.arange(200) % 3 > 0, 2] = np.nan
    assert_closed_form(text, holed)


def test_a_column_of_which_nothing_is_known_has_no_weights(problem: tuple) -> None:
    text, target = problem
    holed = target.copy()
    holed[:, 1] = np.nan
    weights = fit_ridge(text, holed, ALPHAS)
    assert not weights[:, :, 1].any()
    np.testing.assert_allclose(weights[..., 0], fit_ridge(text, target, ALPHAS)[..., 0], atol=1e-3)


def test_a_stronger_penalty_gives_smaller_weights(problem: tuple) -> None:
    weights = fit_ridge(*problem, (1.0, 10.0, 100.0))
    sizes = np.linalg.norm(weights, axis=(1, 2))
    assert sizes[0] > sizes[1] > sizes[2] > 0
