"""Who goes on and who wins, among trials whose answers are known."""

import numpy as np
import pytest

from hooknet.config.candidates import Candidate
from hooknet.search.halving import decide, goes_on, rung_table
from hooknet.search.scoring import score

PATIENTS = 20
EACH = 10
TRIALS = {
    "one": Candidate(1, (1.0,)),
    "two": Candidate(2, (1.0, 4.0), "concat", 0.5),
    "other": Candidate(2, (1.0, 8.0), "concat", 0.5),
    "three": Candidate(3, (1.0, 4.0, 16.0), "concat", 0.5),
}


def scored(**errors):
    """Trials that get so many of every ten centres of each patient wrong."""
    labels = np.tile(np.array([1, 2], np.uint8), PATIENTS * EACH // 2)
    patients = [f"p{at}" for at in range(PATIENTS) for _ in range(EACH)]
    told = {
        name: np.where(np.arange(len(labels)) % EACH < wrong, 3 - labels, labels)
        for name, wrong in errors.items()
    }
    return score(told, labels, patients, 2)


def among(found):
    return {name: TRIALS[name] for name in found.names}


def test_of_equal_trials_the_simplest_wins_and_goes_on():
    found = scored(one=1, two=1, other=1, three=1)
    assert goes_on(among(found), found, 2, 0.01, ())[0] == "one"
    verdict = decide(among(found), found, 0.01)
    assert (verdict.winner, verdict.sure) == ("one", 1.0)


def test_a_better_one_of_more_views_wins():
    found = scored(one=4, two=1, three=1)
    verdict = decide(among(found), found, 0.01)
    assert (verdict.winner, verdict.runner_up, verdict.best) == ("two", "three", "two")
    found = scored(one=4, two=3, three=0)
    verdict = decide(among(found), found, 0.01)
    assert (verdict.winner, verdict.runner_up) == ("three", "two")
    assert verdict.ahead[0] == pytest.approx(0.3, abs=0.01)


def test_the_simplest_that_keeps_up_goes_on_before_better_ones():
    """Two and other are worse by less than the tolerance: one of them goes on, though three and one more are ahead."""
    found = scored(one=5, two=1, other=1, three=0)
    assert goes_on(among(found), found, 2, 0.2, ()) == ["two", "three"]
    assert goes_on(among(found), found, 2, 0.01, ()) == ["three", "two"]


def test_what_the_ranking_shows_to_tell_less_goes_on_only_where_there_is_nothing_else():
    """The single view is ahead of two, which learns more slowly; but it is known to tell less."""
    found = scored(one=2, two=4, three=1)
    assert goes_on(among(found), found, 2, 0.01, {"one"}) == ["three", "two"]
    assert goes_on(among(found), found, 3, 0.01, {"one"}) == ["three", "two", "one"]
    assert goes_on(among(found), found, 2, 0.01, {"one", "two"}) == ["three", "one"]
    assert goes_on(among(found), found, 2, 0.01, ()) == ["three", "one"]


def test_of_equally_simple_ones_the_better_wins():
    found = scored(two=2, other=1)
    assert decide(among(found), found, 0.5).winner == "other"


def test_the_table_of_a_rung_says_who_goes_on():
    found = scored(one=4, two=1, three=2)
    table = rung_table(among(found), found, 9, ["two", "three"])
    assert table["trial"].tolist() == ["two", "three", "one"]
    assert table["goes_on"].tolist() == [True, True, False]
    assert table["f1"].tolist() == pytest.approx([0.9, 0.8, 0.6], abs=0.002)
    assert set(table["epochs"]) == {9}
