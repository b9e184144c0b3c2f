"""What the agents of the simulated fleet set out to do: traces, steps, roles, tokens, hidden draws.

Nothing here depends on tiers or on how hard anything is, so that one plan can be answered in many
worlds.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from tierwise.data.fleet_roles import MODES, ROLES, TASK_ROLE, TASK_SCHEMA, TASKS
from tierwise.data.fleet_words import CONSTRAINTS, LANGUAGE_SHARES, N_TOPICS

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

SIZES = (1, 4, 30)  # lines attached to the instruction: short, medium, long
SIZE_SHARES = (0.5, 0.35, 0.15)
SIZE_TOKENS = np.array([100.0, 190.0, 950.0])
NO_CONSTRAINT = 0.4  # share of empty constraint slots
SYSTEM_TOKENS = 900.0  # system prompt and tool list, the start of every context
ADDED_TOKENS = 550.0  # what a finished step leaves in the context of the next, in the median
CACHE_HIT = 0.6  # share of later steps whose prefix is still cached
CACHED_PART = 0.85  # of the prefix, where it is


@dataclass(frozen=True)
class Plan:
    """Steps and everything hidden about them; all arrays of shape (n_steps,), traces in order.

    Attributes
    ----------
    trace, index, length_of_trace : ndarray of int
        Number of the trace from 0, position of the step in it, steps in it.
    mode, n_agents : ndarray of int
        Index into `fleet_roles.MODES`; agents at work.
    task, operation, topic, constraint_a, constraint_b, language, size : ndarray of int
        What is asked; all of it can be read in the text, `task` also in its column.
    has_schema : ndarray of bool
        The answer is checked by a program.
    verbosity : ndarray of float
        Hidden factor on the length of the answer, the same for all tiers; mean 1.
    input_tokens, cached_tokens : ndarray of float
        Tokens sent, and how many of them are billed at the cached price.
    trace_effect, noise : ndarray of float
        Standard normal; the first is one draw a trace. Neither is visible anywhere.
    """

    trace: Ints
    index: Ints
    length_of_trace: Ints
    mode: Ints
    n_agents: Ints
    task: Ints
    operation: Ints
    topic: Ints
    constraint_a: Ints
    constraint_b: Ints
    language: Ints
    size: Ints
    has_schema: NDArray[np.bool_]
    verbosity: Floats
    input_tokens: Floats
    cached_tokens: Floats
    trace_effect: Floats
    noise: Floats

    def __len__(self) -> int:
        return len(self.trace)

    def take(self, rows: Ints) -> Plan:
        """Return the plan of some rows."""
        return Plan(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


def draw_plan(n_traces: int, steps_min: int, steps_max: int, rng: np.random.Generator) -> Plan:
    """Draw the steps of `n_traces` traces.

    Parameters
    ----------
    n_traces : int
        At least 1.
    steps_min, steps_max : int
        Steps of a trace, uniform between them, both included.
    rng : numpy.random.Generator
        Source of every draw.
    """
    lengths = rng.integers(steps_min, steps_max + 1, n_traces)
    trace = np.repeat(np.arange(n_traces), lengths)
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    n = len(trace)
    index = np.arange(n) - starts[trace]
    mode = rng.choice(len(MODES), n_traces, p=[m.share for m in MODES])
    low, high = np.array([m.agents for m in MODES])[mode].T
    agents = rng.integers(low, high + 1)
    task = _tasks(mode[trace], index, lengths[trace], rng)
    size = rng.choice(len(SIZES), n, p=SIZE_SHARES)
    prefix = _prefix_tokens(trace, starts, rng)
    hit = (index > 0) & (rng.random(n) < CACHE_HIT)
    return Plan(
        trace=trace,
        index=index,
        length_of_trace=lengths[trace],
        mode=mode[trace],
        n_agents=agents[trace],
        task=task,
        operation=_operations(task, rng),
        topic=rng.integers(0, N_TOPICS, n),
        constraint_a=_constraints(n, rng),
        constraint_b=_constraints(n, rng),
        language=rng.choice(len(LANGUAGE_SHARES), n_traces, p=LANGUAGE_SHARES)[trace],
        size=size,
        has_schema=rng.random(n) < TASK_SCHEMA[task],
        verbosity=_around_one(n, 0.3, rng),
        input_tokens=np.rint(prefix + SIZE_TOKENS[size] * _around_one(n, 0.2, rng)),
        cached_tokens=np.rint(hit * CACHED_PART * prefix),
        trace_effect=rng.standard_normal(n_traces)[trace],
        noise=rng.standard_normal(n),
    )


def _tasks(mode: Ints, index: Ints, length: Ints, rng: np.random.Generator) -> Ints:
    """Give each step a role by its trace's mode, then one of the role's task types."""
    role = np.zeros(len(mode), np.int64)
    for number, kind in enumerate(MODES):
        here = np.flatnonzero(mode == number)
        names = [ROLES.index(name) for name in kind.mix]
        weights = np.array(list(kind.mix.values()))
        role[here] = rng.choice(names, len(here), p=weights / weights.sum())
        role[here[index[here] == 0]] = ROLES.index(kind.opener)
        last = here[(index[here] == length[here] - 1) & (index[here] > 0)]
        role[last[rng.random(len(last)) < kind.closing_rate]] = ROLES.index(kind.closer)
    task = np.zeros(len(mode), np.int64)
    for number in range(len(ROLES)):
        here = role == number
        task[here] = rng.choice(np.flatnonzero(number == TASK_ROLE), here.sum())
    again = ROLES.index("planner"), [t.name for t in TASKS].index("replan_after_failure")
    late = (role == again[0]) & (index > 0)
    task[late] = again[1]  # a planner in the middle of a trace plans again
    return task


def _operations(task: Ints, rng: np.random.Generator) -> Ints:
    counts = np.array([len(t.operations) for t in TASKS])
    table = np.array([t.operations + (0,) * (counts.max() - len(t.operations)) for t in TASKS])
    picked: Ints = table[task, (rng.random(len(task)) * counts[task]).astype(np.int64)]
    return picked


def _constraints(n: int, rng: np.random.Generator) -> Ints:
    return np.where(rng.random(n) < NO_CONSTRAINT, 0, rng.integers(1, len(CONSTRAINTS), n))


def _prefix_tokens(trace: Ints, starts: Ints, rng: np.random.Generator) -> Floats:
    """Return the tokens before the newest message: they grow, and each step is sent them again."""
    added = ADDED_TOKENS * rng.lognormal(0.0, 0.7, len(trace))
    before = np.cumsum(added) - added
    return SYSTEM_TOKENS + before - before[starts][trace]


def _around_one(n: int, sigma: float, rng: np.random.Generator) -> Floats:
    """Return log-normal factors of mean 1."""
    return rng.lognormal(-(sigma**2) / 2, sigma, n)
