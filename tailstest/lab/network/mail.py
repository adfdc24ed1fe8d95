"""The lab's mail: a server that takes it (SMTP), and Dovecot, which lets people read it (IMAP)."""

from __future__ import annotations

import base64
import json
import mailbox
import re
import sys
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default as modern
from pathlib import Path

from tailstest.core.errors import UsageError
from tailstest.lab.network.lab import Lab
from tailstest.lab.network.plan import MAIL
from tailstest.lab.network.private_mount import with_mount
from tailstest.lab.network.programs import program

#: Seconds, before scaling: Python, a certificate, six processes of Dovecot; 1 on an idle host.
START_LIMIT = 30.0

_SMTP = "tailstest.lab.network.servers.smtp"
_ADDRESS = re.compile(r"[A-Za-z0-9._+-]+@[A-Za-z0-9.-]+")

#: Dovecot wants to be nobody in particular: as root it would become others, of whom there are none
#: in the lab. See its documentation, "Rootless installation".
_AS_NOBODY = ("unshare", "--user", "--map-user=65534", "--map-group=65534")

#: Where Dovecot has its sockets: a folder of our own is put over it, for it alone. The path of a
#: socket has 107 bytes at most, and ours may be longer. Every Debian has this folder (FHS 3.12).
_SOCKETS = "/mnt"

_DOVECOT = """\
base_dir = {sockets}
state_dir = {sockets}
log_path = /dev/stderr
protocols = imap
listen = {address}
ssl = yes
ssl_cert = <{certificate}
ssl_key = <{certificate}
default_internal_user = nobody
default_login_user = nobody
default_internal_group = nogroup
first_valid_uid = 1
first_valid_gid = 1
mail_location = maildir:~
passdb {{
  driver = passwd-file
  args = username_format=%Lu {folder}/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%Lu {folder}/users
}}
service anvil {{
  chroot =
}}
service imap-login {{
  chroot =
}}
service stats {{
  chroot =
}}
"""


class MailServer:
    """What is behind `mail.lab.test`.

    Args:
        lab: that it is in.
        authority: file with the keys of the lab's certificate authority.
    """

    def __init__(self, lab: Lab, authority: Path) -> None:
        self._lab = lab
        self._authority = authority
        self._folder = lab.folder / "mail"
        self._folder.mkdir(mode=0o700)
        self._elsewhere = self._folder / "elsewhere"
        self._passwords: dict[str, str] = {}

    def start(self) -> None:
        """Start the servers, or start them again.

        Raises:
            SetupError: Dovecot is not installed.
            InfrastructureError: one of them does not start; quotes what it said.
        """
        dovecot = program("dovecot", "dovecot-imapd", "the lab's mail server")
        for name in ("imap", "smtp"):
            self._lab.stop(name)
        certificate = self._folder / "certificate.pem"
        description = {
            "folder": str(self._folder),
            "authority": str(self._authority),
            "certificate": str(certificate),
            "elsewhere": str(self._elsewhere),
            "mailboxes": {
                address: {"folder": str(self._folder_of(address)), "password": password}
                for address, password in self._passwords.items()
            },
        }
        file, configuration = self._folder / "smtp.json", self._folder / "dovecot.conf"
        file.write_text(json.dumps(description), encoding="utf-8")
        users = [
            f"{address}:{{PLAIN.b64}}{base64.b64encode(password.encode()).decode()}:65534:65534::"
            f"{self._folder_of(address)}\n"
            for address, password in self._passwords.items()
        ]
        (self._folder / "users").write_text("".join(users), encoding="utf-8")
        configuration.write_text(
            _DOVECOT.format(
                folder=self._folder, sockets=_SOCKETS, address=MAIL, certificate=certificate
            )
        )
        self._lab.start("smtp", [sys.executable, "-m", _SMTP, str(file)], "ready", START_LIMIT)
        sockets = self._folder / "run"
        sockets.mkdir(mode=0o700, exist_ok=True)
        argv = [*_AS_NOBODY, dovecot, "-F", "-c", str(configuration)]
        argv = with_mount(sockets, _SOCKETS, argv)
        self._lab.start("imap", argv, "starting up for imap", START_LIMIT)

    def add_mailbox(self, address: str, password: str) -> None:
        """Give somebody a mailbox; the servers are started again, which ends connections.

        Raises:
            UsageError: this is no address that a mailbox can have.
            SetupError, InfrastructureError: see `start`.
        """
        if not _ADDRESS.fullmatch(address):
            raise UsageError(
                f'"{address}" is no address for a mailbox of the lab',
                hint="letters, digits and . _ + - before and after the @, such as anna@lab.test",
            )
        self._passwords[address.lower()] = password
        self.start()

    def put(self, address: str, sender: str, subject: str, text: str) -> None:
        """Put a mail into a mailbox, as if it had come.

        Raises:
            UsageError: there is no such mailbox.
        """
        if address.lower() not in self._passwords:
            known = ", ".join(self._passwords) or "none"
            raise UsageError(
                f'the lab has no mailbox "{address}"; known: {known}',
                hint='put "Given the lab has the mailbox ..." before it',
            )
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = sender, address, subject
        message.set_content(text)
        mailbox.Maildir(self._folder_of(address)).add(message)

    def mails(self, address: str) -> list[EmailMessage]:
        """Return the mails that have come to an address, of a mailbox or any other."""
        here = address.lower() in self._passwords
        folder = self._folder_of(address) if here else self._elsewhere
        parser = BytesParser(EmailMessage, policy=modern)
        files = [*folder.glob("new/*"), *folder.glob("cur/*")]
        parsed = (parser.parsebytes(file.read_bytes()) for file in files)
        return [
            message
            for message in parsed
            if here or str(message.get("Delivered-To", "")).lower() == address.lower()
        ]

    def _folder_of(self, address: str) -> Path:
        return self._folder / f"box-{list(self._passwords).index(address.lower())}"
