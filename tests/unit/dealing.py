"""The order of tests that run beside one another."""

from itertools import islice


def dealt(tests, processes, weight):
    """Deal what takes long out to all processes, to be run before anything else.

    Without this a process may begin the longest test when the others have nothing left to do.
    `--dist worksteal` of pytest-xdist gives each process an even part of the tests, in the order in
    which they come; who is done with his takes over the end of another part. So each part begins
    with something long: the longest goes to the part that has least, and so on. What is short stays
    in its order, as tests of one file share what they set up.

    Args:
        tests: all of them.
        processes: how many run them.
        weight: returns how long a test takes, in any unit; 0 for one that is short.
    """
    parts = [[] for _ in range(processes)]
    for test in sorted(filter(weight, tests), key=weight, reverse=True):
        min(parts, key=lambda part: sum(map(weight, part))).append(test)
    short = (test for test in tests if not weight(test))
    left = len(tests)
    for number, part in enumerate(parts):
        size = left // (processes - number)
        part.extend(islice(short, max(0, size - len(part))))
        left -= len(part)
    return [test for part in parts for test in part] + list(short)
