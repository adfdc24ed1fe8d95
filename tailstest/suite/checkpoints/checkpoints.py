"""Lets scenarios with the same beginning share it: saved after one, taken up by the others."""

from __future__ import annotations

import errno
import os
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tailstest.core.errors import CheckFailed, InfrastructureError, TailstestError
from tailstest.core.events import Events, Noted
from tailstest.core.text import printable
from tailstest.core.verdict import Verdict
from tailstest.guest.errors import GuestUnreachable
from tailstest.machine.saved_machine import MachineAtRest, MachineLost, MachineRefused
from tailstest.suite.checkpoints.at_hand import AtHand, Whole
from tailstest.suite.checkpoints.keys import keys_of, leading_steps
from tailstest.suite.checkpoints.manifest import Manifest
from tailstest.suite.checkpoints.packing import CheckpointDamaged
from tailstest.suite.checkpoints.restable import Restable
from tailstest.suite.checkpoints.savings import Costs, Savings
from tailstest.suite.checkpoints.state import CheckpointStale
from tailstest.suite.checkpoints.store import CheckpointStore
from tailstest.suite.checkpoints.traces import Traces
from tailstest.suite.feature_reader import PlannedScenario
from tailstest.suite.plan import Plan

#: Tags of scenarios that never use a checkpoint, and that save one behind their leading steps.
FORBID_TAG = "no-checkpoint"
FORCE_TAG = "checkpoint"

#: Trouble that a checkpoint would bring again: what is not as it was saved, and what was saved in
#: such a moment that the machine, or somebody inside, cannot go on.
_LASTING = (CheckpointDamaged, CheckpointStale, CheckFailed)

#: Trouble that a checkpoint or a busy host may be to blame for; the same again, it is the former.
_DOUBTFUL = (MachineRefused, GuestUnreachable)

#: Beginnings whose machines could not be saved, until a run gives up: then it is not their devices.
_MOST_UNSAVABLE = 3

#: How the system, libvirt and cp put it that a disk is full. Where the language of libvirt's helper
#: is another one, a full disk is tried `_MOST_UNSAVABLE` times.
_FULL = os.strerror(errno.ENOSPC)


