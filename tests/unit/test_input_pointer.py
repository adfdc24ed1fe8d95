"""The pointer: where it goes, what it presses, and that nothing stays pressed."""

import time

import pytest

from tailstest.core.errors import InfrastructureError, UsageError
from tailstest.core.geometry import Point
from tailstest.input.pace import Pace
from tailstest.input.pointer import Pointer

SIZE = (800, 600)
PARKED = ("move", 799, 450)


class Recorder:
    """A machine that writes down what it gets, and may stop taking moves."""

    def __init__(self) -> None:
        self.events: list[tuple[object, ...]] = []
        self.moves_left = 1000

    def move_to(self, x: int, y: int) -> None:
        self.moves_left -= 1
        if self.moves_left < 0:
            raise InfrastructureError("the machine takes no input")
        self.events.append(("move", x, y))

    def set_button(self, button: str, down: bool) -> None:
        self.events.append((button, down))

    def scroll(self, steps: int) -> None:
        self.events.append(("scroll", steps))


@pytest.fixture
def machine() -> Recorder:
    return Recorder()


@pytest.fixture
def pointer(machine: Recorder) -> Pointer:
    return Pointer(machine, lambda: SIZE, pace=Pace(0.0005, 0.0005), rest=lambda: 0.0)


def test_a_click_moves_presses_releases_and_parks(machine: Recorder, pointer: Pointer) -> None:
    pointer.click(Point(10, 20))
    assert machine.events == [("move", 10, 20), ("left", True), ("left", False), PARKED]


class SlowTablet(Recorder):
    """QEMU's tablet, read by a guest only every `period` seconds.

    Until it is read, an event with the same buttons becomes part of the one before.
    """

    def __init__(self, period: float) -> None:
        super().__init__()
        self._period = period
        self._buttons: frozenset[str] = frozenset()
        self._place = (0, 0)
        self._read_at = 0.0
        #: What the guest gets: place and pressed buttons.
        self.got: list[tuple[tuple[int, int], frozenset[str]]] = []

    def move_to(self, x: int, y: int) -> None:
        self._place = (x, y)
        self._put()

    def set_button(self, button: str, down: bool) -> None:
        self._buttons = self._buttons | {button} if down else self._buttons - {button}
        self._put()

    def _put(self) -> None:
        now = time.monotonic()
        is_unread = self.got and now // self._period == self._read_at // self._period
        self._read_at = now
        if is_unread and self.got[-1][1] == self._buttons:
            self.got.pop()
        self.got.append((self._place, self._buttons))


def test_a_button_comes_up_where_it_was_pressed_however_slowly_a_guest_looks() -> None:
    tablet = SlowTablet(period=0.1)
    pointer = Pointer(tablet, lambda: SIZE, pace=Pace(0.005, 0.005))
    for place in [(10, 20), (30, 40)]:
        tablet.got.clear()
        pointer.click(Point(*place), count=2)
        pressed, nothing = frozenset({"left"}), frozenset()
        assert tablet.got[-5:-1] == [(place, pressed), (place, nothing)] * 2
        assert tablet.got[-1] == (PARKED[1:], nothing)


@pytest.mark.parametrize("button", ["left", "middle", "right"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_every_button_clicks_as_often_as_asked(
    machine: Recorder, pointer: Pointer, button: str, count: int
) -> None:
    pointer.click(Point(1, 1), button, count, park=False)
    assert machine.events[1:] == [(button, True), (button, False)] * count


def test_the_same_place_twice_takes_a_detour(machine: Recorder, pointer: Pointer) -> None:
    for place in (Point(100, 100), Point(0, 0), Point(799, 599)):
        machine.events.clear()
        pointer.move(place)
        pointer.move(place)
        first, detour, last = machine.events
        assert first == last == ("move", *place)
        assert detour != first
        assert 0 <= int(str(detour[1])) < 800


def test_parking_avoids_the_corners_and_can_be_chosen(machine: Recorder, pointer: Pointer) -> None:
    pointer.park()
    Pointer(machine, lambda: SIZE, parking=(0.5, 1.0)).park()
    assert machine.events == [PARKED, ("move", 400, 599)]


def test_parking_follows_the_size_of_the_screen(machine: Recorder) -> None:
    sizes = iter([(720, 400), (720, 400), (1280, 800), (1280, 800)])
    pointer = Pointer(machine, lambda: next(sizes))
    pointer.park()
    pointer.park()
    assert machine.events == [("move", 719, 300), ("move", 1279, 600)]


def test_a_drag_goes_in_steps_with_the_button_down(machine: Recorder, pointer: Pointer) -> None:
    pointer.drag(Point(0, 0), Point(120, 60), park=False)
    assert machine.events[:2] == [("move", 0, 0), ("left", True)]
    assert machine.events[-2:] == [("move", 120, 60), ("left", False)]
    steps = machine.events[2:-1]
    assert len(steps) >= 10
    assert all(kind == "move" for kind, *_ in steps)


def test_the_button_comes_up_when_a_drag_breaks(machine: Recorder, pointer: Pointer) -> None:
    machine.moves_left = 4
    with pytest.raises(InfrastructureError, match="takes no input"):
        pointer.drag(Point(0, 0), Point(100, 100), "right")
    assert machine.events[-1] == ("right", False)


@pytest.mark.parametrize("steps", [3, -2, 0])
def test_the_wheel_turns_step_by_step(machine: Recorder, pointer: Pointer, steps: int) -> None:
    pointer.scroll(steps)
    assert machine.events == [("scroll", 1 if steps > 0 else -1)] * abs(steps)


def test_the_wheel_turns_at_a_place(machine: Recorder, pointer: Pointer) -> None:
    pointer.scroll(1, at=Point(5, 6))
    assert machine.events == [("move", 5, 6), ("scroll", 1)]


@pytest.mark.parametrize("place", [(-1, 0), (0, -1), (800, 0), (0, 600), (10_000, 10_000)])
def test_a_place_outside_the_screen_is_refused(
    machine: Recorder, pointer: Pointer, place: tuple[int, int]
) -> None:
    inside = Point(1, 1)
    for action in (
        lambda: pointer.move(Point(*place)),
        lambda: pointer.click(Point(*place)),
        lambda: pointer.scroll(1, at=Point(*place)),
        lambda: pointer.drag(inside, Point(*place)),
        lambda: pointer.drag(Point(*place), inside),
    ):
        with pytest.raises(UsageError, match="outside the screen of 800x600"):
            action()
    assert machine.events == []


def test_unknown_buttons_and_counts_are_refused(machine: Recorder, pointer: Pointer) -> None:
    with pytest.raises(UsageError, match="no pointer button 'Left'"):
        pointer.click(Point(1, 1), "Left")
    with pytest.raises(UsageError, match="no pointer button 'up'"):
        pointer.drag(Point(1, 1), Point(2, 2), "up")
    with pytest.raises(UsageError, match="0 times"):
        pointer.click(Point(1, 1), count=0)
    assert machine.events == []
