"""What the system runs from; small, as the watch over it must be there soon after the start."""

import os

MEDIUM = "/run/live/medium"


def boot_disk():
    """Return the whole disk that the system runs from, such as /dev/sda or /dev/sr0."""
    number = os.stat(MEDIUM).st_dev
    place = os.path.realpath(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")
    if os.path.exists(f"{place}/partition"):
        place = os.path.dirname(place)
    return f"/dev/{os.path.basename(place)}"
