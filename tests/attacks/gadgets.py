"""Prompt gadgets found on our own graph, against budgets and pins: `gadgets.py --run FOLDER`.

The attacker has the graph and looks for a prefix that makes dear tiers serve whatever follows it
(the confounder gadgets of "Rerouting LLM Routers", arXiv 2501.01818, by greedy random search on
tokens). What a gadget can do is bounded by rules on what a text cannot change: a tenant's budget
and pins. Exit code 1 where a tenant spends more over the role table than its bucket holds, or a
pinned step leaves its tier.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tierwise.router_model.bundle import VerifiedBundle, verify_bundle
from tierwise.serve import Router

NANO = 10**9
TENANT, PINNED_CLASS = "mallory", "payments"
_LONGEST = 40  # words of a gadget
_TRIED = 12  # words tried at each place
_BEST = 200  # words kept of the vocabulary
_SEEN, _UNSEEN = 2, 6  # prompts to find gadgets on, and to use them on
_TEXTS = 300  # of the run


@dataclass(frozen=True)
class Attacker:
    """Who looks for gadgets.

    Attributes
    ----------
    router : Router
        The policy without rules: what the attacker can see and run at will.
    base : int
        The role table's tier.
    role : str or None
        Of the steps.
    """

    router: Router
    base: int
    role: str | None

    def gain(self, texts: Sequence[str]) -> tuple[int, float]:
        """Return how many texts a dearer tier serves, and how near the others are to that.

        Near is an advantage in quality of a dearer tier over the base, or a step that is so
        strange that the guard will have the reference serve it.
        """
        dearer, near = 0, 0.0
        for text in texts:
            made = self.router.decide(text, role=self.role)
            said = made.estimates()
            dearer += made.tier_index > self.base
            best = max(said["quality"][self.base + 1 :])
            near += best - said["quality"][self.base] + made.ood
        return dearer, near / len(texts)

    def prompts(self, texts: Sequence[str], n_prompts: int) -> list[str]:
        """Return the first texts that no dearer tier than the base serves: they have to gain."""
        cheap = (
            text
            for text in texts
            if self.router.decide(text, role=self.role).tier_index <= self.base
        )
        return list(itertools.islice(cheap, n_prompts))

    def words(
        self, n_words: int, texts: Sequence[str], prompt: str, rng: np.random.Generator
    ) -> list[str]:
        """Return the words, made up and of the texts, that help most before a prompt."""
        letters = np.array(list("abcdefghijklmnopqrstuvwxyz0123456789"))
        lengths = rng.integers(2, 9, n_words)
        made_up = {"".join(rng.choice(letters, length)) for length in lengths}
        every = sorted(made_up | {word for text in texts for word in text.split()})
        order = sorted(every, key=lambda word: self.gain([f"{word} {prompt}"]), reverse=True)
        return order[:_BEST]

    def gadget(self, words: Sequence[str], prompts: Sequence[str], rng: np.random.Generator) -> str:
        """Build one gadget word by word, each the best of some tried before the prompts."""
        found, dearer = "", 0
        while dearer < len(prompts) and found.count(" ") < _LONGEST:
            tried = {
                self.gain([f"{found} {word} {text}" for text in prompts]): f"{found} {word}"
                for word in rng.choice(words, _TRIED)
            }
            (dearer, _), found = max(tried.items())
        return found.strip()


def with_rules(bundle: VerifiedBundle, rules: dict[str, Any]) -> Router:
    """Return a router of a policy under rules."""
    return Router(replace(bundle, manifest=replace(bundle.manifest, rules=(rules,))))


def attack(
    bundle: VerifiedBundle,
    texts: Sequence[str],
    rng: np.random.Generator,
    n_gadgets: int = 100,
    n_words: int = 2000,
    usd: float = 0.05,
    role: str | None = "worker",
    base: int | None = None,
) -> dict[str, Any]:
    """Find gadgets, send each before every prompt as one tenant, and say what it came to.

    Parameters
    ----------
    bundle : VerifiedBundle
    texts : sequence of str
        Steps of the fleet, to take words and prompts from.
    rng : Generator
    n_gadgets, n_words : int
        Gadgets to find, and words to find them among.
    usd : float
        The tenant's bucket, without a refill.
    role : str or None
        Of all steps.
    base : int, optional
        The role's tier in the role table; the one that serves most of the texts where left out.
    """
    names, plain = bundle.manifest.tier_names, Router(bundle)
    if base is None:
        served = Counter(plain.decide(text, role=role).tier_index for text in texts)
        base = served.most_common(1)[0][0]
    attacker = Attacker(plain, base, role)
    prompts = attacker.prompts(texts, _SEEN + _UNSEEN)
    seen, unseen = prompts[:_SEEN], prompts[_SEEN:]
    words = attacker.words(n_words, texts, seen[0], rng)
    gadgets = [attacker.gadget(words, seen, rng) for _ in range(n_gadgets)]
    budgets = {"default": {"usd": usd, "usd_per_day": 0}, "role_table": {"default": names[base]}}
    pin = {"name": "payments", "data_class": [PINNED_CLASS], "tier": names[base]}
    limited = with_rules(bundle, {"version": 1, "budgets": budgets, "pins": [pin]})
    spent = {"plain": 0, "gadgets": 0, "gadgets under a budget": 0}
    dearer, left_pin, refused = dict.fromkeys(spent, 0), 0, 0
    for gadget in gadgets:
        for prompt in unseen:
            text = f"{gadget} {prompt}"
            for kind, router, sent in (
                ("plain", attacker.router, prompt),
                ("gadgets", attacker.router, text),
                ("gadgets under a budget", limited, text),
            ):
                made = router.decide(sent, role=role, tenant=TENANT)
                costs = made.estimates()["cost_usd"]
                extra = round((costs[made.tier_index] - costs[base]) * NANO)
                spent[kind] += max(extra, 0)
                dearer[kind] += made.tier_index > base
                refused += made.reason == "budget"
            pinned = limited.decide(text, role=role, tenant=TENANT, data_class=PINNED_CLASS)
            left_pin += pinned.tier_index != base
    steps = n_gadgets * len(unseen)
    return {
        "gadgets": n_gadgets,
        "steps": steps,
        "base_tier": names[base],
        "bucket_usd": usd,
        "extra_usd": {kind: nano / NANO for kind, nano in spent.items()},
        "dearer_share": {kind: count / steps for kind, count in dearer.items()},
        "refused_by_the_budget": refused,
        "over_the_bucket_usd": max(spent["gadgets under a budget"] - round(usd * NANO), 0) / NANO,
        "pinned_steps_that_left_their_tier": left_pin,
        "examples": gadgets[:3],
    }


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, default=Path("artifacts/fleet"))
    parser.add_argument("--gadgets", type=int, default=100)
    parser.add_argument("--usd", type=float, default=0.05, help="the tenant's bucket")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    frame = pd.read_parquet(options.run / "traces.parquet", columns=["text", "role"])
    texts = frame.text[frame.role == "worker"].drop_duplicates().head(_TEXTS).tolist()
    bundle = verify_bundle(options.run / "policy")
    found = attack(bundle, texts, rng, options.gadgets, usd=options.usd)
    print(json.dumps(found, indent=2))
    held = not found["over_the_bucket_usd"] and not found["pinned_steps_that_left_their_tier"]
    raise SystemExit(0 if held else 1)


if __name__ == "__main__":
    main()
