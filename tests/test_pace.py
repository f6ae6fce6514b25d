"""How often somebody may do something: counted with a clock of the test's own."""

from hypothesis import given
from hypothesis import strategies as st

from server import pace
from server.pace import Pace


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def test_so_many_in_so_long_and_not_one_more():
    clock = Clock()
    kept = Pace(3, 60, clock=clock)
    assert [kept.take("a") for _ in range(3)] == [0, 0, 0]
    assert kept.take("a") == kept.wait("a") == 61
    clock.now += 59
    assert kept.take("a") == 2
    assert kept.take("b") == 0
    clock.now += 1
    assert [kept.take("a") for _ in range(4)] == [0, 0, 0, 61]


def test_looking_counts_nothing():
    kept = Pace(1, 60, clock=Clock())
    assert [kept.wait("a") for _ in range(5)] == [0] * 5
    assert kept.take("a") == 0 and kept.wait("a") > 0


def test_memory_is_bounded_and_the_newest_stay(monkeypatch):
    monkeypatch.setattr(pace, "MAX_KEYS", 10)
    kept = Pace(1, 60, clock=Clock())
    for n in range(100):
        kept.take(n)
    assert kept.wait(99) > 0 and kept.wait(0) == 0
    assert len(kept._seen) <= 10


@given(st.lists(st.floats(0, 30), max_size=40), st.integers(1, 5))
def test_in_no_window_more_than_allowed(steps, times):
    clock, taken = Clock(), []
    kept = Pace(times, 60, clock=clock)
    for step in steps:
        clock.now += step
        if kept.take("a") == 0:
            taken.append(clock.now)
    for start in taken:
        assert sum(start <= t < start + 60 for t in taken) <= times
