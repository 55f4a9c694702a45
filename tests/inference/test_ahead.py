import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from hooknet.inference.ahead import in_order


def test_results_come_in_order_and_no_more_is_begun_than_said():
    begun, lock = [], threading.Lock()

    def work(item):
        with lock:
            begun.append(item)
        time.sleep(0.002 * (item % 3))
        return item * item

    with ThreadPoolExecutor(3) as pool:
        for number, found in enumerate(in_order(pool, work, range(20), 4)):
            assert found == number * number
            assert len(begun) <= number + 1 + 4
    assert sorted(begun) == list(range(20))


def test_after_an_error_what_has_not_begun_is_not_begun():
    begun = []

    def work(item):
        begun.append(item)
        if item == 2:
            raise ValueError("two")
        time.sleep(0.01)

    with ThreadPoolExecutor(1) as pool, pytest.raises(ValueError, match="two"):
        list(in_order(pool, work, range(100), 10))
    assert len(begun) < 6
