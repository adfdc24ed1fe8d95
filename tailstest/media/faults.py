"""What may be wrong with a medium: places that cannot be read or written, and a false size."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tailstest.core.errors import UsageError
from tailstest.core.settings import Strict

#: Bytes of a sector; less than one cannot be bad.
SECTOR = 512

#: Least that a medium keeps, in bytes: what a stick of the smallest size has.
SMALLEST_KEPT = 1 << 20

#: Most places of one kind; each is looked at for every request.
MOST_PLACES = 64

#: Begin and end of a place in bytes; the end is the first byte that is no longer part of it.
Place = tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(gt=0)]]
Places = Annotated[tuple[Place, ...], Field(max_length=MOST_PLACES)]


class Faults(Strict):
    """The faults of one medium; without arguments it has none.

    Attributes:
        unreadable: places where reading fails, as on worn-out flash memory.
        unwritable: places where writing fails.
        kept: bytes from the beginning that the medium really has; 0: all that it says.
        beyond: what becomes of what is written behind them, without any error: it is lost, and
            zeros are read there; or it is written over what is at the beginning, again and again,
            as by a controller that does not decode the upper bits of an address.
    """

    unreadable: Places = ()
    unwritable: Places = ()
    kept: Annotated[int, Field(ge=0)] = 0
    beyond: Literal["lost", "wraps"] = "lost"

    def __bool__(self) -> bool:
        """Tell whether there is any fault."""
        return bool(self.unreadable or self.unwritable or self.kept)

    def with_place(self, kind: Literal["unreadable", "unwritable"], start: int, end: int) -> Faults:
        """Return these faults and one more bad place.

        Args:
            start, end: in bytes; sectors of which only a part is in between are bad as a whole.

        Raises:
            UsageError: the place is empty, or there are too many.
        """
        if end <= start:
            raise UsageError(
                f"a bad place from byte {start} to byte {end} is empty",
                hint='it ends behind where it starts: "from 16 MiB to 17 MiB"',
            )
        places = (*getattr(self, kind), (_down(start), _down(end + SECTOR - 1)))
        if len(places) > MOST_PLACES:
            raise UsageError(f"a medium can have {MOST_PLACES} bad places of a kind, not more")
        return self.model_copy(update={kind: places})

    def with_kept(self, kept: int, beyond: Literal["lost", "wraps"]) -> Faults:
        """Return these faults and a size that is a lie.

        Args:
            kept: bytes that it really has.

        Raises:
            UsageError: less than `SMALLEST_KEPT`.
        """
        if kept < SMALLEST_KEPT:
            raise UsageError(f"a medium cannot keep only {kept} bytes", hint="keep 1 MiB or more")
        return self.model_copy(update={"kept": _down(kept), "beyond": beyond})

    def check_within(self, size: int) -> None:
        """Raise unless a medium can have these faults.

        Args:
            size: that the medium says it has, in bytes.

        Raises:
            UsageError: a place reaches beyond its end, or it keeps all that it says.
        """
        for start, end in (*self.unreadable, *self.unwritable):
            if end > size:
                raise UsageError(
                    f"a bad place from byte {start} to byte {end} reaches beyond the end of the "
                    f"medium, which has {size} bytes",
                    hint="choose a place that lies on it, or a larger medium",
                )
        if self.kept >= size > 0:
            raise UsageError(
                f"a medium of {size} bytes that keeps the first {self.kept} does not lie",
                hint="let it keep less than its size",
            )


#: What a good medium has.
NO_FAULTS = Faults()


def _down(number: int) -> int:
    return number // SECTOR * SECTOR
