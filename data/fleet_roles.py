"""Who works in the simulated fleet: roles, the task types each has, and how traces are composed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Task:
    """One task type of one role.

    Attributes
    ----------
    name, role : str
        As they stand in the columns `task_type` and `role`.
    difficulty : float
        Base difficulty before it is standardized over the fleet; higher is harder.
    output_tokens : int
        Mean tokens of an answer at neutral verbosity, reasoning not counted.
    schema_rate : float
        Share of such steps whose answer has a schema, so that a program can check it.
    wrong_passes : float
        P(the check passes | the answer is wrong): "valid but subtly wrong".
    operations : tuple of int
        Which operations of `fleet_words.OPERATIONS` the instruction may ask for.
    snippet : str
        What is attached: code, log, json, table or prose.
    """

    name: str
    role: str
    difficulty: float
    output_tokens: int
    schema_rate: float
    wrong_passes: float
    operations: tuple[int, ...]
    snippet: str


TASKS = (
    Task("decompose_goal", "planner", 1.2, 420, 0.6, 0.7, (4, 10, 12, 14, 15), "prose"),
    Task("order_subtasks", "planner", 0.5, 220, 0.8, 0.6, (0, 4, 10, 13), "json"),
    Task("replan_after_failure", "planner", 1.6, 380, 0.5, 0.7, (10, 12, 14, 15), "log"),
    Task("data_lookup", "worker", -0.9, 90, 0.7, 0.4, (0, 1, 4, 7), "table"),
    Task("transform_records", "worker", -0.4, 260, 0.9, 0.4, (2, 4, 9, 13), "json"),
    Task("draft_reply", "worker", 0.1, 240, 0.0, 0.8, (6, 9, 11, 15), "prose"),
    Task("fill_form", "worker", -0.5, 140, 0.95, 0.5, (1, 2, 8, 13), "json"),
    Task("review_answer", "critic", 0.7, 170, 0.5, 0.7, (7, 8, 11, 12), "prose"),
    Task("check_citations", "critic", 0.4, 130, 0.7, 0.6, (1, 7, 8, 13), "prose"),
    Task("review_diff", "critic", 0.9, 230, 0.4, 0.7, (7, 8, 11, 12), "code"),
    Task("extract_fields", "extractor", -1.0, 120, 0.95, 0.5, (0, 1, 2, 13), "json"),
    Task("extract_dates", "extractor", -1.3, 50, 0.95, 0.5, (0, 1, 4), "prose"),
    Task("extract_tables", "extractor", -0.3, 320, 0.9, 0.4, (1, 2, 4, 13), "table"),
    Task("call_search", "tool_caller", -0.8, 50, 1.0, 0.6, (0, 1, 5, 7), "prose"),
    Task("call_api", "tool_caller", -0.3, 90, 1.0, 0.4, (1, 2, 8, 10), "json"),
    Task("write_sql", "tool_caller", 0.5, 140, 0.9, 0.5, (1, 4, 7, 13), "table"),
    Task("summarize_thread", "summarizer", -0.3, 200, 0.1, 0.8, (5, 6, 9, 11), "prose"),
    Task("synthesize_sources", "summarizer", 0.8, 420, 0.1, 0.8, (5, 7, 11, 13), "prose"),
    Task("fix_bug", "coder", 1.1, 480, 0.8, 0.4, (9, 11, 12, 14), "code"),
    Task("write_tests", "coder", 0.5, 520, 0.8, 0.4, (4, 8, 9, 14), "code"),
    Task("rename_symbols", "coder", -0.7, 280, 0.9, 0.2, (0, 2, 9), "code"),
    Task("classify_intent", "router", -1.1, 12, 1.0, 0.9, (0, 3, 7), "prose"),
    Task("pick_queue", "router", -0.8, 14, 1.0, 0.9, (3, 7, 10), "log"),
)

ROLES = tuple(dict.fromkeys(task.role for task in TASKS))
TASK_ROLE = np.array([ROLES.index(task.role) for task in TASKS])
TASK_BASE = np.array([task.difficulty for task in TASKS])
TASK_TOKENS = np.array([float(task.output_tokens) for task in TASKS])
TASK_SCHEMA = np.array([task.schema_rate for task in TASKS])
WRONG_PASSES = np.array([task.wrong_passes for task in TASKS])
SNIPPETS = ("prose", "json", "log", "table", "code")
TASK_SNIPPET = np.array([SNIPPETS.index(task.snippet) for task in TASKS])

# Roles whose quality is a grade in 0..1 and not right or wrong.
GRADED_ROLES = ("critic", "summarizer")
TASK_GRADED = np.array([task.role in GRADED_ROLES for task in TASKS])
GRADE_CONCENTRATION = 6.0  # of the Beta around the mean; a free choice
GRADE_SHARPNESS = 0.5  # graders seldom give 0 or 1; a free choice

# The role table a team would write first: position on the ladder, 0 the cheapest and 1 the dearest.
ROLE_RUNG = {
    "planner": 1.0,
    "worker": 0.4,
    "critic": 0.4,
    "extractor": 0.0,
    "tool_caller": 0.4,
    "summarizer": 0.4,
    "coder": 1.0,
    "router": 0.0,
}


@dataclass(frozen=True)
class Mode:
    """How the agents of a trace work together.

    Attributes
    ----------
    name : str
        As it stands in `collaboration_mode`.
    share : float
        Share of traces.
    opener, closer : str
        Role of the first and, in `closing_rate` of the traces, of the last step.
    closing_rate : float
        Share of traces that end with the closer.
    mix : dict
        Weights of the roles between.
    agents : tuple of int
        Least and greatest number of agents.
    """

    name: str
    share: float
    opener: str
    closer: str
    closing_rate: float
    mix: dict[str, float]
    agents: tuple[int, int]


MODES = (
    Mode(
        "plan_execute",
        0.60,
        "planner",
        "summarizer",
        0.5,
        {"worker": 10, "extractor": 2, "tool_caller": 2, "coder": 1.5, "critic": 1, "planner": 0.3},
        (2, 4),
    ),
    Mode(
        "hierarchical",
        0.28,
        "planner",
        "critic",
        0.5,
        {"worker": 7, "coder": 2, "tool_caller": 2, "extractor": 1, "critic": 1, "router": 1},
        (4, 9),
    ),
    Mode(
        "single",
        0.12,
        "router",
        "worker",
        0.9,
        {"worker": 4, "tool_caller": 4, "extractor": 1, "summarizer": 1},
        (1, 1),
    ),
)
