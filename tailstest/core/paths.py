"""Where things are: bundled data, the cache, the state of runs, the folder of one run."""

from __future__ import annotations

import os
import re
import unicodedata
import warnings
from hashlib import blake2s
from pathlib import Path

import platformdirs

from tailstest.core.errors import UsageError

_PACKAGE = Path(__file__).resolve().parent.parent

#: Longest file name stem we make, in bytes. File systems allow 255; a suffix such as
#: "-candidate.json" and a counter must still fit.
MAX_STEM_BYTES = 120


def bundled(name: str) -> Path:
    """Return the folder of bundled data called `name` ("features", "steps", "images", ...).

    In a checkout that is the folder beside the package, in an installed wheel the copy inside it.

    Raises:
        UsageError: the installation carries no such folder.
    """
    for folder in (_PACKAGE.parent / name, _PACKAGE / "_bundled" / name):
        if folder.is_dir() and (folder.parent != _PACKAGE.parent or _is_checkout()):
            return folder
    raise UsageError(
        f"this installation of tailstest carries no folder {name!r}",
        hint="install it again from a release or a clone",
    )


def _is_checkout() -> bool:
    return (_PACKAGE.parent / "vm-templates").is_dir()


def cache_folder() -> Path:
    """Return the user's cache folder for tailstest (images built, host probes), creating it."""
    return _private(Path(platformdirs.user_cache_dir("tailstest")))


def data_folder() -> Path:
    """Return the folder of what is kept for the user (results of runs), creating it private."""
    return _private(Path(platformdirs.user_data_dir("tailstest")))


def state_folder() -> Path:
    """Return the folder where live runs are registered, creating it private to the user."""
    return _private(Path(platformdirs.user_state_dir("tailstest")))


def runtime_folder() -> Path:
    """Return a private folder with a short path, for Unix sockets (107 bytes at most)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # without XDG_RUNTIME_DIR a folder in /tmp will do
        folder = _private(Path(platformdirs.user_runtime_dir("tailstest")))
    for each in (folder, folder.parent):
        if each.stat().st_uid not in (0, os.geteuid()):
            raise UsageError(
                f"the folder {each} belongs to another user",
                hint="set XDG_RUNTIME_DIR to a folder of your own with a short path",
            )
    return folder


def _private(folder: Path) -> Path:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"cannot create the folder {folder}: {error.strerror}",
            hint="make its parent writable, or set XDG_CACHE_HOME, XDG_STATE_HOME and "
            "XDG_DATA_HOME",
        ) from error
    if folder.stat().st_uid != os.geteuid():
        # In a shared place such as /tmp somebody else could have made it, to read or to mislead.
        raise UsageError(
            f"the folder {folder} belongs to another user",
            hint="set XDG_RUNTIME_DIR, XDG_CACHE_HOME and XDG_STATE_HOME to folders of your own",
        )
    folder.chmod(0o700)
    return folder


def safe_stem(text: str) -> str:
    """Return a portable file name stem for any text, different for different texts.

    Keeps ASCII letters, digits, dot, dash and underscore; everything else becomes a dash. A short
    digest is added whenever something was lost, so that names in any script stay apart.
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip("-.")[:MAX_STEM_BYTES]
    if stem == text and text:
        return stem
    digest = blake2s(text.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
    return f"{stem[: MAX_STEM_BYTES - 9]}-{digest}".lstrip("-")
