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
    """Plug the cable into the network card."""
    context.test.network.plug_cable(plugged=True)


@when("I pull out the network cable")
def pull_out_cable(context):
    """Pull the cable out of the network card."""
    context.test.network.plug_cable(plugged=False)


@when('I call this moment "{moment}"')
def call_this_moment(context, moment):
    """Remember when this was, for "Then the machine sent nothing before ..."."""
    context.test.network.remember(moment)


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
    context.test.network.answer(name, [address])


@given('the lab says that "{name}" does not exist')
def say_no_address(context, name):
    """Let the lab's name server say that there is no such name."""
    context.test.network.answer(name, [])


@given('the lab shows the folder "{folder}" as "{host}"')
def show_folder(context, folder, host):
    """Let the lab's web server show the files of a folder of the suite under this host name."""
    context.test.network.show_folder(host, str(context.test.suite / folder))


@given("the lab has a Tor network")
def has_tor(context):
    """Start a private Tor network in the lab and wait until it carries something."""
    context.test.network.start_tor()


@given('the configuration of the lab\'s Tor network is inside as "{target}"')
def hand_over_tor(context, target):
    """Write what a tor in the machine needs to use the lab's Tor network into a file inside."""
    context.test.inside.put_text(context.test.network.tor.client_lines, target)


@given("the lab is a hotspot with a login page")
def hotspot(context):
    """Let every web page lead to a login page, until the machine has logged in there."""
    context.test.network.ask_for_login()


@given("the lab's clock is {seconds:g} seconds ahead")
def clock_is_ahead(context, seconds):
    """Let the lab's time server tell a wrong time; a number below 0 is behind."""
    context.test.network.set_clock(seconds)


@then("the machine has an address from the network")
def has_address(context):
    """Wait until the machine has been given an address by the lab."""
    context.test.network.wait_address()


@then("the machine has sent nothing")
def has_sent_nothing(context):
    """Check that the machine sent no packet at all since it was switched on."""
    context.test.network.check_silent()


@then('the machine sent nothing before "{moment}"')
def sent_nothing_before(context, moment):
    """Check that the machine sent no packet at all before a moment that was given this name."""
    context.test.network.check_silent(moment)


@then("no packet carried my real MAC address")
def no_real_mac(context):
    """Check that the MAC address of the machine's card is in no packet, in whatever form."""
    context.test.network.check_real_mac()


@then("only these hosts were contacted")
def only_these_hosts(context):
    """Check that the machine talked to nobody else; the columns: host, protocol, port.

    A host is an address, a network, "router" or a name of the lab. What every network needs (ARP,
    neighbour discovery, DHCP) is always allowed; looking up names is not.
    """
    context.test.network.check_only_hosts([tuple(row.cells) for row in context.table or ()])


@then("all Internet traffic has only flowed through Tor")
def only_tor(context):
    """Check that the machine talked to the lab's Tor relays and to nobody else.

    What every network needs (ARP, neighbour discovery, DHCP) is allowed; looking up names is not.
    """
    context.test.network.check_only_tor()
