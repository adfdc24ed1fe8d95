"""What holds for every test: no result of the user's is touched, no test hurries."""

import os

from hypothesis import settings

# Also for the programs that tests start. A test of the store names its own.
os.environ["TAILSTEST_STORE"] = "none"

# How long an example takes says more about the host than about us.
settings.register_profile("tailstest", deadline=None)
settings.load_profile("tailstest")
