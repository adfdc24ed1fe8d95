"""What holds for every test: none writes into the results that the user keeps."""

import os

# Also for the programs that tests start. A test of the store names its own.
os.environ["TAILSTEST_STORE"] = "none"
