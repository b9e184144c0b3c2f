"""Routers over the small policy with rules and vendors: small is a's, medium b's, large c's."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from tierwise.data.tiers import Tier
from tierwise.router_model.bundle import VerifiedBundle, verify_bundle
from tierwise.serve import Router

TIERS = (Tier("small", vendor="a"), Tier("medium", vendor="b"), Tier("large", vendor="c"))


def ruled(
    bundle_folder: Path,
    rules: dict[str, Any],
    tiers: tuple[Tier, ...] = TIERS,
    **options: Any,
) -> Router:
    bundle = _verified(bundle_folder)
    manifest = replace(bundle.manifest, tiers=tiers, rules=(rules,) if rules else ())
    return Router(replace(bundle, manifest=manifest), **options)


@cache
def _verified(folder: Path) -> VerifiedBundle:
    return verify_bundle(folder)
