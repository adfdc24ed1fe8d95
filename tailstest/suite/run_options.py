"""What the user asked of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tailstest.suite.choosing.applying import Choosing
from tailstest.suite.repeating import ONCE, Repeating


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
        workers: processes that run scenarios beside one another.
        repeating: how often each scenario is run.
        choosing: what a policy chooses from; None for everything that is asked for.
        shard: "K/N" for one of several jobs; "" for all of the plan.
        durations: file with what scenarios took before, by which parts of the plan are cut; None
            if each counts the same.
        scheduler: address of a Dask scheduler whose workers run scenarios, or its scheduler file;
            "" for processes of this host.
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
    workers: int = 1
    shard: str = ""
    durations: Path | None = None
    scheduler: str = ""
    repeating: Repeating = ONCE
    choosing: Choosing | None = None
