"""What a router sees of a simulated step: texts that carry difficulty, columns with unknowns."""

import unicodedata

import numpy as np
import pandas as pd

from tierwise.data.fleet import FleetParams, draw, make_world
from tierwise.data.fleet_columns import NULL_RATES
from tierwise.data.fleet_plan import draw_plan
from tierwise.data.fleet_text import texts
from tierwise.data.fleet_words import LANGUAGES, N_OPERATIONS, N_TOPICS, OPERATIONS, TOPICS


def fleet_of(n_traces=300, seed=1, **settings):
    world = make_world(FleetParams(**settings), np.random.default_rng(0))
    return draw(world, n_traces, np.random.default_rng(seed))


def test_every_language_has_every_word_once():
    for code in LANGUAGES:
        assert len(set(OPERATIONS[code].split("|"))) == N_OPERATIONS
        assert len(set(TOPICS[code].split("|"))) == N_TOPICS


def test_the_same_seed_draws_the_same_fleet_and_another_one_does_not():
    first, again, other = fleet_of(seed=1), fleet_of(seed=1), fleet_of(seed=2)
    pd.testing.assert_frame_equal(first.steps, again.steps)
    np.testing.assert_array_equal(first.quality, again.quality)
    assert first.steps["text"][:50].tolist() != other.steps["text"][:50].tolist()


def test_words_of_the_instruction_tell_part_of_the_difficulty():
    fleet = fleet_of(3000)
    english = fleet.plan.language == 0
    effect = fleet.world.topic
    quality = fleet.quality[:, 1]

    def mean_with(topic):
        word = TOPICS["en"].split("|")[topic]
        first_line = fleet.steps["text"].str.split("\n").str[0]
        return quality[english & first_line.str.contains(word, regex=False).to_numpy()].mean()

    assert mean_with(effect.argmin()) > mean_with(effect.argmax()) + 0.15


def test_what_is_attached_is_longer_where_the_plan_says_so():
    plan = draw_plan(300, 2, 6, np.random.default_rng(0))
    lengths = np.array([len(t.encode()) for t in texts(plan, np.random.default_rng(1))])
    medians = [np.median(lengths[plan.size == size]) for size in range(3)]
    assert medians == sorted(medians)
    assert lengths.max() > 4096


def test_texts_come_in_scripts_other_than_latin():
    joined = "".join(fleet_of().steps["text"].str.split("\n").str[0])
    scripts = {unicodedata.name(letter, "?").split()[0] for letter in joined}
    assert scripts >= {"LATIN", "CYRILLIC", "CJK", "HIRAGANA", "KATAKANA", "ARABIC", "DEVANAGARI"}


def test_the_first_step_has_no_assistant_turn_and_no_previous_tier():
    fleet = fleet_of()
    first = fleet.plan.index == 0
    assert (fleet.steps["text"].str.count("\n\n")[first] == 1).all()
    assert (fleet.steps["text"].str.count("\n\n")[~first] == 2).all()
    assert fleet.steps["previous_tier"][first].isna().all()
    assert fleet.steps["previous_failed"][first].isna().all()
    assert fleet.steps["previous_failed"][~first].any()


def test_contexts_grow_along_a_trace():
    plan = draw_plan(500, 4, 4, np.random.default_rng(0))
    means = [plan.input_tokens[plan.index == i].mean() for i in range(4)]
    assert means == sorted(means)
    assert means[3] > 2 * means[0]
    assert (plan.cached_tokens <= plan.input_tokens).all()


def test_further_draws_get_ids_and_times_of_their_own():
    world = make_world(FleetParams(), np.random.default_rng(0))
    rng = np.random.default_rng(1)
    early, late = draw(world, 50, rng).steps, draw(world, 50, rng, first_trace=50).steps
    assert not set(early["trace_id"]) & set(late["trace_id"])
    assert early["ts"].max() < late["ts"].min()


def test_unknown_is_null_at_its_rate_and_never_zero():
    known, holed = fleet_of(2000, nulls=0.0).steps, fleet_of(2000, nulls=1.0).steps
    for column, rate in NULL_RATES.items():
        assert not known[column].isna().any(), column
        unknown = holed[column].isna()
        assert abs(unknown.mean() - rate) < 0.03, column
        pd.testing.assert_series_equal(known[column][~unknown], holed[column][~unknown])
