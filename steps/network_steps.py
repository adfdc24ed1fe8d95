"""Steps about the network: what the machine is plugged into, and what it sent."""

from behave import given, then, when

from tailstest.suite.needs import asks_for


@given("the machine is in the lab")
@asks_for("lab")
def in_lab(context):
    """Give the machine a network card in a network with a router, names and an Internet.

    All of it is emulated; nothing reaches a real network.
    """
    context.test.define(network="lab")


@given("the machine is on an isolated network")
@asks_for("lab")
def on_isolated_network(context):
    """Give the machine a network card in a network that gives out addresses, and nothing else."""
    context.test.define(network="isolated")


@given("the network cable is not plugged in")
def cable_not_plugged(context):
    """Let the machine start without a cable in its network card."""
    context.test.define(cable=False)


@given('the network card has the MAC address "{mac}"')
def card_has_mac(context, mac):
    """Choose the real MAC address of the machine's network card, in lower case with colons."""
    context.test.define(mac=mac)


@when("I plug in the network cable")
def plug_in_cable(context):
    """Plug the cable into the network card, a second after it was pulled out if that was now."""
    context.test.network.plug_cable(plugged=True)


@when("I pull out the network cable")
def pull_out_cable(context):
    """Pull the cable out of the network card."""
    context.test.network.plug_cable(plugged=False)


@when('I call this moment "{moment}"')
def call_this_moment(context, moment):
    """Remember when this was, for "Then the machine sent nothing before ..."."""
    context.test.network.traffic.remember(moment)


@given("packets take {milliseconds:g} ms to the network")
def packets_take(context, milliseconds):
    """Make the wire slow: each packet takes this long, in each direction."""
    context.test.network.shape(delay=milliseconds / 1000)


@given("{percent:g} % of the packets are lost")
def packets_are_lost(context, percent):
    """Make the wire bad: this share of the packets is lost."""
    context.test.network.shape(loss=percent / 100)


@given("{percent:g} % of the packets arrive late")
def packets_arrive_late(context, percent):
    """Make the wire bad: this share of the packets is overtaken by later ones."""
    context.test.network.shape(reorder=percent / 100)


@given("the wire carries {kilobits:g} kbit/s")
def wire_carries(context, kilobits):
    """Make the wire narrow."""
    context.test.network.shape(rate=kilobits * 1000)


@given("the lab blocks {protocol:Protocol} port {port:d}")
def block_port(context, protocol, port):
    """Let all packets to this port vanish: "TCP port 443"."""
    context.test.network.block_port(protocol, port)


@given('the lab says that "{name}" has the address "{address}"')
def say_address(context, name, address):
    """Let the lab's name server tell this address, right or wrong."""
    context.test.network.services.answer(name, [address])


@given('the lab says that "{name}" does not exist')
def say_no_address(context, name):
    """Let the lab's name server say that there is no such name."""
    context.test.network.services.answer(name, [])


@given('the lab shows the folder "{folder}" as "{host}"')
def show_folder(context, folder, host):
    """Let the lab's web server show the files of a folder of the suite under this host name."""
    context.test.network.services.show_folder(host, str(context.test.suite / folder))


@given('the certificate of the lab\'s authority is inside as "{target}"')
def hand_over_authority(context, target):
    """Write the certificate that vouches for all servers of the lab into a file inside (PEM).

    What the system needs to trust it is another step, such as running update-ca-certificates.
    """
    context.test.inside.put_text(context.test.network.services.authority, target)


@given("the lab has a web proxy")
def has_proxy(context):
    """Start a web proxy in the lab: proxy.lab.test, port 3128."""
    context.test.network.services.start_proxy()


@given('the lab has the mailbox "{address}" with the password "{password}"')
def has_mailbox(context, address, password):
    """Give somebody a mailbox on mail.lab.test: IMAP on 143 and 993, SMTP on 25, 465 and 587."""
    context.test.network.services.add_mailbox(address, password)


@given('the mail "{subject}" from "{sender}" is in the mailbox "{address}"')
def mail_is_there(context, subject, sender, address):
    """Put a mail into a mailbox of the lab; its text stands below the step."""
    context.test.network.services.put_mail(address, sender, subject, context.text or "")


@then('the mail "{subject}" has come to "{address}"')
def mail_has_come(context, subject, address):
    """Wait until a mail was sent to an address of the lab or any other.

    A text below the step must stand in the mail.
    """
    context.test.network.services.wait_mail(address, subject, context.text or "")


@given('the lab has the APT repository "{host}" with the packages')
def has_packages(context, host):
    """Make packages, each with a program of its own name, and show them; columns: name, version.

    In sources.list it is `deb [signed-by=KEY] http://HOST ./`.
    """
    rows = [(row["name"], row["version"]) for row in context.table or ()]
    context.test.network.services.add_packages(host, rows)


