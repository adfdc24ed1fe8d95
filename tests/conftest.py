"""What holds for every test: no result of the user's is touched, no test hurries.

Tests that run beside one another share the cores, and what takes minutes begins first. What is
marked `nightly` is left out where that is allowed.
"""

import os

import pytest
from dealing import dealt
from hypothesis import settings
from nightly import is_due

from tailstest.hypervisor.host_speed import usable_cores

#: How many processes run tests on this host.
BESIDE = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))

# Also for the programs that tests start. A test of the store names its own.
os.environ["TAILSTEST_STORE"] = "none"

# How long an example takes says more about the host than about us.
settings.register_profile("tailstest", deadline=None)
settings.load_profile("tailstest")


def pytest_addoption(parser):
    parser.addoption("--nightly", action="store_true", help="run what is left to the nights, too")


@pytest.fixture(scope="session")
def with_nightly(pytestconfig):
    """Whether what is left to the nights is to be seen now."""
    return runs_nightly(pytestconfig)


def runs_nightly(config):
    return config.getoption("--nightly") or is_due()


@pytest.fixture(autouse=True)
def share_of_the_host(request, monkeypatch):
    """Let runs that tests start beside one another count on their part of the cores."""
    if BESIDE > 1 and request.node.get_closest_marker("e2e"):
        monkeypatch.setenv("TAILSTEST_CORES", str(max(1, usable_cores() // BESIDE)))


def pytest_report_header(config):
    if not runs_nightly(config):
        return "what is left to the nights passed with these features, steps and images: left out"
    return None if config.getoption("--nightly") else "nightly tests run, too: they have not passed"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    nightly = [item for item in items if item.get_closest_marker("nightly")]
    if nightly and not runs_nightly(config):
        config.hook.pytest_deselected(items=nightly)
        items[:] = [item for item in items if not item.get_closest_marker("nightly")]
    if BESIDE > 1:  # whoever is alone begins with what is short
        items[:] = dealt(items, BESIDE, minutes)


def minutes(item):
    """Return how long a test takes that is marked as long, else 0."""
    mark = item.get_closest_marker("long")
    return mark.args[0] if mark else 0
