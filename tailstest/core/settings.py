"""Settings: defaults, then the user's file, then the suite's file, then TAILSTEST_* variables."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tailstest.core.errors import UsageError

M = TypeVar("M", bound=BaseModel)

ENVIRONMENT_PREFIX = "TAILSTEST_"


class Strict(BaseModel):
    """Base of everything read from a file: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Settings(Strict):
    """All settings; every field is also the variable TAILSTEST_<FIELD IN CAPITALS>."""

    #: "embed" runs libvirt's QEMU driver inside our process; the others need libvirt's daemons.
    hypervisor: Literal["embed", "session", "system"] = "embed"
    accelerator: Literal["auto", "kvm", "tcg"] = "auto"
    #: Factor on every deadline; 0 means: measure the host and decide.
    deadline_scale: Annotated[float, Field(ge=0, le=1000)] = 0.0
    #: Seconds a check may take when the step does not say, before scaling.
    default_deadline: Annotated[float, Field(gt=0, le=86_400)] = 30.0
    #: Seconds that one attempt at a scenario may take, before scaling; 0: no limit. It is there for
    #: what hangs, so it is longer than the longest scenario that we know takes: an installation
    #: through a graphical installer, in an emulated machine.
    scenario_limit: Annotated[float, Field(ge=0, le=604_800)] = 7200.0
    keyboard_layout: str = "us"
    #: Milliseconds a key is held, and between a release and the next press.
    key_hold_ms: Annotated[int, Field(ge=1, le=1000)] = 20
    key_gap_ms: Annotated[int, Field(ge=1, le=1000)] = 20
    video: Literal["never", "failure", "always"] = "failure"
    #: Frames per second looked at for video and for screen events.
    video_fps: Annotated[float, Field(gt=0, le=30)] = 4.0
    #: Bytes kept of one guest's serial console; what comes after is counted, not kept.
    serial_limit: Annotated[int, Field(ge=4096)] = 16 * 1024 * 1024
    #: Bytes kept of one machine's network packets; more is an error.
    capture_limit: Annotated[int, Field(ge=4096)] = 256 * 1024 * 1024
    #: Bytes of captured text in one test case of the JUnit file (GitLab refuses 30 MB files).
    junit_output_limit: Annotated[int, Field(ge=1024)] = 64 * 1024
    #: Bytes of checkpoints that are kept for later runs.
    checkpoints_limit: Annotated[int, Field(ge=0)] = 4 * 1024 * 1024 * 1024
    #: MiB of this host that all machines of this user together may take; 0: what the host has.
    memory_limit: Annotated[int, Field(ge=0)] = 0
    #: Cores of this host that this run may count on, with others beside it; 0: all. Nothing keeps
    #: it to them, but emulated machines get no more processors than that.
    cores: Annotated[int, Field(ge=0)] = 0
    #: Whether to talk to a Dask scheduler on another host without encryption; who can reach it, or
    #: listens on the way, can then run programs here and there.
    trust_network: bool = False
    #: Where results are kept over runs: a URL, "none", or "" for the user's own data folder. It may
    #: hold a password, so it is never part of a report.
    store: Annotated[str, Field(repr=False)] = ""
    #: Bytes that must be free where a run is written before it starts.
    free_space_needed: Annotated[int, Field(ge=0)] = 512 * 1024 * 1024


def load_settings(
    suite: Path | None = None, *, environment: Mapping[str, str] | None = None
) -> Settings:
    """Read the settings that hold for a suite.

    Args:
        suite: folder of the suite, whose tailstest.toml is read if it exists.
        environment: variables; the process's own by default.

    Raises:
        UsageError: names the file or variable, the key and what is wrong with it.
    """
    values: dict[str, Any] = {}
    origin: dict[str, str] = {}
    files = [Path(platformdirs.user_config_dir("tailstest")) / "tailstest.toml"]
    if suite is not None:
        files.append(suite / "tailstest.toml")
    for file in files:
        if file.is_file():
            read = read_toml(file)
            values |= read
            origin |= dict.fromkeys(read, str(file))
    for name, value in (os.environ if environment is None else environment).items():
        if name.startswith(ENVIRONMENT_PREFIX):
            key = name.removeprefix(ENVIRONMENT_PREFIX).lower()
            values[key] = value
            origin[key] = f"environment variable {name}"
    return validated(Settings, values, lambda key: origin.get(key, "settings"))


def read_toml(file: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        UsageError: the file cannot be read or is not TOML; names file, line and column.
    """
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file}: not valid TOML: {error}") from error


def validated(model: type[M], values: Mapping[str, Any], origin: Any) -> M:
    """Build `model` from `values`, turning every complaint into one readable error.

    Args:
        origin: a function from the first key to the file or variable that it came from.

    Raises:
        UsageError: one line per wrong field: where it came from, the field, what is wrong.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        lines = []
        for problem in error.errors():
            path = ".".join(str(part) for part in problem["loc"])
            what = problem["msg"]
            if problem["type"] == "extra_forbidden":
                known = ", ".join(sorted(_model_at(model, problem["loc"][:-1]).model_fields))
                what = f"unknown key; the known ones here are: {known}"
            lines.append(
                f"{origin(str(problem['loc'][0]) if problem['loc'] else '')}: {path}: {what}"
            )
        raise UsageError("\n".join(lines)) from error


def _model_at(model: type[BaseModel], path: Sequence[str | int]) -> type[BaseModel]:
    """Return the model of a table inside of a table; the last one that is known."""
    for part in path:
        if isinstance(part, int):
            continue
        field = model.model_fields.get(part)
        if field is None:
            return model
        # A list of tables (`tuple[Rule, ...]`) has its model inside.
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                model = kind
                break
    return model
