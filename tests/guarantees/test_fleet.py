"""The end-to-end guarantee can fail, and holds on a small world."""

from __future__ import annotations

import dataclasses
from typing import Any

import fleet
import pytest

from tierwise.training.promise import Certificate


def test_a_small_world_keeps_its_floor() -> None:
    world = fleet.run_world(0, 2_000)
    assert not world.broken
    assert world.kept >= 0.95


def test_a_certifier_that_goes_to_the_end_of_the_path_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    honest = fleet.certify_steps

    def reckless(*args: Any, **kwargs: Any) -> Certificate:
        certificate = honest(*args, **kwargs)
        end = len(args[2].path) - 1
        strata = [
            dataclasses.replace(s, points=tuple(end for _ in s.points)) for s in certificate.strata
        ]
        return dataclasses.replace(certificate, strata=tuple(strata))

    monkeypatch.setattr(fleet, "certify_steps", reckless)
    assert fleet.run_world(0, 2_000).broken
