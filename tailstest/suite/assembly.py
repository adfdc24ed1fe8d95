"""The parts of a run, as each process of it puts them together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import tailstest
from tailstest.core.errors import TailstestError
from tailstest.core.events import Events, Noted
from tailstest.core.evidence import EvidenceFolder
from tailstest.core.paths import bundled
from tailstest.core.settings import Settings
from tailstest.core.text import printable
from tailstest.hypervisor.rom_files import rom_files
from tailstest.lab.network.lab import why_no_lab
from tailstest.machine.profile import load_profiles
from tailstest.suite.checkpoints.checkpoints import Checkpoints, work_folder
from tailstest.suite.checkpoints.keys import base_of
from tailstest.suite.checkpoints.store import CheckpointStore, checkpoints_folder
from tailstest.suite.image_catalogue import GivenImage
from tailstest.suite.late_patch import LatePatch
from tailstest.suite.needs import Needs, needs_of
from tailstest.suite.patch_sources import Patch
from tailstest.suite.plan import Plan
from tailstest.suite.run_host import usual_processors
from tailstest.suite.run_options import RunOptions
from tailstest.suite.scenario_limit import ScenarioLimit
from tailstest.suite.session import Session

#: Settings that change nothing in a machine, so that they are no part of a checkpoint's key.
_OF_THE_HOST = frozenset(
    {
        "store",
        "memory_limit",
        "cores",  # the processors that come of it are named
        "scenario_limit",
        "trust_network",
        "free_space_needed",
        "checkpoints_limit",
        "junit_output_limit",
        "video",
        "video_fps",
    }
)


@dataclass(frozen=True)
class RunOrder:
    """What every process of a run has to know; it can be sent to another process.

    Attributes:
        options: as the user gave them.
        settings: of the run.
        image: the image under test, a name or an absolute path; None without one.
        patches: what is changed in each guest.
        folder: of the run.
        given: images that stand for those of this host; see `ImageChoice`.
    """

    options: RunOptions
    settings: Settings
    image: str | None
    patches: tuple[Patch, ...]
    folder: Path
    given: Mapping[str, GivenImage] = field(default_factory=dict)

    def session(
        self,
        plan: Plan,
        events: Events,
        evidence: EvidenceFolder,
        late_patch: LatePatch | None = None,
    ) -> Session:
        """Return a session for the scenarios of a plan; close it when done."""
        return Session(
            settings=self.settings,
            events=events,
            evidence=evidence,
            suite=plan.suite.root,
            images=plan.suite.images_folders,
            image_under_test=self.image,
            keep_viewer=self.has_viewer,
            is_interactive=self.options.interactive,
            late_patch=LatePatch(self.patches, events) if late_patch is None else late_patch,
            workers=self.options.workers,
            given=self.given,
            needs=self._needs_of(plan),
        )

    def _needs_of(self, plan: Plan) -> Callable[[str], Needs]:
        """Return what tells what a scenario needs, by its id.

        Each scenario is looked at when it begins: a process of many runs few of them.
        """
        profiles = load_profiles(plan.suite.images_folders)

        def needs(scenario: str) -> Needs:
            alone = replace(
                plan, scenarios=[each for each in plan.scenarios if each.id == scenario]
            )
            return needs_of(alone, profiles, self.image, self.settings).get(scenario, Needs())

        return needs

    def limit(
        self,
        events: Events,
        environment: Mapping[str, Any],
        tell: Callable[[float], None] = lambda _seconds: None,
    ) -> ScenarioLimit:
        """Return the time that each scenario may take.

        Args:
            environment: of the run, see `Session.environment`; it knows how slow the host is.
            tell: see `ScenarioLimit`.
        """
        scale = float(environment["host"]["deadline_scale"])
        return ScenarioLimit(self.settings.scenario_limit, events, scale=scale, tell=tell)

    @property
    def has_viewer(self) -> bool:
        """Whether machines have a socket for a viewer."""
        return self.options.interactive or self.options.keep

    def checkpoints(
        self,
        plan: Plan,
        session: Session,
        events: Events,
        environment: Mapping[str, Any],
        work: Path,
    ) -> Checkpoints | None:
        """Return what lets scenarios share their beginnings; None where that is not wanted.

        Args:
            environment: of the run, see `Session.environment`; checkpoints depend on it.
            work: folder for what is unpacked; see `work_folder`.
        """
        options = self.options
        if not options.checkpoints or self.patches or options.late_patch_git is not None:
            # A machine saved before the patch is not one with the patch; each start gets it anew.
            return None
        try:
            store = CheckpointStore(checkpoints_folder(), self.settings.checkpoints_limit)
            base = base_of(self._facts(environment), _code(plan))
        except (TailstestError, OSError) as error:
            why = error.message if isinstance(error, TailstestError) else f"{error}"
            events.publish(Noted(text=printable(f"no checkpoints: {why}"), level="warning"))
            return None
        return Checkpoints(
            plan,
            session.resting,
            store,
            events,
            base=base,
            slowness=session.slowness,
            work=work_folder(work),
            for_later=not options.repeating.proves,
        )

    def _facts(self, environment: Mapping[str, Any]) -> dict[str, Any]:
        host = environment["host"]
        uefi = [Path(pair[part]) for pair in host["firmware"] for part in ("code", "variables")]
        return {
            "host": {
                **{name: host[name] for name in ("accelerator", "cpu_model", "emulator")},
                **{
                    name: host["capabilities"][name] for name in ("qemu_version", "libvirt_version")
                },
            },
            "firmware": rom_files(Path(host["emulator"]), uefi),
            # Without one, a machine that should be in the lab is on QEMU's own network.
            "has lab": not why_no_lab(),
            "settings": self.settings.model_dump(exclude=set(_OF_THE_HOST)),
            "image": environment.get("image"),
            "has viewer": self.has_viewer,
            "is interactive": self.options.interactive,
            # All that the cores of the host change in a machine. One that a profile or a step gives
            # a number of processors has that many anywhere; profiles and steps are in the key.
            "processors": usual_processors(host["accelerator"], environment["cores_per_worker"]),
        }


def _code(plan: Plan) -> list[Path]:
    """Return the files and folders that steps consist of."""
    suite = plan.suite
    return [
        Path(tailstest.__file__).parent,
        bundled("vm-templates"),
        *suite.step_folders,
        *suite.images_folders,
        *([suite.environment_file] if suite.environment_file else []),
    ]
