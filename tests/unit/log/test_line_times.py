from __future__ import annotations

from nixfleet_core.log.line_times import LineTimes


def test_a_line_has_the_first_time_at_which_its_byte_was_there() -> None:
    times = LineTimes()
    for at, size in ((100, 10), (105, 10), (107, 30), (104, 40)):
        times.add_time(at, size)
    found = [times.time_of(offset) for offset in (0, 9, 10, 29, 35, 40)]
    assert found == [100, 100, 107, 107, 107, None]


def test_lines_from_before_the_look_have_no_time() -> None:
    times = LineTimes()
    times.skip(20)
    times.add_time(100, 20)
    times.add_time(103, 30)
    assert [times.time_of(offset) for offset in (0, 19, 20, 29)] == [None, None, 103, 103]


def test_lines_without_a_known_time_have_none() -> None:
    times = LineTimes()
    times.add_time(100, 20)
    times.skip(30)
    times.add_time(90, 40)
    assert [times.time_of(offset) for offset in (19, 20, 29, 30)] == [100, None, None, 90]


def test_many_times_cost_little_memory_and_old_lines_count_as_a_little_later() -> None:
    times = LineTimes()
    for at in range(200_000):
        times.add_time(at, at + 1)
    assert len(times._sizes) == len(times._times) < 64 * 1024
    late = [(times.time_of(offset) or 0) - offset for offset in range(0, 200_000, 1000)]
    assert (min(late), max(late)) == (0, 31)
