"""Tiny suites for tests of reading, planning and running; no machine anywhere."""

from pathlib import Path

from tailstest.core.events import Events
from tailstest.suite.plan import make_plan
from tailstest.suite.runner import SuiteRunner
from tailstest.suite.scenario_limit import ScenarioLimit

STEPS = '''
from behave import given, when, then, step
from tailstest.core.errors import CheckFailed, InfrastructureError

@step("I pass")
def passes(context):
    """Pass."""

@step("I print")
def prints(context):
    """Print."""
    print("printed by a step")

@step("I fail")
def fails(context):
    """Fail."""
    raise CheckFailed("expected a, seen b", hint="look at b")

@step("I break")
def breaks(context):
    """Break."""
    {}["missing"]

@step("I lose the host")
def loses(context):
    """Lose the host."""
    raise InfrastructureError("the disk is full")

@step("I skip")
def skips(context):
    """Skip."""
    context.scenario.skip("not today")

@step("I am interrupted")
def interrupted(context):
    """Be interrupted."""
    raise KeyboardInterrupt

@step('I say "{word}"')
def says(context, word):
    """Remember a word."""
    context.test.words.append(word)

@step("I have a table")
def table(context):
    """Remember a table."""
    context.test.words += [cell for row in context.table for cell in row.cells]

@step("I nest a failure")
def nests(context):
    """Fail inside."""
    context.execute_steps("When I fail")

@step("I nest a lost host")
def nests_lost(context):
    """Lose the host inside."""
    context.execute_steps("When I lose the host")
'''


class Keeper:
    """Stands for the session: remembers what it was called for."""

    def __init__(self):
        self.words = []
        self.ended = []

    def begin_scenario(self, scenario_id, name):
        self.name = name

    def check(self):
        pass

    def after_step(self, verdict, *, hurry=False):
        pass

    def end_scenario(self, verdict):
        self.ended.append((self.name, verdict))


def make_suite(folder: Path, **features: str) -> Path:
    """Write a suite; keys are file names, "a__b" means a/b.feature."""
    (folder / "steps").mkdir(parents=True)
    (folder / "steps" / "tiny.py").write_text(STEPS, encoding="utf-8")
    for name, text in features.items():
        file = folder / "features" / (name.replace("__", "/") + ".feature")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return folder


def feature(*lines: str, name: str = "f") -> str:
    return f"Feature: {name}\n" + "".join(f"  {line}\n" for line in lines)


def scenario(name: str, *steps: str) -> str:
    return f"Scenario: {name}\n" + "".join(f"    {step}\n" for step in steps)


class Ran:
    """A finished run of a tiny suite.

    Args:
        limit: seconds that each scenario may take; steps find it as `context.test.limit`.
        options: of the runner.
    """

    def __init__(self, paths, tags="", name="", keeper=None, limit=0.0, **options):
        self.plan = make_plan([str(path) for path in paths], tags=tags, name=name)
        self.events = []
        self.keeper = keeper or Keeper()
        events = Events()
        events.subscribe(self.events.append)
        self.keeper.limit = ScenarioLimit(limit, events)
        self.keeper.events = events
        self.result = SuiteRunner(
            self.plan, events, self.keeper, limit=self.keeper.limit, **options
        ).run()

    @property
    def verdicts(self):
        """Scenario name to verdict."""
        names = {scenario.id: scenario.name for scenario in self.plan.scenarios}
        return {names[key]: v for key, v in self.result.verdicts.items() if key in names}

    def of(self, kind):
        return [event for event in self.events if type(event).__name__ == kind]
