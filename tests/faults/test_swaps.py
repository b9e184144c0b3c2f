"""A short run of what `make swaps` does a thousand times."""

from __future__ import annotations

from tests.faults.swaps import run


def test_policies_change_50_times_under_load_and_every_decision_is_one_policys_own() -> None:
    found = run(n_swaps=50, n_threads=2)
    assert (found["swaps"], found["failed_swaps"]) == (50, 0)
    assert found["first_wrong"] == []
    assert isinstance(found["decisions"], int)
    assert found["decisions"] > 50
