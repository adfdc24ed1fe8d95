"""What holds for every test: no result of the user's is touched, no test hurries.

And of tests that run beside one another: what takes minutes begins first.
"""

import os

import pytest
from dealing import dealt
from hypothesis import settings

# Also for the programs that tests start. A test of the store names its own.
os.environ["TAILSTEST_STORE"] = "none"

# How long an example takes says more about the host than about us.
settings.register_profile("tailstest", deadline=None)
settings.load_profile("tailstest")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if processes > 1:  # whoever is alone begins with what is short
        items[:] = dealt(items, processes, minutes)


def minutes(item):
    """Return how long a test takes that is marked as long, else 0."""
    mark = item.get_closest_marker("long")
    return mark.args[0] if mark else 0
