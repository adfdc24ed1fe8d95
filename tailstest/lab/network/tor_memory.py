"""What the relays of a Tor network know once it works, kept for the labs that come after.

Relays that begin with nothing have to publish themselves and wait for a vote: ten seconds at least.
With what they knew in an earlier lab, a consensus above all, they serve clients at once, and vote
while these are being served. The lab's own client, which tries whether it works, has a consensus of
then as well: it asks for one in steps of whole seconds. Clients take a consensus that ended less
than 24 hours ago (REASONABLY_LIVE_TIME in tor's networkstatus.c).
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from tailstest.core.folder_digest import digest_of_folder
from tailstest.lab.network.kept_keys import kept_folder

#: Seconds of a period: what is learned in one is used in it and in the next one. Both together are
#: well below tor's 24 hours.
PERIOD = 6 * 3600
#: What belongs to a process and not to the relay.
_OF_THE_PROCESS = shutil.ignore_patterns("lock", "torrc")
#: File with the digests of the relays' folders.
_SUM = "sha256"


class TorMemory:
    """The folders of the relays, as they were when a network like this one worked.

    Args:
        cache: folder that keeps them; private.
        lines: what says which authorities these are; others have a memory of their own.
        now: the present time, seconds since 1970.
    """

    def __init__(
        self, cache: Path, lines: Sequence[str], *, now: Callable[[], float] = time.time
    ) -> None:
        self._cache = cache
        self._key = "network-" + hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
        self._now = now

    def recall(self, folders: Mapping[str, Path]) -> bool:
        """Give each relay what it knew; tell whether that is known. Drop it if it is damaged.

        Args:
            folders: name of each relay to its folder, which must not be there yet.
        """
        for number in self._periods():
            kept = self._of(number)
            if not kept.is_dir():
                continue
            if _is_whole(kept, folders):
                for name, folder in folders.items():
                    shutil.copytree(kept / name, folder)
                return True
            shutil.rmtree(kept, ignore_errors=True)
        return False

    def keep(self, folders: Mapping[str, Path]) -> None:
        """Keep what the relays know, unless somebody did in this period; drop what is too old."""

        def copy(building: Path) -> None:
            for name, folder in folders.items():
                shutil.copytree(folder, building / name, ignore=_OF_THE_PROCESS)
            (building / _SUM).write_text(_digest(building, folders))

        kept_folder(self._of(self._periods()[0]), copy)
        recent = {self._of(number) for number in self._periods()}
        for old in set(self._cache.glob(f"{self._key}-*")) - recent:
            shutil.rmtree(old, ignore_errors=True)

    def _periods(self) -> tuple[int, int]:
        present = int(self._now() // PERIOD)
        return present, present - 1

    def _of(self, number: int) -> Path:
        return self._cache / f"{self._key}-{number}"


def _digest(kept: Path, names: Iterable[str]) -> str:
    return "".join(f"{name} {digest_of_folder(kept / name)}\n" for name in names)


def _is_whole(kept: Path, names: Iterable[str]) -> bool:
    try:
        return (kept / _SUM).read_text(encoding="ascii") == _digest(kept, names)
    except (OSError, UnicodeDecodeError):
        return False
