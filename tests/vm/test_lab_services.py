"""Mail, a proxy and upgrades in a real lab, used by ordinary clients inside it."""

import base64
import hashlib
import json
import sys

import pytest

from tailstest.core.errors import UsageError

pytestmark = pytest.mark.vm

ANNA, PASSWORD = "anna@lab.test", 'pass: "wörd"'

#: What every client needs; the lab's names are not looked up by the host's resolver.
BEGIN = """
import http.client, imaplib, json, smtplib, socket, ssl, sys
settings = json.loads(sys.argv[1])
tls = ssl.create_default_context(cafile=settings["authority"])
MAIL, PROXY = "203.0.113.25", "203.0.113.128"
real = socket.getaddrinfo
def look_up(host, *rest, **more):
    return real({"mail.lab.test": MAIL, "proxy.lab.test": PROXY}.get(host, host), *rest, **more)
socket.getaddrinfo = look_up
def plain(_=None):
    return ("\\0" + settings["address"] + "\\0" + settings["password"]).encode()
"""
END = """
print("done", flush=True)
import signal; signal.pause()
"""


@pytest.fixture
def keeper(keeper):
    keeper.network("full")
    return keeper


@pytest.fixture
def client(keeper):
    """Return a function that runs a client in the lab and returns what it writes."""

    def run(script, password=PASSWORD):
        settings = {"authority": str(keeper.internet.authority)}
        settings |= {"address": ANNA, "password": password}
        argv = [sys.executable, "-c", BEGIN + script + END, json.dumps(settings)]
        keeper.lab.start("client", argv, "done\n", 60)
        keeper.lab.stop("client")
        return (keeper.lab.folder / "client.log").read_text().removesuffix("done\n")

    return run


@pytest.fixture
def mail(keeper):
    keeper.internet.mail.add_mailbox(ANNA, PASSWORD)
    return keeper.internet.mail


READ = """
box = imaplib.IMAP4_SSL("mail.lab.test", ssl_context=tls)
try:
    box.authenticate("PLAIN", plain)
except imaplib.IMAP4.error as error:
    print("refused", error)
else:
    box.select()
    for number in box.search(None, "ALL")[1][0].split():
        print(box.fetch(number, "(BODY[TEXT])")[1][0][1].decode().strip())
"""


def test_a_mail_is_read_over_imap_with_the_right_password_only(mail, client):
    mail.put(ANNA, "bob@example.org", "Lunch", "At noon.")
    assert client(READ) == "At noon.\n"
    assert client(READ, "wrong").startswith("refused")


def test_imap_does_not_take_a_password_that_everybody_can_read(mail, client):
    said = client("""
class FromElsewhere(imaplib.IMAP4):
    # Dovecot trusts whoever has its own address.
    def _create_socket(self, timeout):
        return socket.create_connection((self.host, self.port), source_address=("10.76.1.1", 0))
box = FromElsewhere("mail.lab.test")
try:
    box.login(settings["address"], "x")
except imaplib.IMAP4.error as error:
    print("refused", error)
box.starttls(tls)
print(box.authenticate("PLAIN", plain)[0])
""")
    assert said.startswith("refused")
    assert "PRIVACYREQUIRED" in said
    assert said.endswith("OK\n")


@pytest.mark.parametrize(
    "connect",
    [
        'way = smtplib.SMTP("mail.lab.test", 587); way.starttls(context=tls)',
        'way = smtplib.SMTP_SSL("mail.lab.test", 465, context=tls)',
    ],
)
def test_who_has_a_mailbox_sends_to_anybody_and_others_do_not(mail, client, connect):
    said = client(f"""
{connect}
text = "Subject: Hi\\n\\nHello."
try:
    way.sendmail(settings["address"], "carl@example.net", text)
except smtplib.SMTPException as error:
    print(error.args[0])
way.ehlo()
print(way.docmd("AUTH PLAIN", __import__("base64").b64encode(plain()).decode())[0])
way.sendmail(settings["address"], ["carl@example.net", settings["address"].upper()], text)
""")
    assert said == "530\n235\n"
    for address in ("carl@example.net", ANNA):
        (message,) = mail.mails(address)
        assert (message["Subject"], message.get_content().strip()) == ("Hi", "Hello.")
    assert mail.mails("other@example.net") == []


