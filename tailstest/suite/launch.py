"""One run from beginning to end: folder, recorder, session, plan, behave."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL

from tailstest.core.errors import UsageError
from tailstest.core.events import Events, Noted, RunStarted
from tailstest.core.settings import load_settings
from tailstest.hypervisor.host_report import examine_host
from tailstest.hypervisor.leftovers import remove_leftovers
from tailstest.hypervisor.memory_claims import MemoryClaims
from tailstest.machine.profile import find_image, load_profiles
from tailstest.results.environment_view import CHANGED
from tailstest.results.progress import SeveralAtOnce
from tailstest.results.recorder import attach
from tailstest.results.run_folder import RunFolder
from tailstest.results.store.address import store_address
from tailstest.results.store.contents_file import keep_contents
from tailstest.results.store.live import LiveStore
from tailstest.results.terminal import Terminal
from tailstest.suite.access import open_access
from tailstest.suite.assembly import RunOrder
from tailstest.suite.expectation import forecast_of
from tailstest.suite.interactive import Prompt
from tailstest.suite.keeping import Keeping
from tailstest.suite.late_patch import LatePatch
from tailstest.suite.needs import check_memory, needs_of
from tailstest.suite.patch_sources import read_patches
from tailstest.suite.plan import Plan
from tailstest.suite.repeating import ONCE
from tailstest.suite.run_options import RunOptions
from tailstest.suite.run_plan import chosen_plan
from tailstest.suite.runner import SuiteRunner
from tailstest.suite.session import Session
from tailstest.suite.suite_commit import suite_branch, suite_commit

if TYPE_CHECKING:
    from tailstest.suite.spread.crew import Crew
    from tailstest.suite.spread.remote_crew import RemoteCrew


def run(options: RunOptions) -> int:
    """Run a suite and write its report.

    Returns:
        The exit status.

    Raises:
        UsageError, SetupError: something is wrong before anything could run.
        InfrastructureError: the host cannot run machines, or files cannot be written.
    """
    _refuse_what_nobody_could_answer(options)
    plan, chosen = chosen_plan(options)
    if options.choosing is not None:
        options = replace(options, choosing=replace(options.choosing, settled=chosen))
    if options.shard and not plan.scenarios:
        # More jobs than groups of scenarios: that is no trouble, and nothing to look at.
        print(f"shard {options.shard}: nothing is assigned to it")
        return 0
    settings = load_settings(plan.suite.root)
    image = _image(plan, options.image)
    patches = read_patches(options.late_patch, options.late_patch_git, options.late_patch_trees)
    address = store_address(settings, options.store)
    removed = remove_leftovers()
    order = RunOrder(options, settings, image, tuple(patches), Path())
    with _crew_elsewhere(order, plan) as crew:
        folder = RunFolder.create(
            options.base, output=options.output, free_space_needed=settings.free_space_needed
        )
        order = replace(order, folder=folder.path)
        return _run_recorded(order, plan, folder, address, removed, crew)


def _run_recorded(
    order: RunOrder,
    plan: Plan,
    folder: RunFolder,
    address: URL | None,
    removed: list[str],
    crew: RemoteCrew | None,
) -> int:
    options, settings = order.options, order.settings
    events = Events()
    terminal = Terminal(folder, stream=sys.stdout)
    keeper = LiveStore(address, folder.path, events) if address is not None else None
    late_patch = LatePatch(order.patches, events)
    with (
        attach(events, folder, settings, terminal=terminal, project=Path.cwd(), keeper=keeper),
        closing(order.session(plan, events, folder.evidence, late_patch)) as session,
    ):
        environment = session.environment(crew.host_report if crew is not None else None)
        environment["suite_commit"] = suite_commit(plan.suite.root)
        environment["branch"] = suite_branch(plan.suite.root)
        if options.product_commit:
            environment["product_commit"] = options.product_commit
        if late_patch:
            environment[CHANGED] = late_patch.facts()
        if crew is not None:
            environment["workers"] = crew.facts()
        unknown = keep_contents(folder.path, environment)
        command = list(options.command)
        events.publish(RunStarted(run_id=folder.run_id, command=command, environment=environment))
        if unknown:
            events.publish(Noted(text=unknown))
        for text in removed:
            events.publish(Noted(text=f"left over from an earlier run, removed: {text}"))
        events.publish(plan.event())
        for text in plan.notes:
            events.publish(Noted(text=f"what was chosen: {text}"))
        late_patch.announce()
        if options.workers == 1 and crew is None:
            return _run_here(order, plan, session, events, environment, terminal)
        # Dask takes a second to load, which every other command would pay for.
        from tailstest.suite.spread.crew import LocalCrew
        from tailstest.suite.spread.spread_runner import SpreadRunner
        from tailstest.suite.spread.turns import turns_elsewhere, turns_in

        progress = SeveralAtOnce()
        terminal.follow(progress)
        before = forecast_of(plan, address).seconds
        workers: Crew
        if crew is None:
            checkpoints = order.checkpoints(plan, session, events, environment, folder.path)
            turns = turns_in(plan, checkpoints, before)
            workers = LocalCrew(order, environment, len(plan.scenarios))
        else:
            turns, workers = turns_elsewhere(plan, before), crew
            if crew.warning:
                events.publish(Noted(text=crew.warning, level="warning"))
        runner = SpreadRunner(
            workers, plan, turns, folder.path, events, progress, stop=options.stop
        )
        return runner.run().exit_status


@contextmanager
def _crew_elsewhere(order: RunOrder, plan: Plan) -> Iterator[RemoteCrew | None]:
    """Yield the workers of the scheduler that was named; None if there is none."""
    if not order.options.scheduler:
        _check_memory(order, plan)
        yield None
        return
    from tailstest.suite.spread.remote_crew import remote_crew

    with remote_crew(order, plan) as crew:
        yield crew


def _check_memory(order: RunOrder, plan: Plan) -> None:
    """Refuse, before anything starts, scenarios whose machine this host cannot have."""
    check_memory(
        needs_of(plan, load_profiles(plan.suite.images_folders), order.image, order.settings),
        {each.id: f"{each.location} {each.name}" for each in plan.scenarios},
        MemoryClaims(order.settings.memory_limit).capacity,
        lambda: examine_host(order.settings).accelerator,
    )


def _run_here(
    order: RunOrder,
    plan: Plan,
    session: Session,
    events: Events,
    environment: dict[str, Any],
    terminal: Terminal,
) -> int:
    options = order.options
    prompt: Callable[[Any, Any], bool] | None = None
    if options.interactive:
        prompt = Prompt(
            session,
            plan,
            terminal.suspended,
            open_access=lambda: open_access(session, order.folder, "paused", _tell),
        ).after_failed_step
    keeping = Keeping(
        session,
        terminal.suspended,
        lambda: open_access(session, order.folder, "kept", _tell),
    )
    checkpoints = order.checkpoints(plan, session, events, environment, order.folder)
    runner = SuiteRunner(
        plan,
        events,
        session,
        stop=options.stop or options.keep,
        on_failed_step=prompt,
        before_end=keeping.hold if options.keep else None,
        checkpoints=checkpoints,
        repeating=options.repeating,
        limit=order.limit(events, environment),
    )
    try:
        return runner.run().exit_status
    finally:
        if checkpoints is not None:
            checkpoints.close()


def _refuse_what_nobody_could_answer(options: RunOptions) -> None:
    if options.interactive and not sys.stdin.isatty():
        raise UsageError(
            "--interactive needs a terminal to ask on",
            hint="leave it out where nobody is there to answer",
        )
    if options.repeating != ONCE and (options.interactive or options.keep):
        raise UsageError(
            "--interactive and --keep are about one attempt, but several are wanted",
            hint="leave --repeat, --retry and --until-failure out",
        )
    several = "--scheduler" if options.scheduler else "--workers" if options.workers > 1 else ""
    if several and (options.interactive or options.keep):
        raise UsageError(
            f"--interactive and --keep are about one machine, but {several} makes several",
            hint=f"leave {several} out",
        )
    if options.scheduler and options.workers > 1:
        raise UsageError(
            "--workers starts processes on this host, --scheduler uses workers that run already",
            hint="leave one of them out",
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
