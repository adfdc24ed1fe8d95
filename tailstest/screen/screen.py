"""What a test sees of a machine: single looks and waits for what should be on its screen."""

from __future__ import annotations

from tailstest.core.deadline import Deadline, Watch
from tailstest.core.errors import UsageError
from tailstest.core.events import Events
from tailstest.core.evidence import EvidenceFolder
from tailstest.core.geometry import Region
from tailstest.screen.camera import Camera
from tailstest.screen.frame import Frame, FrameSource
from tailstest.screen.library import ReferenceLibrary
from tailstest.screen.look import Look
from tailstest.screen.matching import Matcher
from tailstest.screen.reader import Reader
from tailstest.screen.reference import Reference
from tailstest.screen.search_log import SearchLog
from tailstest.screen.stillness import Stillness, changed_region, is_blank
from tailstest.screen.text_line import TextLine
from tailstest.screen.text_look import TextLook
from tailstest.screen.text_wait import TextWait


class Screen:
    """The screen of one machine; `frame` may be called from any thread, the rest from one.

    Looks answer at once about what is on the screen now. Waits look again and again until the
    answer is the wanted one, and raise CheckFailed at their deadline. A frame that did not change
    is not searched again.

    Args:
        source: where frames come from.
        library: the reference images.
        events: hears about every search.
        evidence: where pictures of failed searches go.
        deadline_scale: factor of the host's slowness on every deadline.
        default_deadline: seconds a wait may take when the caller does not say, before scaling.
        reader: reads text; an own one by default.
    """

    def __init__(
        self,
        source: FrameSource,
        library: ReferenceLibrary,
        *,
        events: Events,
        evidence: EvidenceFolder,
        deadline_scale: float = 1.0,
        default_deadline: float = 30.0,
        reader: Reader | None = None,
    ) -> None:
        self.library = library
        self._camera = Camera(source, deadline_scale)
        self._log = SearchLog(events, evidence)
        self._scale = deadline_scale
        self._default = default_deadline
        self._reader = reader or Reader()
        self._matcher = Matcher()

    @property
    def watches(self) -> list[Watch]:
        """Failure conditions: called between two looks of every wait; one that raises ends it."""
        return self._camera.watches

    @property
    def last_frame(self) -> Frame | None:
        """The newest frame that was taken; it stays when the machine is gone."""
        return self._camera.last_frame

    def frame(self) -> Frame:
        """Take a picture of what is on the screen now.

        Raises:
            FrameIncomplete: every picture for some seconds was cut off.
            InfrastructureError: there is no picture; the machine is off.
        """
        return self._camera.frame()

    def look(self, name: str) -> Look:
        """Search the screen once for a reference, by its name or tag.

        Raises:
            UsageError: there is no such reference.
        """
        look = self._matcher.best(self.frame(), self._wanted(name))
        self._log.reference([name], look)
        return look

    def look_text(
        self,
        text: str,
        region: Region | None = None,
        threshold: float | None = None,
        *,
        patient: bool = True,
    ) -> TextLook:
        """Read the screen once and look for a text.

        Args:
            region: the part to read; all of the screen by default.
            threshold: share of the text that must be read right; see `text_match`.
            patient: ask the accurate engine too before saying that it is not there.
        """
        look = self._reader.look(
            self.frame(), text, region=region, threshold=threshold, patient=patient
        )
        self._log.text(text, look)
        return look

    def read(self, region: Region | None = None) -> list[TextLine]:
        """Return all text that can be read now, in screen coordinates."""
        return self._reader.read(self.frame(), region=region, patient=True)

    def wait_for(self, *names: str, within: float | None = None) -> Look:
        """Wait until any of some references is there.

        Args:
            names: names or tags of references.
            within: seconds, before scaling.

        Raises:
            CheckFailed: none was there in time; tells what was there instead, and keeps a
                candidate for a new reference.
            UsageError: there is no such reference.
        """
        wanted = self._wanted(*names)
        last: list[tuple[Frame, Look]] = []

        def search(frame: Frame) -> Look | None:
            look = self._matcher.best(frame, wanted)
            last[:] = [(frame, look)]
            return look if look.found else None

        deadline = self._deadline(within)
        found = self._camera.wait(search, deadline)
        if found is None:
            frame, look = last[0]
            reference = next(each for each in wanted if each.name == look.reference)
            raise self._log.not_found(names, frame, look, reference, deadline)
        self._log.reference(names, found)
        return found

    def wait_gone(self, name: str, within: float | None = None) -> None:
        """Wait until no reference of that name or tag is there.

        Raises:
            CheckFailed: it is still there at the deadline.
            UsageError: there is no such reference.
        """
        wanted = self._wanted(name)
        last: list[tuple[Frame, Look]] = []

        def search(frame: Frame) -> Look | None:
            look = self._matcher.best(frame, wanted)
            last[:] = [(frame, look)]
            return None if look.found else look

        deadline = self._deadline(within)
        if self._camera.wait(search, deadline) is None:
            raise self._log.still_there(name, *last[0], deadline)

    def wait_text(
        self,
        text: str,
        *,
        region: Region | None = None,
        within: float | None = None,
        threshold: float | None = None,
    ) -> TextLook:
        """Wait until a text can be read.

        Args:
            region: the part of the screen to read; small is quick.
            within: seconds, before scaling.
            threshold: share of the text that must be read right; digits always must.

        Raises:
            CheckFailed: it could not be read in time; tells all that was read.
        """
        look, deadline = self._wait_text(text, True, region, within, threshold)
        if not look.found:
            raise self._log.text_not_found(self._camera.newest, look, deadline)
        self._log.text(text, look)
        return look

    def wait_text_gone(
        self,
        text: str,
        *,
        region: Region | None = None,
        within: float | None = None,
        threshold: float | None = None,
    ) -> None:
        """Wait until neither engine can read a text any more; see `wait_text`.

        Raises:
            CheckFailed: it can still be read at the deadline.
        """
        look, deadline = self._wait_text(text, False, region, within, threshold)
        if look.found:
            raise self._log.text_still_there(self._camera.newest, look, deadline)

    def wait_change(
        self,
        *,
        region: Region | None = None,
        within: float | None = None,
        since: Frame | None = None,
    ) -> Frame:
        """Wait until the screen, or a part of it, differs from an earlier frame.

        Args:
            since: the frame to compare with. Take it before pressing a key, so that a quick
                change is not missed; without it, the first frame of the wait is the one.

        Raises:
            CheckFailed: nothing changed in time.
        """
        deadline = self._deadline(within)
        changed = self._first_change(since or self.frame(), region, deadline)
        if changed is None:
            what = "the screen to change, but nothing moved"
            raise self._log.failed(self._camera.newest, "unchanged", what, deadline)
        return changed

    def reacts(self, since: Frame, *, within: float, region: Region | None = None) -> bool:
        """Tell whether the screen changes in time; no change is no error here.

        For pacing: press a key, see whether it did something, press again.
        """
        return self._first_change(since, region, self._deadline(within)) is not None

    def wait_still(
        self,
        *,
        seconds: float,
        region: Region | None = None,
        within: float | None = None,
        refuse_blank: bool = False,
    ) -> Frame:
        """Wait until nothing has moved for some time; a blinking caret does not count.

        Stillness does not prove that a screen is ready: a desktop is still before it paints.

        Args:
            seconds: for how long, not scaled.
            within: seconds for all of it, before scaling; by default `seconds` more than usual.
            refuse_blank: a screen of a single colour does not count as still.

        Raises:
            CheckFailed: something kept moving, or the screen stayed blank.
            UsageError: `within` is too short for `seconds`.
        """
        if within is not None and within * self._scale < seconds:
            raise UsageError(f"a screen cannot be still for {seconds:g} s within {within:g} s")
        stillness = Stillness(region)

        def search(frame: Frame) -> Frame | None:
            is_still = stillness.seconds(frame) >= seconds
            return frame if is_still and not (refuse_blank and is_blank(frame)) else None

        deadline = self._deadline(self._default + seconds if within is None else within)
        still = self._camera.wait(search, deadline, even_unchanged=True)
        if still is None:
            is_empty = refuse_blank and is_blank(self._camera.newest)
            why = "it stayed blank" if is_empty else "something kept moving"
            what = f"the screen to be still for {seconds:g} s, but {why}"
            raise self._log.failed(self._camera.newest, "not still", what, deadline)
        return still

    def wait_not_blank(self, within: float | None = None) -> Frame:
        """Wait until the screen shows more than one colour (a cursor alone does not count).

        Raises:
            CheckFailed: it stayed blank.
        """
        deadline = self._deadline(within)
        frame = self._camera.wait(lambda frame: None if is_blank(frame) else frame, deadline)
        if frame is None:
            what = "something to appear, but the screen stayed blank"
            raise self._log.failed(self._camera.newest, "blank", what, deadline)
        return frame

    def close(self) -> None:
        """Stop reading; the last frame stays available."""
        self._reader.close()

    def _wanted(self, *names: str) -> list[Reference]:
        found = {each.name: each for name in names for each in self.library.wanted(name)}
        if not found:
            raise UsageError(
                "no name of a picture to wait for was given",
                hint="the first row of a table is its heading",
            )
        return list(found.values())

    def _deadline(self, within: float | None) -> Deadline:
        return Deadline.after(self._default if within is None else within, scale=self._scale)

    def _first_change(
        self, since: Frame, region: Region | None, deadline: Deadline
    ) -> Frame | None:
        def search(frame: Frame) -> Frame | None:
            return frame if changed_region(since, frame, region) is not None else None

        return self._camera.wait(search, deadline)

    def _wait_text(
        self,
        text: str,
        present: bool,
        region: Region | None,
        within: float | None,
        threshold: float | None,
    ) -> tuple[TextLook, Deadline]:
        deadline = self._deadline(within)
        wait = TextWait(
            self._reader, text, deadline, present=present, region=region, threshold=threshold
        )
        self._camera.wait(wait.look, deadline, even_unchanged=True)
        return wait.last_chance(self._camera.newest, self.watches), deadline
