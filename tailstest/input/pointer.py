"""The pointer of a machine: absolute, and out of the way when it is not used."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Literal

from tailstest.core.deadline import pause
from tailstest.core.errors import InfrastructureError, UsageError
from tailstest.core.geometry import Point
from tailstest.input.pace import Pace, Pacer
from tailstest.input.sinks import PointerSink

Button = Literal["left", "middle", "right"]
BUTTONS: tuple[Button, ...] = ("left", "middle", "right")

#: Where the pointer rests, as fractions of width and height. On the rightmost column nearly all
#: of an arrow is off the screen; corners trigger things in desktops (GNOME top left, KDE top
#: left, Xfce and others bottom right), and the lower half holds fewer bars than the upper one.
PARKING = (1.0, 0.75)

#: Buttons are held as briefly as desktops still notice. Two clicks at this pace are 80 ms apart,
#: well below the shortest double-click time in use (250 ms in Qt, 400 ms in GTK).
CLICK_PACE = Pace(hold=0.04, gap=0.04)

#: Seconds, before scaling, that the pointer stays where a button was released. What a guest has not
#: fetched yet, QEMU's tablet puts together (hw/input/hid.c, hid_pointer_sync): a movement right
#: behind a release becomes part of it, so that the button comes up elsewhere, and nothing was
#: clicked. Guests fetch every few milliseconds, and emulated ones under load were seen to take more
#: than 40.
REST = 0.2

#: Steps of a drag: toolkits begin one only after the pointer moved some pixels (GTK: 8), so that
#: a single jump may be taken for a click.
_DRAG_STEPS = 12

#: Pixels of the detour when the pointer is already where it should go.
_DETOUR = 5


class Pointer:
    """Points and clicks at a machine.

    Args:
        sink: takes the events.
        screen_size: tells width and height of the screen as it is now, in pixels.
        pace: how long buttons are held, and the gap between two events.
        parking: where `park` goes, as fractions of width and height.
        rest: returns the seconds that it stays where a button was released; see `REST`.
    """

    def __init__(
        self,
        sink: PointerSink,
        screen_size: Callable[[], tuple[int, int]],
        *,
        pace: Pace = CLICK_PACE,
        parking: tuple[float, float] = PARKING,
        rest: Callable[[], float] = lambda: REST,
    ) -> None:
        self._sink = sink
        self._screen_size = screen_size
        self._pace = pace
        self._parking = parking
        self._pacer = Pacer()
        self._rest = rest
        self._resting = Pacer()
        self._position: Point | None = None

    @property
    def position(self) -> Point | None:
        """Where the pointer was put last; None before the first move."""
        return self._position

    def move(self, point: Point) -> None:
        """Put the pointer on a pixel; by a detour if it is there already.

        Machines drop an absolute event that changes nothing, and a guest that did not look at
        the first one would never hear of the second.

        Raises:
            UsageError: the point is outside the screen.
            InfrastructureError: the machine takes no events.
        """
        target = self._inside(point)
        if target == self._position:
            away = target.x - _DETOUR if target.x >= _DETOUR else target.x + _DETOUR
            self._move(self._clipped(Point(away, target.y)))
        self._move(target)

    def click(
        self, point: Point, button: str = "left", count: int = 1, *, park: bool = True
    ) -> None:
        """Click on a pixel, `count` times quickly (2 is a double click), then park the pointer.

        Args:
            park: False leaves the pointer there (for menus that close when it leaves them).

        Raises:
            UsageError: outside the screen, an unknown button, or `count` below 1.
            InfrastructureError: the machine takes no events.
        """
        _check_button(button)
        if count < 1:
            raise UsageError(f"the pointer cannot click {count} times")
        self.move(point)
        for _ in range(count):
            with self._pressed(button):
                pause(self._pace.hold)
        if park:
            self.park()

    def drag(self, start: Point, end: Point, button: str = "left", *, park: bool = True) -> None:
        """Press on one pixel, move in small steps to another and release there.

        The button is released even when something goes wrong on the way.

        Raises:
            UsageError: a point outside the screen, or an unknown button.
            InfrastructureError: the machine takes no events.
        """
        _check_button(button)
        self._inside(end)
        self.move(start)
        with self._pressed(button):
            pause(self._pace.hold)
            for step in range(1, _DRAG_STEPS + 1):
                share = step / _DRAG_STEPS
                self._move(
                    Point(
                        round(start.x + (end.x - start.x) * share),
                        round(start.y + (end.y - start.y) * share),
                    )
                )
            # What is dropped on must have noticed the pointer before the button goes up.
            pause(self._pace.hold)
        if park:
            self.park()

    def scroll(self, steps: int, at: Point | None = None) -> None:
        """Turn the wheel, downwards when `steps` is positive, where the pointer is or at `at`.

        Raises:
            UsageError: `at` is outside the screen.
            InfrastructureError: the machine takes no events.
        """
        if at is not None:
            self.move(at)
        for _ in range(abs(steps)):
            self._pacer.wait_turn()
            self._sink.scroll(1 if steps > 0 else -1)
            self._pacer.released(self._pace.gap)

    def park(self) -> None:
        """Put the pointer where it covers nothing and triggers nothing: the right edge."""
        width, height = self._screen_size()
        across, down = self._parking
        self._move(self._clipped(Point(int(width * across), int(height * down))))

    @contextmanager
    def _pressed(self, button: str) -> Iterator[None]:
        self._pacer.wait_turn()
        try:
            self._sink.set_button(button, True)
            yield
        except BaseException:
            # What went wrong is what counts, not that a dead machine takes no release.
            with suppress(InfrastructureError):
                self._sink.set_button(button, False)
            raise
        self._sink.set_button(button, False)
        self._pacer.released(self._pace.gap)
        self._resting.released(self._rest())

    def _move(self, target: Point) -> None:
        self._resting.wait_turn()
        self._pacer.wait_turn()
        self._sink.move_to(target.x, target.y)
        self._position = target
        self._pacer.released(self._pace.gap)

    def _clipped(self, point: Point) -> Point:
        width, height = self._screen_size()
        return Point(max(0, min(point.x, width - 1)), max(0, min(point.y, height - 1)))

    def _inside(self, point: Point) -> Point:
        width, height = self._screen_size()
        if not (0 <= point[0] < width and 0 <= point[1] < height):
            raise UsageError(
                f"the point {point[0]},{point[1]} is outside the screen of {width}x{height} pixels",
                hint="count from 0,0 at the top left; did the screen change its resolution?",
            )
        return Point(*point)


def _check_button(button: str) -> None:
    if button not in BUTTONS:
        raise UsageError(f"there is no pointer button {button!r}", hint=f"use {', '.join(BUTTONS)}")
