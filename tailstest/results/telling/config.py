"""Whom to tell, and how: a TOML file. What is secret comes from elsewhere."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated
from urllib.parse import quote, quote_plus, urlsplit

from pydantic import Field, model_validator

from tailstest.core.errors import UsageError
from tailstest.core.settings import Strict, read_toml, validated
from tailstest.results.private_file import private_text
from tailstest.results.telling.news import Change

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
#: Secrets shorter than this are not hidden in what services say: they are parts of words.
LEAST_SECRET = 4
LEAST_WORD = 6


class Compare(Strict):
    """Which earlier runs a run is compared with.

    Attributes:
        images: patterns of names of images that are one line; by default those of the same name.
        branches: whose runs count, too, besides those of the run's own branch.
    """

    images: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    branches: tuple[Annotated[str, Field(min_length=1)], ...] = ()


class Service(Strict):
    """One place to send to.

    Attributes:
        name: how it is called in what we print; the address never is.
        url: an address of apprise, with ${VARIABLE} for what is secret.
        url_file: a file that holds the address and is readable by its owner only.
        changes: the kinds of news that it wants.
        pictures: pictures of failures to send along, at most.
    """

    name: Annotated[str, Field(min_length=1, max_length=60)]
    url: Annotated[str, Field(repr=False)] = ""
    url_file: str = ""
    changes: tuple[Change, ...] = tuple(Change)
    pictures: Annotated[int, Field(ge=0, le=10)] = 3

    @model_validator(mode="after")
    def _one(self) -> Service:
        if bool(self.url) == bool(self.url_file):
            raise ValueError(f'the service "{self.name}" needs url or url_file, not both')
        return self


class NotifyConfig(Strict):
    """A whole file.

    Attributes:
        title: begins the title of each message.
        link: address of the report, with {run} for the id of the run.
        attempts: how often a service is tried.
        pause: seconds between two attempts.
        timeout: seconds that a service may take, all attempts together.
        listed: scenarios named in each group of a message.
    """

    title: Annotated[str, Field(min_length=1, max_length=60)] = "tailstest"
    link: str = ""
    attempts: Annotated[int, Field(ge=1, le=5)] = 3
    pause: Annotated[float, Field(ge=0, le=60)] = 5.0
    timeout: Annotated[float, Field(gt=0, le=600)] = 120.0
    listed: Annotated[int, Field(ge=1, le=200)] = 20
    compare: Compare = Compare()
    service: Annotated[tuple[Service, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _different(self) -> NotifyConfig:
        names = [each.name for each in self.service]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"services of the same name: {', '.join(twice)}")
        return self


def load_notify_config(file: Path) -> NotifyConfig:
    """Read a file.

    Raises:
        UsageError: it cannot be read, or a key is wrong; names both.
    """
    return validated(NotifyConfig, read_toml(file), lambda _key: str(file))


class Address:
    """The address of a service with its secrets in it; never shown.

    Attributes:
        url: for apprise.
        secrets: what must not appear in any text.
    """

    def __init__(self, url: str, secrets: frozenset[str]) -> None:
        self.url = url
        self._secrets = secrets

    def __repr__(self) -> str:
        return "Address(...)"

    def masked(self, text: str) -> str:
        """Return a text without the secrets."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text


def address_of(
    service: Service, folder: Path, environment: Mapping[str, str] | None = None
) -> Address:
    """Return the address of a service.

    Args:
        folder: where a relative url_file lies.
        environment: variables; the process's own by default.

    Raises:
        UsageError: a variable is not set, the file is readable by others, or a password stands in
            the configuration itself.
    """
    known = os.environ if environment is None else environment
    if service.url_file:
        url = private_text(folder / service.url_file)
        return Address(url, _parts(url))
    where = f'the service "{service.name}"'
    if _literal_password(service.url):
        raise UsageError(
            f"{where} has its password in the configuration",
            hint="write ${VARIABLE} instead and set that variable, or use url_file",
        )
    values = {}
    for name in _VARIABLE.findall(service.url):
        if not known.get(name):
            raise UsageError(
                f"{where} needs the variable {name}, which is not set",
                hint="set it where this runs; in CI as a protected, masked variable",
            )
        values[name] = known[name]
    whole = _VARIABLE.fullmatch(service.url)
    if whole:
        url = values[whole[1]]
        return Address(url, _parts(url) | {url})
    url = _VARIABLE.sub(lambda found: quote(values[found[1]], safe=""), service.url)
    secret = {form for value in values.values() for form in _forms(value)}
    return Address(url, frozenset(each for each in secret if len(each) >= LEAST_SECRET))


def _forms(secret: str) -> set[str]:
    """Return a secret as addresses may write it, and its words, which survive every writing."""
    words = [word for word in re.split(r"\W+", secret) if len(word) >= LEAST_WORD]
    return {secret, quote(secret, safe=""), quote(secret), quote_plus(secret), *words}


def _literal_password(url: str) -> bool:
    try:
        password = urlsplit(_VARIABLE.sub("", url)).password
    except ValueError:
        return False
    return bool(password)


def _parts(url: str) -> frozenset[str]:
    """Return every part of an address that could be secret: any but scheme and host."""
    try:
        split = urlsplit(url)
        words = [split.username, split.password, *re.split(r"[/?&=#;]", url.partition("://")[2])]
        host = split.hostname or ""
    except ValueError:
        return frozenset({url})
    hosts = {host, split.netloc.rpartition("@")[2]}
    return frozenset(
        word for word in words if word and len(word) >= LEAST_SECRET and word not in hosts
    ) | {url}
