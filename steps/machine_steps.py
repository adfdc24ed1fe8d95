"""Steps about the machine: what it is made of, booting it, its power."""

from behave import given, then, when

from tailstest.suite.fitting import chooses_image, turns_to_machine
from tailstest.suite.needs import asks_for


@given('the image "{image}"')
@chooses_image
def use_image(context, image):
    """Choose what to boot: a file, or the name of a profile such as "grub-rescue"."""
    context.test.use_image(image)


@given("the image under test")
@chooses_image
def use_image_under_test(context):
    """Choose the image that was given with `tailstest run --image`."""
    context.test.use_image(None)


@given("a {firmware:Firmware} machine")
def define_machine(context, firmware):
    """Describe the machine to boot: "a BIOS machine" or "a UEFI machine"."""
    context.test.define(firmware=firmware)


@given("a {firmware:Firmware} machine with {memory:d} MiB of memory")
@asks_for("memory")
def define_machine_with_memory(context, firmware, memory):
    """Describe the machine to boot, and how much memory it has."""
    context.test.define(firmware=firmware, memory_mib=memory)


@given("the machine has {count:d} CPUs")
def define_cpus(context, count):
    """Give the machine that will be booted this many processors."""
    context.test.define(cpus=count)


@given("the machine's clock is {error:ClockError}")
def define_clock(context, error):
    """Set the hardware clock wrong: "365 days behind" or "2 hours ahead" of the right time."""
    context.test.define(clock_ahead=error)


@given("a {chipset:Chipset} board")
def define_chipset(context, chipset):
    """Choose the board: "a PC board" (i440FX, about 1996) or "a Q35 board" (PCI Express)."""
    context.test.define(chipset=chipset)


@given("the machine has a network card")
def define_network(context):
    """Connect the machine to a small emulated network that cannot reach any real one."""
    context.test.define(network="user")


@given("the inside is reached through {way:WayIn}")
def use_channel(context, way):
    """Choose how commands get inside; the profile of the image says it else.

    "our agent" and "QEMU's guest agent" are in the image; through "a shell on the serial port",
    which systemd opens with `systemd.debug_shell=ttyS0` on the kernel command line, and "a login on
    the serial port" our agent is installed, and gone with the next start. "what the image offers"
    waits for the first of these that shows itself.
    """
    context.test.define(channel=way)


@given('the inside is reached through a login on the serial port with the password "{password}"')
def use_login(context, password):
    """Get inside as root at the prompt on the serial port; the agent is installed then."""
    context.test.define(channel="serial-login", login_password=password)


@given('another machine called "{name}"')
@turns_to_machine
def add_machine(context, name):
    """Let another machine join; what steps say from here on is about it.

    It has its own image, parts, keyboard, media and card, and shares with the others the lab and
    the media on the shelf. See docs/writing-scenarios.md.
    """
    context.test.add_machine(name)


@given('I turn to the machine "{name}"')
@when('I turn to the machine "{name}"')
@turns_to_machine
def turn_to_machine(context, name):
    """Let what steps say from here on be about that machine; the first one is called "first"."""
    context.test.turn_to(name)


@given("the machine starts from a {medium:Medium}")
@when("I start the machine from a {medium:Medium}")
@asks_for("machine")
def start_machine(context, medium):
    """Put the image on "a DVD" or "a USB stick", plug it in and switch the machine on."""
    context.test.start(medium)


@when('I add "{parameters}" to the kernel command line at the boot menu')
def add_kernel_parameters(context, parameters):
    """Stop the countdown of the boot menu, add these parameters to the chosen entry and boot it."""
    context.test.station.boot_with_parameters(parameters)


@when("I boot the default entry of the boot menu")
def boot_default_entry(context):
    """Press Enter when the boot menu is there, instead of waiting for the end of its countdown."""
    context.test.station.boot_default_entry()


@when("I switch the machine off")
def switch_off(context):
    """Cut the power, as pulling the plug would."""
    context.test.machine.power_off()


@when("I switch the machine on")
def switch_on(context):
    """Switch the same machine on again, with the same media in it."""
    context.test.machine.power_on()


@when("I press the power button")
def press_power_button(context):
    """Press the power button shortly; a running system is asked to shut down."""
    context.test.machine.press_power_button()


@when("I reset the machine")
def reset_machine(context):
    """Press the reset button."""
    context.test.machine.reset()


@when("I pull out the USB stick")
def pull_stick(context):
    """Pull out the USB stick that the machine was started from, without a word to the system."""
    context.test.machine.pull_stick()


@then("the machine switches itself off")
def switches_off(context):
    """Wait until the machine is off, because what runs in it said so."""
    context.test.machine.wait_off()


@then("the machine switches itself off within {seconds:g} seconds")
def switches_off_within(context, seconds):
    """Wait at most this long until the machine is off, because what runs in it said so."""
    context.test.machine.wait_off(within=seconds)


@then("the machine restarts")
def restarts(context):
    """Wait until what runs in the machine made it restart."""
    context.test.machine.wait_reset()


@then("the machine is still running")
def still_running(context):
    """Check that the machine neither crashed nor switched itself off."""
    context.test.machine.check_running()


@then('the serial console shows "{text}"')
def serial_shows(context, text):
    """Wait until this text was printed on the first serial port."""
    context.test.machine.wait_serial(text)


@then('the serial console shows "{text}" within {seconds:g} seconds')
def serial_shows_within(context, text, seconds):
    """Wait at most this long until this text was printed on the first serial port."""
    context.test.machine.wait_serial(text, within=seconds)
