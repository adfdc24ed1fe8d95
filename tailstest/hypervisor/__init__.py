"""The way to libvirt and QEMU: connection, templates, accelerator, host report, left-overs."""

import os

# libvirt reads this once, when its library is loaded, and would otherwise write three lines of its
# own log to the terminal whenever the embedded driver starts. Errors still reach us as exceptions.
os.environ.setdefault("LIBVIRT_LOG_OUTPUTS", "4:file:/dev/null")