class Checkpoints:
    """Follows the leading steps of each scenario.

    Args:
        plan: what will run.
        session: whose machines are saved.
        store: where checkpoints are kept.
        events: told what was saved and taken up.
        base: digest of everything that all checkpoints of this run depend on.
        slowness: of the host, a factor.
        work: folder for unpacked checkpoints; removed at the end.
        for_later: whether long beginnings are saved that only later runs are spared. Not where a
            scenario is repeated to see whether it is reliable: each attempt shall start anew.
    """

    def __init__(
        self,
        plan: Plan,
        session: Restable,
        store: CheckpointStore,
        events: Events,
        *,
        base: str,
        slowness: float,
        work: Path,
        for_later: bool = True,
    ) -> None:
        self._session = session
        self._store = store
        self._events = events
        self._costs = Costs.on(slowness)
        self._chains = {
            scenario.id: keys_of(scenario, plan, base)
            for scenario in plan.scenarios
            if FORBID_TAG not in scenario.tags
            and scenario.id not in plan.undefined
            and not scenario.is_manual
        }
        self._savings = Savings(self._chains)
        self._for_later = for_later
        self._at_hand = AtHand(work, store, session.own)
        self._is_broken = False
        self._private: set[str] = set()
        self._unsavable: set[str] = set()
        self._has_told_of_hooks = False
        self._scenario: PlannedScenario | None = None
        self._chain: list[str] = []
        self._run_began = time.time()  # that of files, which tell when checkpoints were used
        self._since = 0.0
        self._gone_on = 0
        self._traces: Traces | None = None

    @property
    def chains(self) -> Mapping[str, Sequence[str]]:
        """Scenario id to one key for each of its leading steps; see `keys_of`."""
        return self._chains

    def is_saved(self, key: str) -> bool:
        """Tell whether there is a checkpoint of this key by now."""
        return key in self._store

    def begin(self, scenario: PlannedScenario) -> None:
        """Note that a scenario begins."""
        self._scenario = scenario
        self._chain = self._chains.get(scenario.id, [])
        self._since = time.monotonic()
        self._gone_on = 0
        self._traces = None
        self._savings.begin(scenario.id)

    def wrapped(self, index: int, run: Callable[[Any], None]) -> Callable[[Any], None]:
        """Return what to do for a step: itself, or going on from a checkpoint behind it.

        Args:
            index: of the step among all of its scenario.
            run: what the step would do, given behave's context.
        """

        def perform(context: Any) -> None:
            if index == 0 and self._chain:
                self._traces = Traces.of(context)
                if self._session.is_bare:
                    self._go_on()
                else:
                    self._stand_aside()
            if index >= self._gone_on:
                run(context)

        return perform

    def end(self) -> None:
        """Neither save nor go on any more: a person had a hand in the machine or in the steps."""
        self._is_broken = True
        self._chain, self._chains = [], {}

    def is_behind(self, index: int) -> bool:
        """Tell whether the machine is further than a step: its picture would show another time."""
        return index + 1 < self._gone_on

    def after_step(self, index: int, verdict: Verdict, context: Any) -> None:
        """Save a checkpoint if the step was a leading one and saving pays.

        Raises:
            MachineLost: the machine was saved, but does not run on.
        """
        scenario = self._scenario
        if scenario is None or verdict is not Verdict.PASSED or self._is_broken:
            return
        if not self._gone_on <= index < len(self._chain):
            return
        seconds = time.monotonic() - self._since
        if not self._is_wanted(scenario, index, seconds):
            return
        key = self._chain[index]
        if key in self._at_hand or key in self._store or not self._is_shared(key, context):
            return
        if not self._unsavable.isdisjoint(self._chain[: index + 1]):
            return
        self._save(key, scenario, index, seconds)

    def _is_wanted(self, scenario: PlannedScenario, index: int, seconds: float) -> bool:
        """Tell whether a checkpoint behind a leading step pays, or somebody wants one in any case.

        Args:
            seconds: that it took to get here, from the start or from an earlier checkpoint.
        """
        if self._savings.pays(scenario.id, index, seconds, self._costs):
            return True
        if index + 1 < len(self._chain):
            return False
        if FORCE_TAG in scenario.tags:
            return True
        # For later runs. One that is nothing but its beginning would do nothing in them.
        if not self._for_later:
            return False
        is_all = index + 1 == len(list(scenario.model.all_steps))
        is_cheap = not is_all and self._costs.are_small_beside(seconds)
        return is_cheap and self._store.has_room(self._run_began)

    def _is_shared(self, key: str, context: Any) -> bool:
        """Tell whether steps have put nothing into behave's context; nobody could save that.

        What they once did they do again, also where it changes nothing: in a list of the whole run
        may stand already what they would put there.
        """
        if self._traces is None or not self._traces.is_left_as_it_was(context):
            self._private.add(key)
        return key not in self._private

    def close(self) -> None:
        """Remove what was unpacked."""
        self._at_hand.close()

    # Going on

    def _stand_aside(self) -> None:
        """Leave a scenario alone that began with more than its steps say.

        A hook may go by a tag, or by anything: what it did is in no key, and a checkpoint would
        take the place of it.
        """
        self._chain = []
        if not self._has_told_of_hooks:
            self._has_told_of_hooks = True
            self._note(
                "no checkpoint is used or saved where a hook has set something up before the first "
                "step, as here"
            )

    def _go_on(self) -> None:
        for index in reversed(range(len(self._chain))):
            key = self._chain[index]
            if key in self._at_hand or key in self._store:
                try:
                    self._take_up(key, index)
                except TailstestError as error:
                    # Whatever it is: it says nothing about the image, which starts anew.
                    self._give_up(key, error)
                    if isinstance(error, _LASTING):
                        self._store.discard(key)
                    elif isinstance(error, _DOUBTFUL):
                        self._store.doubt(key)
                except Exception as error:  # noqa: BLE001 - nor does this, and it is told
                    # What was saved is not what we take it for.
                    self._give_up(key, error)
                    self._store.discard(key)
                else:
                    self._store.trust(key)
                    return

    def _take_up(self, key: str, index: int) -> None:
        began = time.monotonic()
        whole = self._at_hand.get(key)
        self._session.wake(whole.session, MachineAtRest(whole.machine, self._at_hand.folder(key)))
        self._gone_on = index + 1
        self._since = time.monotonic()
        self._costs.saw_waking(self._since - began)
        steps = "step 1 comes" if index == 0 else f"steps 1 to {index + 1} come"
        self._note(f"{steps} from a checkpoint ({key[:8]}), {self._since - began:.1f} s")

    def _give_up(self, key: str, error: Exception) -> None:
        self._session.drop()
        self._at_hand.forget(key)
        text = printable(f"a checkpoint is of no use, the scenario starts anew: {_told(error)}")
        self._note(text, level="warning")

    # Saving

    def _save(self, key: str, scenario: PlannedScenario, index: int, seconds: float) -> None:
        began = time.monotonic()
        try:
            state = self._session.state
            if state is None:
                return
            folder = self._at_hand.new_folder(key)
            machine = self._session.rest(folder)
        except MachineLost:
            self._break_off(key)
            raise
        except TailstestError as error:
            # The scenario goes on as if nobody had tried: if something is wrong with the machine,
            # its next step will see.
            self._leave_unsaved(key, error)
            return
        whole = Whole(session=state, machine=machine)
        self._at_hand.keep(key, whole)
        try:
            self._session.wake(state, MachineAtRest(machine, folder))
        except Exception as error:
            # The image ran until we stopped it, so this is no failure of the image.
            self._break_off(key)
            hint = error.hint if isinstance(error, TailstestError) else ""
            raise MachineLost(
                f"the machine was saved for a checkpoint and does not run on: {_told(error)}",
                hint=hint or "`tailstest run --no-checkpoints` saves no machine",
            ) from error
        saved = time.monotonic()
        size = self._publish(key, whole, scenario, index, seconds)
        if size and not self._savings.beginners(scenario.id, index):
            self._at_hand.forget(key)  # it takes room, and this run has no use for it
        self._costs.saw_saving(time.monotonic() - began)
        self._since = time.monotonic()
        self._note(
            f"a checkpoint ({key[:8]}) was saved in {saved - began:.1f} s{size}; "
            "scenarios that begin like this go on from here"
        )

    def _leave_unsaved(self, key: str, error: TailstestError) -> None:
        """Note that a machine cannot be saved, and those that go on from where it is: it may have a
        device that cannot. What the host is to blame for would go wrong with all of them.
        """
        self._unsavable.add(key)
        self._at_hand.forget(key)
        self._is_broken = _FULL in error.message or len(self._unsavable) == _MOST_UNSAVABLE
        others = "none will be" if self._is_broken else "scenarios that begin like this start anew"
        self._note(
            printable(f"no checkpoint was saved, and {others}: {error.message}"), level="warning"
        )

    def _break_off(self, key: str) -> None:
        """Save no more in this run: each scenario that tried would come to the same harm."""
        self._is_broken = True
        self._at_hand.forget(key)

    def _publish(
        self, key: str, whole: Whole, scenario: PlannedScenario, index: int, seconds: float
    ) -> str:
        steps = leading_steps(scenario.model)[: index + 1]
        manifest = Manifest(
            key=key,
            scenario=f"{scenario.location} {scenario.name}",
            steps=[f"{step.keyword} {step.name}" for step in steps],
            made=time.time(),
            seconds=seconds,
            state=whole.model_dump(mode="json"),
            files={},
        )
        try:
            full = self._store.publish(manifest, self._at_hand.folder(key))
        except InfrastructureError as error:
            self._note(printable(f"{error.message}; this run goes on with it"), level="warning")
            return ""
        return f", {full.size / 1e6:.0f} MB"

    def _note(self, text: str, level: str = "info") -> None:
        self._events.publish(Noted(text=text, level=level))


def _told(error: Exception) -> str:
    """Return what an error says in one line; of one that nobody expected also what it is."""
    if isinstance(error, TailstestError):
        return error.message
    return f"{type(error).__name__}: {error}"


def work_folder(run: Path) -> Path:
    """Return a new folder for a run's unpacked checkpoints; it is not made yet."""
    return run / f".checkpoints-{uuid.uuid4().hex[:8]}"
