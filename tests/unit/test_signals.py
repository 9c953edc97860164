"""Who hears of a signal: everybody who listens, in order, whatever another one does."""

from structlog.testing import capture_logs

from vendetta.signals import Signal


def test_all_hear_in_order_until_they_stop() -> None:
    signal: Signal[int] = Signal("something happened")
    heard: list[tuple[str, int]] = []
    stop = signal.listen(lambda value: heard.append(("first", value)))
    signal.listen(lambda value: heard.append(("second", value)))
    signal.send(1)
    stop()
    stop()
    signal.send(2)
    assert heard == [("first", 1), ("second", 1), ("second", 2)]


def test_one_that_raises_is_logged_and_keeps_it_from_nobody() -> None:
    signal: Signal[int] = Signal("something happened")
    heard: list[int] = []
    signal.listen(lambda value: value / 0)
    signal.listen(heard.append)
    with capture_logs() as told:
        signal.send(1)
    assert heard == [1]
    assert [(line["log_level"], line["signal"]) for line in told] == [("error", "something happened")]


def test_one_that_stops_while_it_hears_takes_it_from_nobody() -> None:
    signal: Signal[int] = Signal("something happened")
    heard: list[int] = []
    stop = signal.listen(lambda value: stop())
    signal.listen(heard.append)
    signal.send(1)
    signal.send(2)
    assert heard == [1, 2]
