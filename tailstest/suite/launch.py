"""One run from beginning to end: folder, recorder, session, plan, behave."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tailstest
from tailstest.core.errors import TailstestError, UsageError
from tailstest.core.events import Events, Noted, RunStarted
from tailstest.core.evidence import EvidenceFolder
from tailstest.core.paths import bundled
from tailstest.core.settings import load_settings
from tailstest.core.text import printable
from tailstest.hypervisor.leftovers import remove_leftovers
from tailstest.machine.profile import find_image, load_profiles
from tailstest.results.answers.forecast import forecast
from tailstest.results.recorder import attach
from tailstest.results.run_folder import RunFolder
from tailstest.results.store.address import store_address
from tailstest.results.store.engine import Store
from tailstest.results.store.live import LiveStore
from tailstest.results.store.run_rows import CHANGED
from tailstest.results.terminal import Terminal
from tailstest.results.wording import duration, plural
from tailstest.suite.access import open_access
from tailstest.suite.checkpoints.checkpoints import Checkpoints, work_folder
from tailstest.suite.checkpoints.keys import base_of
from tailstest.suite.checkpoints.store import CheckpointStore, checkpoints_folder
from tailstest.suite.fitting import leave_out_what_does_not_fit
from tailstest.suite.interactive import Prompt
from tailstest.suite.keeping import Keeping
from tailstest.suite.late_patch import LatePatch
from tailstest.suite.patch_sources import read_patches
from tailstest.suite.plan import Plan, make_plan
from tailstest.suite.runner import SuiteRunner
from tailstest.suite.session import Session
from tailstest.suite.suite_commit import suite_commit


@dataclass(frozen=True)
class RunOptions:
    """What `tailstest run` was asked for.

    Attributes:
        paths: features: files, folders or file:line.
        image: file or name of the image under test; None without one.
        tags: tag expression.
        name: part of the names wanted.
        output: folder of the run; None makes a new one in `base`.
        base: folder of all runs.
        stop: end after the first scenario that does not pass.
        interactive: stop at a failed step with the machine alive.
        keep: hold the machine of the last scenario, or of the first that does not pass, which
            then is the last.
        command: as the user gave it, for the report.
        checkpoints: whether scenarios may go on from the beginning of others.
        late_patch: texts SOURCE=GUESTPATH: what is changed in each guest.
        late_patch_git: range of commits; what changed in it is changed in each guest.
        late_patch_trees: texts FOLDER=GUESTPATH: folders of repositories for that range.
        store: where results are kept: a URL, a file, "none", or None for what the settings say.
        product_commit: what the image under test was built from, as its makers call it.
    """

    paths: Sequence[str]
    image: str | None = None
    tags: str = ""
    name: str = ""
    output: Path | None = None
    base: Path = Path("runs")
    stop: bool = False
    interactive: bool = False
    keep: bool = False
    command: Sequence[str] = ()
    checkpoints: bool = True
    late_patch: Sequence[str] = ()
    late_patch_git: str | None = None
    late_patch_trees: Sequence[str] = ()
    store: str | None = None
    product_commit: str = ""


def plan_run(options: RunOptions) -> Plan:
    """Return what a run would do; see `make_plan`."""
    plan = make_plan(options.paths, tags=options.tags, name=options.name)
    leave_out_what_does_not_fit(plan, load_profiles(plan.suite.images_folders), options.image)
    return plan


def expected_time(plan: Plan, options: RunOptions) -> str:
    """Return in one sentence how long a plan took before; "" where no store knows.

    Raises:
        UsageError: the address of the store is none.
    """
    address = store_address(load_settings(plan.suite.root), options.store)
    ids = [scenario.id for scenario in plan.scenarios if not scenario.is_manual]
    if address is None:
        return ""
    try:
        with Store(address, must_exist=True) as store:
            found = forecast(store, ids)
    except TailstestError:
        return ""  # a plan needs no store
    if not found.seconds:
        return ""
    sentence = f"before, {plural(len(found.seconds), 'scenario')} took {duration(found.total)}"
    return f"{sentence}; {len(found.unknown)} never passed" if found.unknown else sentence


def run(options: RunOptions) -> int:
    """Run a suite and write its report.

    Returns:
        The exit status.

    Raises:
        UsageError, SetupError: something is wrong before anything could run.
        InfrastructureError: the host cannot run machines, or files cannot be written.
    """
    plan = plan_run(options)
    settings = load_settings(plan.suite.root)
    image = _image(plan, options.image)
    patches = read_patches(options.late_patch, options.late_patch_git, options.late_patch_trees)
    address = store_address(settings, options.store)
    removed = remove_leftovers()
    folder = RunFolder.create(
        options.base, output=options.output, free_space_needed=settings.free_space_needed
    )
    events = Events()
    terminal = Terminal(folder, stream=sys.stdout)
    late_patch = LatePatch(patches, events)
    keeper = LiveStore(address, folder.path, events) if address is not None else None
    with attach(events, folder, settings, terminal=terminal, project=Path.cwd(), keeper=keeper):
        session = Session(
            settings=settings,
            events=events,
            evidence=EvidenceFolder(folder.path),
            suite=plan.suite.root,
            images=plan.suite.images_folders,
            image_under_test=image,
            keep_viewer=options.interactive or options.keep,
            late_patch=late_patch,
        )
        try:
            return _run(plan, session, events, removed, folder, options, terminal, late_patch)
        finally:
            session.close()


def _run(
    plan: Plan,
    session: Session,
    events: Events,
    removed: Sequence[str],
    folder: RunFolder,
    options: RunOptions,
    terminal: Terminal,
    late_patch: LatePatch,
) -> int:
    environment = session.environment()
    environment["suite_commit"] = suite_commit(plan.suite.root)
    if options.product_commit:
        environment["product_commit"] = options.product_commit
    if late_patch:
        environment[CHANGED] = late_patch.facts()
    events.publish(
        RunStarted(run_id=folder.path.name, command=list(options.command), environment=environment)
    )
    for text in removed:
        events.publish(Noted(text=f"left over from an earlier run, removed: {text}"))
    events.publish(plan.event())
    late_patch.announce()
    prompt: Callable[[Any, Any], bool] | None = None
    if options.interactive:
        if not sys.stdin.isatty():
            raise UsageError(
                "--interactive needs a terminal to ask on",
                hint="leave it out where nobody is there to answer",
            )
        prompt = Prompt(
            session,
            plan,
            terminal.suspended,
            open_access=lambda: open_access(session, folder.path, "paused", _tell),
        ).after_failed_step
    keeping = Keeping(
        session,
        terminal.suspended,
        lambda: open_access(session, folder.path, "kept", _tell),
    )
    checkpoints = _checkpoints(plan, session, events, folder.path, environment, options)
    runner = SuiteRunner(
        plan,
        events,
        session,
        stop=options.stop or options.keep,
        on_failed_step=prompt,
        before_end=keeping.hold if options.keep else None,
        checkpoints=checkpoints,
    )
    try:
        return runner.run().exit_status
    finally:
        if checkpoints is not None:
            checkpoints.close()


def _checkpoints(
    plan: Plan,
    session: Session,
    events: Events,
    folder: Path,
    environment: Mapping[str, Any],
    options: RunOptions,
) -> Checkpoints | None:
    """Return what lets scenarios share their beginnings; None where that is not wanted."""
    if not options.checkpoints or options.late_patch or options.late_patch_git is not None:
        # A machine saved before the patch is not one with the patch; each start gets it anew.
        return None
    settings = session.settings
    suite = plan.suite
    code = [
        Path(tailstest.__file__).parent,
        bundled("vm-templates"),
        *suite.step_folders,
        *suite.images_folders,
        *([suite.environment_file] if suite.environment_file else []),
    ]
    host = environment["host"]
    facts = {
        "host": {
            **{name: host[name] for name in ("accelerator", "cpu_model", "emulator")},
            **{name: host["capabilities"][name] for name in ("qemu_version", "libvirt_version")},
        },
        "settings": settings.model_dump(exclude={"store"}),
        "image": environment.get("image"),
        "has viewer": options.interactive or options.keep,
    }
    try:
        store = CheckpointStore(checkpoints_folder(), settings.checkpoints_limit)
        base = base_of(facts, code)
    except (UsageError, OSError) as error:
        why = error.message if isinstance(error, UsageError) else f"{error}"
        events.publish(Noted(text=printable(f"no checkpoints: {why}"), level="warning"))
        return None
    return Checkpoints(
        plan,
        session,
        store,
        events,
        base=base,
        slowness=session.slowness,
        work=work_folder(folder),
    )


def _tell(text: str) -> None:
    # behave has its own standard output while it runs.
    print(text, file=sys.__stderr__, flush=True)


def _image(plan: Plan, wanted: str | None) -> str | None:
    """Return the image under test as the session takes it; a file is relative to where we are.

    Raises:
        UsageError, SetupError: there is none. It is said now, before a run folder is made, not by
            the first scenario that needs it.
    """
    if wanted is None:
        return None
    if Path(wanted).exists():
        wanted = str(Path(wanted).resolve())
    find_image(wanted, load_profiles(plan.suite.images_folders), Path.cwd())
    return wanted
