"""Running planned scenarios with behave, inside our own process."""

from __future__ import annotations

import contextlib
import io
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from behave.configuration import Configuration
from behave.runner_util import exec_file

from tailstest.core.errors import UsageError
from tailstest.core.events import Events, Noted
from tailstest.core.text import printable
from tailstest.core.verdict import Verdict, verdict_of, verdict_of_attempts
from tailstest.suite.behave_runner import BehaveRunner, StepContext
from tailstest.suite.checkpoints.checkpoints import Checkpoints
from tailstest.suite.feature_reader import PlannedScenario
from tailstest.suite.narrator import Narrator, ScenarioKeeper
from tailstest.suite.plan import Plan
from tailstest.suite.repeating import ONCE, Repeating
from tailstest.suite.run_result import RunResult, is_bad
from tailstest.suite.scenario_limit import ScenarioLimit

#: Hooks in front of a scenario or step, which may hang as a step may. What comes behind puts away.
_HOOKS_IN_FRONT = frozenset({"before_tag", "before_scenario", "before_step"})


@dataclass(frozen=True)
class _Obstacle:
    """A hook that failed before any scenario of a feature (or of all) could run."""

    hook: str
    feature: Any
    error: BaseException

    def is_in_the_way_of(self, scenario: PlannedScenario) -> bool:
        return self.feature is None or self.feature is scenario.feature


