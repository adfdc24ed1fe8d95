"""Points and rectangles on a screen, in pixels from its top left corner."""

from __future__ import annotations

from typing import NamedTuple


class Point(NamedTuple):
    """A pixel position."""

    x: int
    y: int


class Region(NamedTuple):
    """A rectangle: left, top, width and height in pixels."""

    x: int
    y: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """First column to the right of the region."""
        return self.x + self.width

    @property
    def bottom(self) -> int:
        """First row below the region."""
        return self.y + self.height

    @property
    def centre(self) -> Point:
        """The pixel in the middle."""
        return Point(self.x + self.width // 2, self.y + self.height // 2)

    def grown(self, margin: int) -> Region:
        """Return the region with `margin` pixels more on every side (may leave the screen)."""
        return Region(
            self.x - margin, self.y - margin, self.width + 2 * margin, self.height + 2 * margin
        )

    def moved(self, dx: int, dy: int) -> Region:
        """Return the region shifted by (dx, dy) pixels."""
        return Region(self.x + dx, self.y + dy, self.width, self.height)

    def clipped(self, outer: Region) -> Region:
        """Return the part inside `outer`; width and height are 0 when there is none."""
        left, top = max(self.x, outer.x), max(self.y, outer.y)
        right, bottom = min(self.right, outer.right), min(self.bottom, outer.bottom)
        return Region(left, top, max(0, right - left), max(0, bottom - top))

    def contains(self, other: Region) -> bool:
        """Tell whether `other` lies fully inside this region."""
        return self.clipped(other) == other
