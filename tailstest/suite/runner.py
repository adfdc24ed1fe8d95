"""Running planned scenarios with behave, inside our own process."""

from __future__ import annotations

import contextlib
import io
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from behave.configuration import Configuration
from behave.runner import Context, ModelRunner
from behave.runner_util import exec_file

from tailstest.core.errors import UsageError
from tailstest.core.events import Events, Noted, RunFinished
from tailstest.core.text import printable
from tailstest.core.verdict import Verdict, exit_status
from tailstest.suite.feature_reader import PlannedScenario
from tailstest.suite.narrator import Narrator, ScenarioKeeper
from tailstest.suite.plan import Plan


@dataclass
class RunResult:
    """How a run ended."""

    verdicts: dict[str, Verdict] = field(default_factory=dict)
    interrupted: bool = False

    @property
    def exit_status(self) -> int:
        """A function of the verdicts alone; see `core.verdict.exit_status`."""
        return exit_status(self.verdicts.values())


class SuiteRunner:
    """Runs a plan.

    Args:
        plan: what to run.
        events: told about everything.
        keeper: called around scenarios and steps; it is also `context.test` of the steps.
        stop: end after the first scenario that does not pass.
        on_failed_step: called after a step that did not pass, while the machine is alive; returns
            whether the step has been repeated with success (interactive mode).
    """

    def __init__(
        self,
        plan: Plan,
        events: Events,
        keeper: ScenarioKeeper,
        *,
        stop: bool = False,
        on_failed_step: Callable[[Any, Any], bool] | None = None,
    ) -> None:
        self._plan = plan
        self._events = events
        self._keeper = keeper
        self._stop = stop
        self._on_failed_step = on_failed_step
        self._narrator = Narrator(events, keeper)
        self._by_model = {id(scenario.model): scenario for scenario in plan.scenarios}
        self._user_hooks: dict[str, Any] = {}

    def run(self) -> RunResult:
        """Run all planned scenarios; always ends with the event RunFinished.

        Raises:
            UsageError: the suite's environment.py cannot be loaded.
        """
        self._load_user_hooks()
        for scenario in self._plan.scenarios:
            undefined = self._plan.undefined.get(scenario.id)
            if undefined:
                lines = {int(each.location.rsplit(":", 1)[1]) for each in undefined}
                self._narrator.refuse(scenario, [str(each) for each in undefined], lines)
        interrupted = self._run_behave()
        result = RunResult(dict(self._narrator.verdicts), interrupted)
        for scenario in self._plan.scenarios:
            result.verdicts.setdefault(scenario.id, Verdict.NOT_RUN)
        for problem in self._plan.broken_files:
            result.verdicts[problem] = Verdict.ERRORED
        counts = Counter(verdict.value for verdict in result.verdicts.values())
        self._events.publish(
            RunFinished(
                counts=dict(counts), exit_status=result.exit_status, interrupted=interrupted
            )
        )
        return result

    def _run_behave(self) -> bool:
        """Run everything that can run; return whether it was interrupted."""
        features = self._pruned_features()
        if not features:
            return False
        runner = ModelRunner(
            _configuration(self._stop), features, step_registry=self._plan.registry
        )
        runner.formatters = [self._narrator]
        runner.hooks = self._hooks(runner)
        runner.context = Context(runner)
        runner.context.test = self._keeper
        chatter = io.StringIO()
        with _interruptible(runner), contextlib.redirect_stdout(chatter):
            try:
                runner.run_model()
            except KeyboardInterrupt:
                runner.abort(reason="interrupted")
            finally:
                self._narrator.end()
        said = printable(chatter.getvalue()).strip()
        if said:
            self._events.publish(Noted(text=said))
        return bool(runner.aborted)

    def _hooks(self, runner: Any) -> dict[str, Any]:
        """Return the suite's own hooks, with ours around them."""
        hooks = dict(self._user_hooks)
        hooks.setdefault("before_all", lambda _context: None)

        def before_scenario(context: Any, scenario: Any) -> None:
            planned = self._by_model.get(id(scenario))
            if planned is None or runner.aborted:
                scenario.mark_skipped()
                return
            self._narrator.begin(planned)
            self._user_hook("before_scenario", context, scenario)

        def after_scenario(context: Any, scenario: Any) -> None:
            try:
                self._user_hook("after_scenario", context, scenario)
            except Exception as error:
                self._narrator.trouble(error)
                raise
            finally:
                self._narrator.end()

        def after_step(context: Any, step: Any) -> None:
            self._user_hook("after_step", context, step)
            if step.status.has_failed() and self._on_failed_step is not None:
                step_passes = self._on_failed_step(context, step)
                if step_passes:
                    step.status = type(step.status).passed
                    step.exception = None
            self._narrator.after_step(step)

        hooks |= {
            "before_scenario": before_scenario,
            "after_scenario": after_scenario,
            "after_step": after_step,
        }
        return hooks

    def _user_hook(self, name: str, context: Any, statement: Any) -> None:
        hook = self._user_hooks.get(name)
        if hook is not None:
            hook(context, statement)

    def _load_user_hooks(self) -> None:
        file = self._plan.suite.environment_file
        if file is None:
            return
        try:
            exec_file(str(file), self._user_hooks)
        except SyntaxError as error:
            raise UsageError(f"{error.filename}:{error.lineno}: {error.msg}") from error
        except Exception as error:
            raise UsageError(f"{file}: {type(error).__name__}: {error}") from error

    def _pruned_features(self) -> list[Any]:
        """Return the features with only the scenarios that will run, in their order."""
        wanted: dict[int, list[PlannedScenario]] = {}
        for scenario in self._plan.scenarios:
            if scenario.id not in self._plan.undefined:
                wanted.setdefault(id(scenario.feature), []).append(scenario)
        features = []
        for scenarios in wanted.values():
            feature = scenarios[0].feature
            feature.run_items = _pruned(feature, {id(each.model) for each in scenarios})
            features.append(feature)
        return features


def _pruned(container: Any, wanted: set[int]) -> list[Any]:
    items: list[Any] = []
    for item in container.run_items:
        if hasattr(item, "run_items"):
            item.run_items = _pruned(item, wanted)
            if item.run_items:
                items.append(item)
        elif id(item) in wanted:
            items.append(item)
        else:
            items += [row for row in getattr(item, "scenarios", []) if id(row) in wanted]
    return items


def _configuration(stop: bool) -> Configuration:
    """Return behave's configuration, free of any configuration file of the user's."""
    configuration = Configuration(command_args=[], load_config=False)
    configuration.stop = stop
    configuration.summary = False
    configuration.reporters = []
    configuration.capture_log = False
    return configuration


@contextlib.contextmanager
def _interruptible(runner: Any) -> Iterator[None]:
    """Make SIGINT and SIGTERM end the current step; a second one ends the clean-up too."""

    def interrupt(_number: int, _frame: object) -> None:
        runner.abort(reason="interrupted")
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.default_int_handler)
        raise KeyboardInterrupt

    before = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, interrupt)
    except ValueError:
        pass  # not the main thread: whoever started us deals with signals
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
