"""Steps about media: making USB sticks, plugging them in and pulling them out, changing DVDs."""

from behave import given, when


@given('a blank USB stick "{name}" of {size:Size}')
def blank_stick(context, name, size):
    """Get a USB stick as it comes out of the shop; sizes are written "2 GiB" or "8 GB"."""
    context.test.shelf.add_blank(name, size)


@given('a USB stick "{name}" of {size:Size} with the image under test')
def stick_with_image(context, name, size):
    """Write the image onto a USB stick, as `dd` does; the rest of the stick stays blank.

    It is the image that the scenario chose, or else the one that was given with `--image`.
    """
    context.test.shelf.add_with_image(name, size, context.test.chosen_image())


@given('a copy "{name}" of the USB stick "{other}"')
def copied_stick(context, name, other):
    """Get a USB stick with the same content as another one, which must not be in use."""
    context.test.shelf.add_copy(name, other)


@given('the USB stick "{name}" is plugged in')
def stick_is_plugged_in(context, name):
    """Plug in a USB stick; before the machine is started, it is there from the beginning."""
    context.test.shelf.plug_in(name)


@given('the machine starts from the USB stick "{name}"')
@when('I start the machine from the USB stick "{name}"')
def start_from_stick(context, name):
    """Plug the USB stick in if it is not, and switch the machine on so that it boots from it.

    A machine that was switched off before is the same machine, with what else is plugged in.
    """
    context.test.start("usb", stick=name)


@when('I plug in the USB stick "{name}"')
def plug_in_stick(context, name):
    """Plug a USB stick into the machine, whether it runs or not."""
    context.test.shelf.plug_in(name)


@when('I pull out the USB stick "{name}"')
def pull_out_stick(context, name):
    """Pull out a USB stick without a word to the system, whether the machine runs or not."""
    context.test.shelf.pull_out(name)


@when("I eject the DVD")
def eject_dvd(context):
    """Take the DVD out of the drive, even if the system has locked it."""
    context.test.shelf.eject_dvd()


@when('I put in the DVD "{image}"')
def put_in_dvd(context, image):
    """Put a DVD into the drive: a file, or the name of a profile such as "grub-rescue"."""
    context.test.shelf.put_in_dvd(context.test.find_image(image))
