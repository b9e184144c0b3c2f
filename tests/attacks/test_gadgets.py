"""Gadgets found on a policy's own graph spend a tenant's bucket and no more; pins do not move."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from tests.attacks.gadgets import attack
from tests.serve.routers import bundle_of
from tests.training.fits import small_fit

BUCKET_USD = 0.002


@cache
def found() -> dict[str, Any]:
    small = small_fit()
    strata = [{"name": "rest", "roles": ["rest"], "points": [12]}]
    floors = {"floor": {"kind": "retain", "level": 0.95}, "levels": [0.95], "strata": strata}
    bundle = bundle_of(small.graph, small.fitted.spec, floors)
    texts = sorted({text.decode() for text in small.steps.text})[:100]
    rng = np.random.default_rng(0)
    return attack(bundle, texts, rng, n_gadgets=10, n_words=100, usd=BUCKET_USD, base=0)


def test_without_a_budget_gadgets_make_a_tenant_dear() -> None:
    told = found()
    assert told["extra_usd"]["gadgets"] > 3 * BUCKET_USD
    assert told["dearer_share"]["gadgets"] > told["dearer_share"]["plain"] + 0.3


def test_a_tenants_gadgets_cost_its_bucket_and_not_a_nano_dollar_more() -> None:
    told = found()
    assert 0 < told["extra_usd"]["gadgets under a budget"] <= BUCKET_USD
    assert told["over_the_bucket_usd"] == 0
    assert told["refused_by_the_budget"] > 0


def test_no_pinned_step_leaves_its_tier() -> None:
    assert found()["pinned_steps_that_left_their_tier"] == 0
