"""Sending a message to services, each on its own: one that is down does not lose the others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tailstest.core.errors import SetupError, UsageError
from tailstest.results.shown import one_line
from tailstest.results.telling.config import Address, NotifyConfig, Service, address_of
from tailstest.results.telling.failure_pictures import FailurePicture, failure_pictures
from tailstest.results.telling.message import body_of, title_of
from tailstest.results.telling.news import Change, News

if TYPE_CHECKING:
    from apprise import Apprise, AppriseResult


@dataclass(frozen=True)
class Delivery:
    """What became of the message to one service.

    Attributes:
        wanted: whether there was anything that it wants to know.
        trouble: why it was not delivered, without secrets; "" when it was.
    """

    service: str
    wanted: bool = True
    trouble: str = ""
    attempts: int = 0


class Sender:
    """Services that are ready to be sent to.

    Args:
        config: whom to tell.
        folder: where relative files of the configuration lie.

    Raises:
        UsageError: a variable is missing, or an address is none; nothing was sent yet.
        SetupError: apprise is not installed.
    """

    def __init__(self, config: NotifyConfig, folder: Path) -> None:
        self._config = config
        self._ready = [
            (service, address := address_of(service, folder), _opened(config, service, address))
            for service in config.service
        ]

    def send(
        self,
        news: News,
        *,
        link: str = "",
        always: bool = False,
        folders: Mapping[str, Path] | None = None,
    ) -> Iterator[Delivery]:
        """Send the news to each service that wants some of it, one after the other.

        Args:
            link: address of the report, instead of that of the configuration.
            always: send also when nothing changed.
            folders: of runs by their ids; see `failure_pictures`.
        """
        for service, address, apprise in self._ready:
            turns = [turn for turn in news.turns if turn.change in service.changes]
            if not (turns or news.troubles or always):
                yield Delivery(service.name, wanted=False)
                continue
            pictures = failure_pictures(news, service.pictures, service.changes, folders)
            result = self._told(apprise, service, news, pictures, link)
            yield _delivery(service, address, result)

    def _told(
        self,
        apprise: Apprise,
        service: Service,
        news: News,
        pictures: Sequence[FailurePicture],
        link: str,
    ) -> AppriseResult:
        from apprise import NotifyFormat, NotifyType
        from apprise.attachment.memory import AttachMemory

        attach: Any = AttachMemory  # its constructor carries no types
        attached = [
            attach(content=each.data, name=each.name, mimetype="image/jpeg") for each in pictures
        ]
        wanted = {turn.change for turn in news.turns} & set(service.changes)
        is_bad = news.troubles or wanted - {Change.PASSING}
        config = self._config
        return apprise.notify(
            title=title_of(news, config.title, service.changes),
            body=body_of(news, service.changes, link=link or config.link, listed=config.listed),
            body_format=NotifyFormat.TEXT,
            notify_type=NotifyType.FAILURE if is_bad else NotifyType.SUCCESS,
            attach=attached or None,
            timeout=config.timeout,
        )


def _opened(config: NotifyConfig, service: Service, address: Address) -> Apprise:
    try:
        from apprise import Apprise, AppriseAsset
    except ImportError as error:
        raise SetupError(
            "notifications need the Python package apprise",
            hint='run: pip install "tailstest[notify]"',
        ) from error
    logger = logging.getLogger("apprise")
    # It would write addresses on the terminal; what matters of it is in the results.
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    asset = AppriseAsset(
        app_id="tailstest",
        app_desc="tailstest",
        secure_logging=True,
        storage_mode="memory",
        default_service_retry=config.attempts - 1,
        default_service_wait=config.pause,
    )
    apprise = Apprise(asset=asset)
    if not apprise.add(address.url):
        raise UsageError(
            f'the address of the service "{service.name}" is none that apprise knows',
            hint="addresses are described on https://appriseit.com/services/",
        )
    return apprise


def _delivery(service: Service, address: Address, result: AppriseResult) -> Delivery:
    attempts = sum(len(each) for each in result)
    if result:
        return Delivery(service.name, attempts=attempts)
    said = [str(entry.message) for each in result for entry in each.logs()]
    said = said or [str(entry.message) for entry in result.call_logs()]
    mask: Callable[[str], str] = address.masked
    text = "; ".join(dict.fromkeys(one_line(mask(line), 200) for line in said[-3:]))
    reason = text or result.status.name.lower()
    return Delivery(service.name, trouble=one_line(mask(reason), 500), attempts=attempts)