class SuiteRunner:
    """Runs a plan.

    Each scenario is told from before behave's first hook until after its last clean-up, so that
    nothing that goes wrong around its steps is lost.

    Args:
        plan: what to run.
        events: told about everything.
        keeper: called around scenarios and steps; it is also `context.test` of the steps.
        stop: end after the first scenario that does not pass.
        on_failed_step: called after a step that did not pass, while the machine is alive; returns
            whether the step has been repeated with success (interactive mode).
        before_end: called with the verdict so far when the last scenario, or one that did not
            pass, is over but for its machine.
        checkpoints: lets scenarios go on from the beginning of others; None lets each start anew.
        repeating: how often each scenario is run.
        limit: the time that each scenario may take; None is no limit.
    """

    def __init__(
        self,
        plan: Plan,
        events: Events,
        keeper: ScenarioKeeper,
        *,
        stop: bool = False,
        on_failed_step: Callable[[Any, Any], bool] | None = None,
        before_end: Callable[[Verdict], None] | None = None,
        checkpoints: Checkpoints | None = None,
        repeating: Repeating = ONCE,
        limit: ScenarioLimit | None = None,
    ) -> None:
        self._repeating = repeating
        self._plan = plan
        self._events = events
        self._keeper = keeper
        self._stop = stop
        self._on_failed_step = on_failed_step
        self._before_end = before_end
        self._checkpoints = checkpoints
        self._limit = limit or ScenarioLimit(0.0, events)
        self._narrator = Narrator(events, keeper, checkpoints, self._limit)
        self._user_hooks: dict[str, Any] = {}
        self._obstacles: list[_Obstacle] = []
        self._afterwards: dict[str, Verdict] = {}
        self._is_over = False
        self._interrupted = False

    def run(self) -> RunResult:
        """Run all planned scenarios; always ends with the event RunFinished.

        Raises:
            UsageError: the suite's environment.py cannot be loaded.
        """
        self._load_user_hooks()
        self._refuse_undefined()
        for scenario in self._plan.scenarios:
            if scenario.is_manual:
                self._narrator.leave_to_a_person(scenario)
        if not self._is_over:
            self._run_behave()
        self._tell_blocked()
        verdicts = self._narrator.verdicts | self._afterwards
        result = RunResult.of(self._plan, verdicts, interrupted=self._interrupted)
        result.tell(self._events)
        return result

    def _refuse_undefined(self) -> None:
        for scenario in self._plan.scenarios:
            undefined = self._plan.undefined.get(scenario.id)
            if undefined and not self._is_over:
                lines = {int(each.location.rsplit(":", 1)[1]) for each in undefined}
                self._narrator.refuse(scenario, [str(each) for each in undefined], lines)
                self._is_over = self._stop

    def _run_behave(self) -> None:
        features = self._pruned_features()
        if not features:
            return
        runner = BehaveRunner(_configuration(), features, step_registry=self._plan.registry)
        runner.formatters = [self._narrator]
        runner.hooks = self._hooks(runner)
        runner.context = StepContext(runner)
        runner.context.test = self._keeper
        runner.context.on_cleanup_error = self._on_cleanup_error
        for scenario in self._plan.scenarios:
            if self._is_runnable(scenario):
                scenario.model.run = partial(self._run_scenario, scenario, scenario.model.run)
        chatter = io.StringIO()
        with self._interruptible(runner), contextlib.redirect_stdout(chatter):
            try:
                runner.run_model()
            except KeyboardInterrupt:
                self._interrupt(runner)
        said = printable(chatter.getvalue()).strip()
        if said:
            self._events.publish(Noted(text=said))

    def _run_scenario(
        self, scenario: PlannedScenario, run: Callable[[Any], bool], runner: Any
    ) -> bool:
        """Run one scenario as often as is wanted; stands for behave's Scenario.run."""
        if self._is_over or runner.aborted:
            return False
        verdicts = [self._attempt(scenario, run, runner)]
        while self._repeating.goes_on(verdicts, scenario.tags) and not runner.aborted:
            verdicts.append(self._attempt(scenario, run, runner))
        together = verdict_of_attempts(verdicts)
        self._narrator.verdicts[scenario.id] = together
        has_failed = is_bad(together)
        self._is_over = self._is_over or (has_failed and self._stop)
        return has_failed

    def _attempt(
        self, scenario: PlannedScenario, run: Callable[[Any], bool], runner: Any
    ) -> Verdict:
        """Run one scenario once, hooks and clean-ups included."""
        self._narrator.begin(scenario)
        try:
            run(runner)
        except KeyboardInterrupt as error:
            self._interrupt(runner)
            self._narrator.trouble(error)
        except Exception as error:  # noqa: BLE001 - of behave itself; the run goes on
            self._narrator.trouble(error)
        finally:
            self._linger(scenario)
            verdict = self._narrator.end()
        return verdict

    def _linger(self, scenario: PlannedScenario) -> None:
        """Let a person look at the machine of the last scenario, or of one that failed."""
        if self._before_end is None:
            return
        verdict = self._narrator.verdict
        runnable = [each for each in self._plan.scenarios if self._is_runnable(each)]
        is_last = scenario is runnable[-1]
        if self._interrupted or not (is_last or is_bad(verdict)):
            return
        try:
            with self._narrator.not_counting():
                self._before_end(verdict)
        except Exception as error:  # noqa: BLE001 - looking on must not end the run
            self._narrator.trouble(error, "keeping the machine")

    def _tell_blocked(self) -> None:
        """Give scenarios that a failed hook kept from running that hook's error."""
        for scenario in self._plan.scenarios:
            if scenario.id in self._narrator.verdicts or self._interrupted:
                continue
            for obstacle in self._obstacles:
                if obstacle.is_in_the_way_of(scenario):
                    self._narrator.block(scenario, obstacle.error, obstacle.hook)
                    break

    def _hooks(self, runner: BehaveRunner) -> dict[str, Any]:
        """Return the suite's own hooks, each of which tells what goes wrong in it."""
        hooks = {
            name: self._telling(name, hook, runner)
            for name, hook in self._user_hooks.items()
            if name.startswith(("before_", "after_")) and callable(hook)
        }
        hooks.setdefault("before_all", lambda _context: None)
        users_after_step = self._user_hooks.get("after_step")

        def after_step(context: Any, step: Any) -> None:
            if users_after_step is not None:
                users_after_step(context, step)
            if not step.status.has_failed():
                return
            runner.failed_step = step
            if isinstance(step.exception, KeyboardInterrupt):
                self._interrupt(runner)
            elif self._is_repaired(context, step):
                step.status = type(step.status).passed
                step.exception = None

        return {**hooks, "after_step": after_step}

    def _is_repaired(self, context: Any, step: Any) -> bool:
        """Let a person deal with a failed step of the scenario itself, in interactive mode."""
        if self._on_failed_step is None or not self._narrator.is_own_step(step):
            return False
        if self._checkpoints is not None:
            self._checkpoints.end()
        with self._narrator.not_counting():
            return self._on_failed_step(context, step)

    def _telling(self, name: str, hook: Callable[..., None], runner: Any) -> Callable[..., None]:
        """Return a hook whose error is told; behave itself only prints it."""

        def told(*arguments: Any) -> None:
            try:
                if name in _HOOKS_IN_FRONT:
                    self._limit.during(partial(hook, *arguments), f"the hook {name}")
                else:
                    hook(*arguments)
            except SystemExit as error:
                wrong = UsageError(f"{name} ended the program with sys.exit({error.code!r})")
                self._hook_failed(name, wrong, runner)
                raise wrong from error
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    self._interrupt(runner)
                self._hook_failed(name, error, runner)
                raise

        return told

    def _hook_failed(self, name: str, error: BaseException, runner: Any) -> None:
        if name in {"before_step", "after_step"}:
            return  # behave gives the step this error
        if self._narrator.is_telling:
            self._narrator.trouble(error, name)
        elif name.startswith("before_"):
            feature = None if name == "before_all" else runner.feature
            self._obstacles.append(_Obstacle(name, feature, error))
        else:
            self._trouble_afterwards(name, error)

    def _on_cleanup_error(self, _context: Any, _action: Any, error: BaseException) -> None:
        if self._narrator.is_telling:
            self._narrator.trouble(error, "clean-up")
        else:
            self._trouble_afterwards("clean-up", error)

    def _trouble_afterwards(self, where: str, error: BaseException) -> None:
        """Count trouble that belongs to no scenario, so that the run is not green."""
        self._afterwards[f"{where} ({len(self._afterwards) + 1})"] = verdict_of(error)
        text = printable(f"{where}: {type(error).__name__}: {error}")
        self._events.publish(Noted(text=text, level="warning"))

    def _interrupt(self, runner: Any) -> None:
        self._interrupted = True
        runner.abort(reason="interrupted")

    @contextlib.contextmanager
    def _interruptible(self, runner: Any) -> Iterator[None]:
        """Make SIGINT and SIGTERM end the current step; a second one ends the clean-up too."""

        def interrupt(_number: int, _frame: object) -> None:
            self._interrupt(runner)
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

    def _load_user_hooks(self) -> None:
        file = self._plan.suite.environment_file
        if file is None:
            return
        try:
            exec_file(str(file), self._user_hooks)
        except SyntaxError as error:
            raise UsageError(f"{error.filename}:{error.lineno}: {error.msg}") from error
        except (Exception, SystemExit) as error:
            raise UsageError(f"{file}: {type(error).__name__}: {error}") from error

    def _is_runnable(self, scenario: PlannedScenario) -> bool:
        return scenario.id not in self._plan.undefined and not scenario.is_manual

    def _pruned_features(self) -> list[Any]:
        """Return the features with only the scenarios that will run, in their order."""
        wanted: dict[int, list[PlannedScenario]] = {}
        for scenario in self._plan.scenarios:
            if self._is_runnable(scenario):
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


def _configuration() -> Configuration:
    """Return behave's configuration, free of any configuration file of the user's."""
    configuration = Configuration(command_args=[], load_config=False)
    configuration.summary = False
    configuration.reporters = []
    return configuration
