"""The text of a simulated step: newest message, the assistant turn before it, the system prompt.

Only the instruction, its constraints and the amount attached say anything about difficulty; what is
attached, the references and the assistant turn are there to be ignored.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from tierwise.data.fleet_plan import SIZES, Plan
from tierwise.data.fleet_roles import SNIPPETS, TASK_SNIPPET, TASKS
from tierwise.data.fleet_words import (
    ASSISTANT,
    CONSTRAINTS,
    LANGUAGES,
    OPERATIONS,
    SYSTEM,
    TEAMS,
    TEMPLATES,
    TOPICS,
)

POOL_SEED = 20260101  # what is attached comes from one fixed pool, shared by all fleets
VERY_LONG = 0.05  # share of attachments four times their size; long ones then pass 4,096 bytes
POOL_SIZE = 120  # different attachments of one kind and size

NAMES = (
    "Zoë Weiß",
    "Łukasz Nowak",
    "Nina Orlova",
    "Нина Орлова",
    "田中美咲",
    "李伟",
    "Omar Aziz",
    "प्रिया",
)
NOUNS = (
    "batch",
    "cursor",
    "session",
    "ledger",
    "worker",
    "quota",
    "bucket",
    "shard",
    "lease",
    "token",
)
LEVELS = ("DEBUG", "INFO", "INFO", "WARN", "ERROR")
SENTENCES = (
    "{name} wrote on {d:02d} March that the {noun} of site {i} had been moved.",
    "According to page {d} of the file, {i} units were kept in the {noun} hall.",
    "Nobody could say why the {noun} was booked twice ({i} EUR).",
    "{name} asked for a copy and for the name of the person in charge.",
    "The {noun} was closed on 2026-03-{d:02d} and opened again after {i} minutes.",
)
CODE = (
    "def {noun}_{i}(rows, limit={d}):",
    "    return [row for row in rows if row.{noun} < {i}]",
    "    if {noun} is None and retries > {d}:",
    "        raise TimeoutError('{noun} {i}')",
    "-    {noun} = load({i})",
    "+    {noun} = load({i}, strict=True)  # {name}",
    "const {noun}{i} = await fetch(`/v{d}/{noun}`);",
)


def texts(plan: Plan, rng: np.random.Generator) -> list[str]:
    """Write the text of every step.

    Parameters
    ----------
    plan : Plan
        Steps.
    rng : numpy.random.Generator
        Draws what carries no meaning: team, reference, attachment, assistant turn.

    Returns
    -------
    list of str
        One text a step.
    """
    n = len(plan)
    operations = [OPERATIONS[code].split("|") for code in LANGUAGES]
    topics = [TOPICS[code].split("|") for code in LANGUAGES]
    templates = [TEMPLATES[code] for code in LANGUAGES]
    systems = [SYSTEM[task.role] for task in TASKS]
    pool = attachments()
    columns = zip(
        plan.index.tolist(),
        plan.task.tolist(),
        plan.operation.tolist(),
        plan.topic.tolist(),
        plan.constraint_a.tolist(),
        plan.constraint_b.tolist(),
        plan.language.tolist(),
        plan.size.tolist(),
        rng.integers(0, len(TEAMS), n).tolist(),
        rng.integers(1000, 100_000, n).tolist(),
        rng.integers(0, POOL_SIZE, n).tolist(),
        rng.integers(0, len(ASSISTANT), n).tolist(),
        TASK_SNIPPET[plan.task].tolist(),
        strict=True,
    )
    written = []
    for index, task, op, topic, a, b, lang, size, team, ref, pick, turn, kind in columns:
        request = templates[lang].format(
            op=operations[lang][op], topic=topics[lang][topic], team=TEAMS[team]
        )
        asked = " ".join(filter(None, (request, CONSTRAINTS[a], CONSTRAINTS[b])))
        said = f"{ASSISTANT[turn].format(n=ref % 977, s=ref % 13)}\n\n" if index else ""
        written.append(f"{asked}\nRef #{ref}\n{pool[kind][size][pick]}\n\n{said}{systems[task]}")
    return written


@lru_cache(maxsize=1)
def attachments() -> tuple[tuple[tuple[str, ...], ...], ...]:
    """Return the pool: kind of snippet, size, number of the attachment."""
    rng = np.random.default_rng(POOL_SEED)
    return tuple(
        tuple(tuple(_attachment(kind, lines, rng) for _ in range(POOL_SIZE)) for lines in SIZES)
        for kind in SNIPPETS
    )


def _attachment(kind: str, lines: int, rng: np.random.Generator) -> str:
    count = max(1, lines + int(rng.integers(-1, 2)))
    if rng.random() < VERY_LONG:
        count *= 4
    return "\n".join(_line(kind, rng) for _ in range(count))


def _line(kind: str, rng: np.random.Generator) -> str:
    i, d = int(rng.integers(10, 10_000)), int(rng.integers(1, 29))
    noun, name = str(rng.choice(NOUNS)), str(rng.choice(NAMES))
    if kind == "code":
        return str(rng.choice(CODE)).format(noun=noun, name=name, i=i, d=d)
    if kind == "json":
        flag = str(i % 2 == 0).lower()
        return f'{{"id": {i}, "{noun}": "{name}", "day": "2026-03-{d:02d}", "open": {flag}}}'
    if kind == "log":
        return (
            f"2026-03-{d:02d}T{d % 24:02d}:17:03Z {rng.choice(LEVELS)} {noun}[{i}] took {d * 7} ms"
        )
    if kind == "table":
        return f"| {i} | {noun} | {name} | {d},50 |"
    return str(rng.choice(SENTENCES)).format(noun=noun, name=name, i=i, d=d)