@given('the key of the APT repository "{host}" is inside as "{target}"')
def hand_over_key(context, host, target):
    """Write the key that the lab's APT repository is signed with into a file inside."""
    context.test.inside.put_text(context.test.network.services.repository(host).public_key, target)


@given('the package "{name}" of the APT repository "{host}" is damaged')
def package_is_damaged(context, name, host):
    """Change one byte of a package after the repository was signed."""
    context.test.network.services.damage_package(host, name)


@given('the APT repository "{host}" is signed by somebody else')
def signed_by_somebody_else(context, host):
    """Sign the lab's APT repository with a key that no machine has been given."""
    context.test.network.services.sign_with_another_key(host)


@given("the lab has a Tor network")
def has_tor(context):
    """Start a private Tor network in the lab and wait until it carries something."""
    context.test.network.services.start_tor()


@given('the configuration of the lab\'s Tor network is inside as "{target}"')
def hand_over_tor(context, target):
    """Write what a tor in the machine needs to use the lab's Tor network into a file inside."""
    context.test.inside.put_text(context.test.network.services.tor.client_lines, target)


@given("the lab's Tor network has an obfs4 bridge")
def has_bridge(context):
    """Start a bridge, which no directory lists, and wait until it takes clients.

    It needs Debian's package obfs4proxy on this host.
    """
    context.test.network.services.start_tor_bridge()


@given('the configuration of the lab\'s Tor network by its bridge is inside as "{target}"')
def hand_over_bridge(context, target):
    """Write what a tor in the machine needs to use the bridge alone into a file inside.

    The machine must have obfs4proxy as Debian's package has it.
    """
    context.test.inside.put_text(context.test.network.services.tor.client_lines_by_bridge, target)


@given("the lab is a hotspot with a login page")
def hotspot(context):
    """Let every web page lead to a login page, until the machine has logged in there."""
    context.test.network.services.ask_for_login()


@given("the lab's clock is {seconds:g} seconds ahead")
def clock_is_ahead(context, seconds):
    """Let the lab's time server tell a wrong time; a number below 0 is behind."""
    context.test.network.services.set_clock(seconds)


@then("the machine has an address from the network")
def has_address(context):
    """Wait until the lab has given the machine an address since it was started or unplugged.

    One that it was given before a reset, a restart or a power cut, or before its cable was pulled
    out, counts only when the lab has acknowledged it anew.
    """
    context.test.network.wait_address()


@then("the machine has sent nothing")
def has_sent_nothing(context):
    """Check that the machine sent no packet at all since it was switched on."""
    context.test.network.traffic.check_silent()


@then('the machine sent nothing before "{moment}"')
def sent_nothing_before(context, moment):
    """Check that the machine sent no packet at all before a moment that was given this name."""
    context.test.network.traffic.check_silent(moment)


@then("no packet carried my real MAC address")
def no_real_mac(context):
    """Check that the MAC address of the machine's card is in no packet, in whatever form."""
    context.test.network.traffic.check_real_mac()


@then("packets carried my real MAC address")
def real_mac(context):
    """Check that the MAC address of the machine's card is in some packet: nothing hid it."""
    context.test.network.traffic.check_real_mac_is_told()


@then('no packet told the host name "{name}"')
def no_host_name(context, name):
    """Check that no packet tells this name of the computer, in whatever case.

    It is found where names are told: DHCP (options 12 and 81, a client id of text), DHCPv6, DNS,
    mDNS, LLMNR, NetBIOS. One of six characters or more is found in all packets.
    """
    context.test.network.traffic.check_host_name(name)


@then('what was sent obeys the policy "{file}"')
def obeys_policy(context, file):
    """Check that the machine sent nothing but what a policy allows: a TOML file of the suite.

    It is one of `tailstest capture check --policy`; others on the network need not stand in it.
    """
    context.test.network.traffic.check_policy(file)


@then("only these hosts were contacted")
def only_these_hosts(context):
    """Check that the machine talked to nobody else; the columns: host, protocol, port.

    A host is an address, a network, a name of the lab, "router", "Tor relays" for all of them, or
    "bridge" (of the lab's Tor network; TCP, port 4443). What every network needs (ARP, neighbour
    discovery, DHCP) is always allowed, whatever DHCP tells; looking up names is not.
    """
    context.test.network.traffic.check_only_hosts([tuple(row.cells) for row in context.table or ()])


@then("all Internet traffic has only flowed through Tor")
def only_tor(context):
    """Check that the machine talked to the lab's Tor relays, or its bridge, and to nobody else.

    What every network needs (ARP, neighbour discovery, DHCP) is allowed, whatever DHCP tells;
    looking up names is not.
    """
    context.test.network.traffic.check_only_tor()
