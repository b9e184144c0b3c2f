"""Nearest neighbors by cosine."""

from __future__ import annotations

import numpy as np

from tierwise.training import knn
from tierwise.training.knn import predict_knn, sample, unit


def test_vectors_are_scaled_to_length_1_and_zero_stays_zero() -> None:
    scaled = unit(np.array([[3.0, 4.0], [0.0, 0.0]], np.float32))
    np.testing.assert_allclose(scaled, [[0.6, 0.8], [0.0, 0.0]], rtol=1e-6)


def test_a_prediction_is_the_mean_of_the_most_similar_steps(monkeypatch) -> None:
    monkeypatch.setattr(knn, "CHUNK", 7)  # so that the queries need several chunks
    rng = np.random.default_rng(0)
    stored = unit(rng.normal(size=(50, 3)).astype(np.float32))
    values, query = rng.random((50, 2)), rng.normal(size=(20, 3)).astype(np.float32)
    said = predict_knn(stored, values, query, 4)
    for i, one in enumerate(query):
        nearest = np.argsort(-(stored @ one))[:4]
        np.testing.assert_allclose(said[i], values[nearest].mean(axis=0))


def test_an_unknown_value_is_no_news_over_the_table() -> None:
    stored = np.eye(2, dtype=np.float32)
    values = np.array([[0.8, np.nan], [0.4, 0.6]])
    np.testing.assert_allclose(predict_knn(stored, values, stored[:1], 2), [[0.6, 0.3]])


def test_fewer_stored_steps_than_neighbors_are_all_averaged() -> None:
    stored = np.eye(2, dtype=np.float32)
    np.testing.assert_allclose(predict_knn(stored, np.array([[1.0], [0.0]]), stored, 9), 0.5)


def test_few_steps_are_all_stored_and_many_are_drawn_without_repetition() -> None:
    assert sample(5, 5, np.random.default_rng(0)).tolist() == [0, 1, 2, 3, 4]
    drawn = sample(1000, 50, np.random.default_rng(0))
    assert len(np.unique(drawn)) == 50
    assert drawn.tolist() == sorted(drawn.tolist())
    assert drawn[-1] > 500