def test_a_guest_cannot_flood_the_lab_with_mail(mail, client):
    said = client("""
way = smtplib.SMTP("mail.lab.test", 25)
for size, recipients in ((11 << 20, 1), (10, 150)):
    try:
        refused = way.sendmail("a@b", [f"{n}@example.org" for n in range(recipients)], "x" * size)
        print(len(refused))
    except smtplib.SMTPException as error:
        print(error.args[0])
for number in range(1200):
    try:
        way.sendmail("a@b", "x@example.org", "Subject: x")
    except smtplib.SMTPDataError as error:
        print(number, error.args[0])
        break
""")
    assert said == "552\n50\n900 452\n"


def test_no_name_of_a_recipient_becomes_a_path(mail, client):
    client("""
way = smtplib.SMTP("mail.lab.test", 25)
for recipient in ("../../../up@example.org", "a/b@example.org"):
    way.sendmail("a@b", recipient, "Subject: x")
""")
    assert len(mail.mails("../../../up@example.org")) == 1
    assert len(mail.mails("a/b@example.org")) == 1


def test_only_who_was_given_a_mailbox_has_one(keeper):
    with pytest.raises(UsageError, match="is no address for a mailbox") as caught:
        keeper.internet.mail.add_mailbox("no colon: here", "x")
    assert "anna@lab.test" in caught.value.hint
    with pytest.raises(UsageError, match=r'no mailbox "eve@lab\.test"; known: none'):
        keeper.internet.mail.put("eve@lab.test", "a@b", "x", "y")


def test_pages_go_through_the_proxy_when_they_go_no_other_way(keeper, client):
    keeper.start_proxy()
    keeper.start_proxy()
    said = client("""
way = http.client.HTTPConnection("proxy.lab.test", 3128)
way.request("GET", "http://deb.example.org/")
print(way.getresponse().read().decode())
way = http.client.HTTPSConnection("proxy.lab.test", 3128, context=tls)
way.set_tunnel("www.example.org", 443)
way.request("GET", "/")
print(way.getresponse().read().decode())
""")
    assert "This is deb.example.org." in said
    assert "This is www.example.org." in said


def test_the_authority_stays_the_same_from_lab_to_lab(keeper):
    before = keeper.internet.authority.read_bytes()
    keeper.end()
    keeper.network("full")
    assert keeper.internet.authority.read_bytes() == before


def fetched(*paths):
    """Return a client that writes what curl gets from the upgrade server, as JSON."""
    return f"""
import base64, subprocess
def curl(path):
    argv = ["curl", "--disable", "--silent", "--fail", "--cacert", settings["authority"]]
    argv += ["--resolve", "upgrade.lab.test:443:203.0.113.80", "https://upgrade.lab.test/" + path]
    done = subprocess.run(argv, capture_output=True, env={{"PATH": "/usr/bin:/bin"}})
    return done.returncode, base64.b64encode(done.stdout).decode()
print(json.dumps([curl(path) for path in {paths!r}]))
"""


def test_an_upgrade_is_fetched_as_it_is_described_until_it_is_damaged(keeper, client):
    upgrades = keeper.internet.upgrades
    upgrades.offer("demo", "1.0", "1.1")
    place = "upgrades/demo/1.0"
    names = ["description.json", "description.json.asc", "demo-1.1"]
    paths = [f"{place}/{name}" for name in names]

    def get():
        answers = json.loads(client(fetched(*paths)))
        assert [status for status, _ in answers] == [0, 0, 0]
        return [base64.b64decode(content) for _, content in answers]

    description, signature, content = get()
    said = json.loads(description)
    assert said["url"] == f"https://upgrade.lab.test/{paths[2]}"
    assert (said["size"], said["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    upgrades.damage("demo")
    same, same_signature, damaged = get()
    assert (same, same_signature, len(damaged)) == (description, signature, len(content))
    assert hashlib.sha256(damaged).hexdigest() != said["sha256"]
    upgrades.sign_with_another_key("demo")
    assert get()[:1] == [description]
    assert get()[1] != signature


def test_the_newest_version_is_told_so_and_others_are_told_nothing(keeper, client):
    keeper.internet.upgrades.offer("demo", "1.0", "1.1")
    keeper.internet.upgrades.offer_nothing("demo", "1.1")
    places = [f"upgrades/demo/{version}/description.json" for version in ("1.1", "0.9")]
    (status, content), (missing, _) = json.loads(client(fetched(*places)))
    assert status == 0
    assert json.loads(base64.b64decode(content))["version"] is None
    assert missing == 22  # curl: the server answered with an error
