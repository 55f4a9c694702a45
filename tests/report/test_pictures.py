from hooknet.evaluation.windows import Rated
from hooknet.report.pictures import chosen


def rated(f1, classes=2, row=0):
    return Rated(0, row, 1000, classes, f1)


def test_the_worst_come_first_and_at_most_two_are_of_one_slide():
    found = chosen(
        {
            ("run", "a"): [rated(0.1), rated(0.2), rated(0.3), rated(0.9)],
            ("run", "b"): [rated(0.25), rated(0.8)],
            ("run", "c"): [rated(0.85)],
        },
        "worst",
    )
    assert [(key[1], one.f1) for key, one in found] == [("a", 0.1), ("a", 0.2), ("b", 0.25), ("b", 0.8)]


def test_the_best_have_many_classes_and_are_none_of_the_worst():
    windows = {
        ("run", "a"): [rated(0.1, 3), rated(0.95, 3), rated(1.0, 1)],
        ("run", "b"): [rated(0.2, 2), rated(0.9, 2), rated(0.7, 2)],
    }
    assert [one.f1 for _, one in chosen(windows, "worst")] == [0.1, 0.2, 0.7, 0.95]
    assert [one.f1 for _, one in chosen(windows, "best")] == [0.9, 1.0]


def test_one_window_alone_is_the_worst_and_not_the_best_too():
    windows = {("run", "a"): [rated(0.5)]}
    assert len(chosen(windows, "worst")) == 1
    assert chosen(windows, "best") == []
