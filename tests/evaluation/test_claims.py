from dataclasses import replace

import pandas as pd
import pytest

from hooknet.evaluation.claims import CLAIMS, Evidence, claim, claims

SURE = Evidence(
    first="A",
    second="B",
    n=20,
    patients=20,
    smallest_p=2 / 2**20,
    smallest_p_holm=6 / 2**20,
    p_holm=0.0123,
    effect=0.8,
    difference=0.04,
    low=0.01,
    high=0.07,
)
NAN = float("nan")
HIGHER = "A scores higher than B on these patients' slides, under this training"
OPEN = "not shown to differ; this does not show that they are equal"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, f"p (Holm) 0.012 and the interval excludes 0: {HIGHER}"),
        ({"p_holm": 0.00012}, f"p (Holm) < 0.001 and the interval excludes 0: {HIGHER}"),
        ({"p_holm": 0.05}, f"p (Holm) 0.05 and the interval excludes 0: {HIGHER}"),
        (
            {"effect": -0.8, "difference": -0.04, "low": -0.07, "high": -0.01},
            "p (Holm) 0.012 and the interval excludes 0: B scores higher than A on these patients' slides, under"
            " this training",
        ),
        (
            {"p_holm": 0.3, "low": -0.01},
            f"p (Holm) 0.3 and the interval holds 0: {OPEN}",
        ),
        (
            {"low": -0.01},
            "test and interval disagree: p (Holm) 0.012, but the interval holds 0; not shown to differ",
        ),
        (
            {"low": 0},
            "test and interval disagree: p (Holm) 0.012, but the interval holds 0; not shown to differ",
        ),
        (
            {"p_holm": 0.051},
            "test and interval disagree: the interval excludes 0, but p (Holm) 0.051; not shown to differ",
        ),
        (
            {"effect": -0.8},
            "test and interval disagree: A scores higher with all slides pooled, B on most slides (p (Holm) 0.012);"
            " no claim that either is better",
        ),
        (
            {"low": NAN, "high": NAN, "difference": NAN},
            "p (Holm) 0.012 and no interval over patients: nothing can be said for other patients",
        ),
        (
            {"low": NAN, "high": NAN, "difference": NAN, "p_holm": 0.4},
            "p (Holm) 0.4 and no interval over patients: not shown to differ, and nothing can be said for other"
            " patients",
        ),
        (
            {"n": 0, "patients": 0, "smallest_p": NAN, "smallest_p_holm": NAN, "p_holm": NAN},
            "no slide that both were tested on: nothing can be said of a difference",
        ),
        (
            {"n": 4, "patients": 4, "smallest_p": 0.125, "smallest_p_holm": 0.125, "p_holm": 0.125},
            "n = 4 slides: no p below 0.125 can be reached, so no difference can be shown here,"
            " whatever its size; that the interval favours A is a hint, no proof",
        ),
        (
            {"n": 1, "patients": 1, "smallest_p": 1, "smallest_p_holm": 1, "p_holm": 1},
            "n = 1 slide: no p below 1 can be reached, so no difference can be shown here,"
            " whatever its size; that the interval favours A is a hint, no proof",
        ),
        (
            {"n": 6, "patients": 3, "smallest_p": 2 / 64, "smallest_p_holm": 6 / 64, "p_holm": 6 / 64},
            "n = 6 slides: no p below 0.0312 can be reached, nor below 0.0938 after Holm's adjustment for all pairs,"
            " so no difference can be shown here,"
            " whatever its size; that the interval favours A is a hint, no proof",
        ),
        (
            {"patients": 5, "smallest_p_patients": 3 / 16},
            "n = 20 slides of only 5 patients: with one score per patient no p below 0.188 could be reached after"
            " Holm's adjustment for all pairs, so no difference can be shown for other patients; the test takes slides"
            " for independent and its p is too small",
        ),
        (
            {"patients": 6},
            f"p (Holm) 0.012 and the interval excludes 0: {HIGHER}; the 20 slides are of 6 patients and the test"
            " takes them for independent: its p is likely too small, trust the interval",
        ),
        (
            {"patients": 12, "p_holm": 0.3, "low": -0.01},
            f"p (Holm) 0.3 and the interval holds 0: {OPEN}; the 20 slides are of 12 patients and the test takes"
            " them for independent: its p is likely too small, trust the interval",
        ),
    ],
)
def test_what_may_be_said(changes, sentence):
    assert claim(replace(SURE, **changes)) == sentence


def pairs_of(pairs):
    columns = ["first", "second", "class", "n", "patients", "p_holm", "effect"]
    return pd.DataFrame(pairs, columns=columns)


def test_the_smallest_p_of_a_pair_follows_from_the_slides_of_all_pairs():
    tests = pairs_of(
        [
            ("A", "B", "macro", 6, 6, 0.2, 0.1),
            ("A", "B", "gland", 9, 6, 0.001, 1.0),
            ("A", "C", "macro", 20, 20, 0.001, 1.0),
            ("B", "C", "macro", 0, 0, NAN, NAN),
        ]
    )
    differences = pd.DataFrame(
        [("A", "C", "macro", 0.2, 0.1, 0.3), ("A", "C", "gland", 9, 9, 9)],
        columns=["first", "second", "class", "difference", "low", "high"],
    )
    table = claims(tests, differences)
    assert tuple(table.columns) == CLAIMS
    assert table["smallest_p"].tolist()[:2] == [2 / 64, 2 / 2**20]
    # Two pairs are tested: of the smaller of their p the double, the other as it is.
    assert table["smallest_p_holm"].tolist()[:2] == [2 / 64, 4 / 2**20]
    assert table.loc[2, ["smallest_p", "smallest_p_holm"]].isna().all()
    assert table.loc[1, ["difference", "low", "high"]].tolist() == [0.2, 0.1, 0.3]
    assert table.loc[0, ["difference", "low", "high"]].isna().all()
    assert table["claim"].tolist() == [
        "p (Holm) 0.2 and no interval over patients: not shown to differ, and nothing can be said for other patients",
        "p (Holm) 0.001 and the interval excludes 0: A scores higher than C on these patients' slides, on average"
        " over these trainings",
        "no slide that both were tested on: nothing can be said of a difference",
    ]


def test_systems_are_known_to_intervals_by_their_experiments():
    tests = pairs_of([("HookNet", "U-Net", "macro", 20, 20, 0.01, 0.9)])
    differences = pd.DataFrame(
        [("hooknet", "unet", "macro", 0.2, 0.1, 0.3)],
        columns=["first", "second", "class", "difference", "low", "high"],
    )
    row = claims(tests, differences, {"HookNet": "hooknet", "U-Net": "unet"}).iloc[0]
    assert (row["first"], row["difference"]) == ("HookNet", 0.2)
    assert row["claim"].endswith(
        "HookNet scores higher than U-Net on these patients' slides, under this training"
    )


def test_no_pairs_make_a_table_without_rows():
    table = claims(
        pairs_of([]), pd.DataFrame(columns=["first", "second", "class", "difference", "low", "high"])
    )
    assert table.empty
    assert tuple(table.columns) == CLAIMS
