"""How long scenarios of a plan may take, by what the store of results has seen."""

from __future__ import annotations

from sqlalchemy import URL

from tailstest.core.errors import TailstestError
from tailstest.core.settings import load_settings
from tailstest.results.answers.forecast import Forecast, forecast
from tailstest.results.store.address import store_address
from tailstest.results.store.engine import Store
from tailstest.results.wording import duration, plural
from tailstest.suite.plan import Plan
from tailstest.suite.run_options import RunOptions

#: Seconds to wait for a store; a plan is made without it rather than late.
_PATIENCE = 2.0


def forecast_of(plan: Plan, address: URL | None) -> Forecast:
    """Return what the store expects of a plan; nothing where it cannot be asked.

    Args:
        address: of the store; None for none.
    """
    ids = [scenario.id for scenario in plan.scenarios if not scenario.is_manual]
    nothing = Forecast({}, tuple(ids))
    if address is None:
        return nothing
    try:
        with Store(address, patience=_PATIENCE, must_exist=True) as store:
            return forecast(store, ids)
    except TailstestError:
        return nothing


def expected_time(plan: Plan, options: RunOptions) -> str:
    """Return in one sentence how long a plan took before; "" where no store knows.

    Raises:
        UsageError: the address of the store is none.
    """
    found = forecast_of(plan, store_address(load_settings(plan.suite.root), options.store))
    if not found.seconds:
        return ""
    sentence = f"before, {plural(len(found.seconds), 'scenario')} took {duration(found.total)}"
    return f"{sentence}; {len(found.unknown)} never passed" if found.unknown else sentence
