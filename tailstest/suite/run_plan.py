"""The plan of a run, as each process of it makes it."""

from __future__ import annotations

from tailstest.machine.profile import load_profiles
from tailstest.suite.choosing.applying import keep_chosen
from tailstest.suite.choosing.choice import Chosen
from tailstest.suite.fitting import leave_out_what_does_not_fit
from tailstest.suite.plan import Plan, make_plan
from tailstest.suite.run_options import RunOptions
from tailstest.suite.spread.shards import keep_shard


def plan_run(options: RunOptions) -> Plan:
    """Return what a run would do; see `make_plan`.

    Raises:
        UsageError: a path, the tag expression, a step file, a profile, the policy or the shard is
            wrong, or nothing was selected, or the file of durations is none.
    """
    return chosen_plan(options)[0]


def chosen_plan(options: RunOptions) -> tuple[Plan, Chosen | None]:
    """Return what a run would do, and how a policy chose it; see `plan_run`."""
    plan = make_plan(options.paths, tags=options.tags, name=options.name)
    leave_out_what_does_not_fit(plan, load_profiles(plan.suite.images_folders), options.image)
    chosen = keep_chosen(plan, options.choosing, options.image)
    keep_shard(plan, options.shard, options.durations)
    return plan, chosen
