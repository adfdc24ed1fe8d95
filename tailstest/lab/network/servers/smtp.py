"""Takes the mail of a lab: `python -m tailstest.lab.network.servers.smtp FILE`.

FILE is JSON: `folder`, where certificates may be kept; `authority`, the file with the keys of the
lab's certificate authority; `certificate`, where ours is put for the IMAP server; `mailboxes`,
address to `folder` and `password`; `elsewhere`, the folder for mail to all other addresses. Folders
of mail are Maildirs.

Port 25 takes mail as one server takes it from another; 587 (STARTTLS) and 465 (TLS) take it from
people who have a mailbox here.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import mailbox
import shutil
import ssl
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tailstest.lab.network.plan import DOMAIN, MAIL
from tailstest.lab.network.servers.authority import Authority

HOST = f"mail.{DOMAIN}"
#: Registered ports (RFC 5321, RFC 6409, RFC 8314).
RELAY_PORT, SUBMISSION_PORT, SECURE_PORT = 25, 587, 465

#: Bytes of one mail, mails of one lab, and recipients of one mail.
LARGEST, MOST_MAILS, MOST_RECIPIENTS = 10 << 20, 1000, 100


@dataclass(frozen=True)
class Mailbox:
    """Where the mail of an address is kept, and the password of who may read it."""

    folder: Path
    password: str


class Post:
    """Puts each mail where it belongs; called by aiosmtpd.

    Args:
        mailboxes: by their address, in lower case.
        elsewhere: for mail to all others.
    """

    def __init__(self, mailboxes: Mapping[str, Mailbox], elsewhere: Path) -> None:
        self._mailboxes = mailboxes
        self._elsewhere = mailbox.Maildir(elsewhere)
        self._count = 0

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: Any
    ) -> str:
        """Accept a recipient, whoever it is: this is the whole Internet."""
        if len(envelope.rcpt_tos) >= MOST_RECIPIENTS:
            return "452 4.5.3 Too many recipients"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 OK"

    async def handle_DATA(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        """Keep a mail for each of its recipients."""
        content = envelope.original_content or b""
        for recipient in envelope.rcpt_tos:
            self._count += 1
            if self._count > MOST_MAILS:
                return "452 4.3.1 This lab has seen enough mail"
            kept = self._mailboxes.get(recipient.lower())
            head = f"Delivered-To: {recipient}\r\n".encode("ascii", "replace")
            (mailbox.Maildir(kept.folder) if kept else self._elsewhere).add(head + content)
        return "250 OK"

    def authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any
    ) -> AuthResult:
        """Say whether somebody has a mailbox here."""
        if not isinstance(data, LoginPassword):
            return AuthResult(success=False, handled=False)
        known = self._mailboxes.get(data.login.decode("utf-8", "replace").lower())
        fits = known is not None and hmac.compare_digest(known.password.encode(), data.password)
        return AuthResult(success=fits, handled=False)


async def serve(description: Mapping[str, Any]) -> None:
    """Answer until somebody ends the process."""
    authority = Authority(Path(description["folder"]), Path(description["authority"]))
    shutil.move(authority.certify(HOST), description["certificate"])
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(description["certificate"])
    mailboxes = {
        address.lower(): Mailbox(Path(parts["folder"]), parts["password"])
        for address, parts in description["mailboxes"].items()
    }
    post = Post(mailboxes, Path(description["elsewhere"]))
    loop = asyncio.get_running_loop()
    usual = {"data_size_limit": LARGEST, "hostname": HOST, "ident": "lab", "loop": loop}
    people = {**usual, "authenticator": post.authenticate, "auth_required": True}
    ways: dict[int, tuple[dict[str, Any], ssl.SSLContext | None]] = {
        RELAY_PORT: ({**usual, "tls_context": tls}, None),
        SUBMISSION_PORT: ({**people, "tls_context": tls, "require_starttls": True}, None),
        # What is said there is encrypted from its first byte; aiosmtpd does not know that.
        SECURE_PORT: ({**people, "auth_require_tls": False}, tls),
    }
    for port, (options, secure) in ways.items():
        await loop.create_server(lambda o=options: SMTP(post, **o), MAIL, port, ssl=secure)
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
