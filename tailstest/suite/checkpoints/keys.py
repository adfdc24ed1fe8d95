"""What makes two beginnings of scenarios the same: one key for each leading step."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tailstest.core.folder_digest import digest_of_folder
from tailstest.suite.feature_reader import PlannedScenario
from tailstest.suite.fitting import FIRST, steps_by_machine
from tailstest.suite.needs import searches_memory
from tailstest.suite.plan import Plan

#: Changes when what is saved, or how, changes.
FORMAT = 3

#: Keys are shortened to this many hexadecimal digits, 128 bits.
KEY_DIGITS = 32


def leading_steps(scenario: Any) -> list[Any]:
    """Return the steps that set the stage: the Background, and Given with their And.

    Args:
        scenario: behave's Scenario.
    """
    leading = list(scenario.background_steps or [])
    for step in scenario.steps:
        if step.step_type != "given":
            break
        leading.append(step)
    return leading


def key_chain(scenario: Any, base: str) -> list[str]:
    """Return one key for each leading step, of everything up to that step.

    Args:
        scenario: behave's Scenario.
        base: digest of what all scenarios of the run depend on; see `base_of`.
    """
    chain, key = [], base
    for step in leading_steps(scenario):
        table = step.table
        rows = [list(table.headings), *(list(row.cells) for row in table.rows)] if table else []
        key = _digest([key, step.step_type, step.name, rows, str(step.text or "")])
        chain.append(key)
    return chain


def keys_of(scenario: PlannedScenario, plan: Plan, base: str) -> list[str]:
    """Return the keys of a planned scenario; see `key_chain`.

    They end where another machine joins: several machines are never saved. A machine whose memory
    will be searched is another one from its start on.
    """
    if searches_memory(scenario, plan):
        base = _digest([base, "searchable memory"])
    alone = 0
    for machine, _step, _function in steps_by_machine(scenario, plan):
        if machine != FIRST:
            break
        alone += 1
    return key_chain(scenario.model, base)[:alone]


def base_of(facts: Mapping[str, Any], folders: Iterable[Path]) -> str:
    """Return the digest of everything that all checkpoints of a run depend on.

    Args:
        facts: JSON values: host, versions, settings, the image under test.
        folders: code and data that steps use; every file in them counts. Missing ones are empty.

    Raises:
        OSError: a file cannot be read.
    """
    return _digest([FORMAT, facts, [digest_of_folder(folder) for folder in folders]])


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_DIGITS]
