"""Steps about what memory and media remember, and about power that fails."""

from behave import given, then, when

from tailstest.suite.needs import asks_for


@given('a program inside holds the secret "{name}"')
def program_holds_secret(context, name):
    """Start a program inside that holds a secret in its memory; what it is, nobody was told."""
    context.test.secrets.plant_in_program(name)


@given('the file "{path}" inside holds the secret "{name}"')
def file_holds_secret(context, path, name):
    """Write a file inside with a secret in it; what it is, nobody was told."""
    context.test.secrets.plant_in_file(name, path)


@when('the program with the secret "{name}" is killed')
def kill_program_with_secret(context, name):
    """End the program at once, so that it cannot wipe anything itself."""
    context.test.secrets.kill_program(name)


@then('the memory of the machine holds the secret "{name}"')
@asks_for("main memory")
def memory_holds_secret(context, name):
    """Search the whole main memory, raw and in UTF-16; a secret must be there at least once."""
    context.test.secrets.check_memory([name], held=True)


@then("the memory of the machine holds every secret")
@asks_for("main memory")
def memory_holds_every_secret(context):
    """Search the whole main memory for all secrets that were planted; each must be there."""
    context.test.secrets.check_memory(None, held=True)


@then('the memory of the machine no longer holds the secret "{name}"')
@asks_for("main memory")
def memory_holds_secret_no_longer(context, name):
    """Search the whole main memory, as it is or as it was when the machine went off.

    A step before must have found the secret, or else that it is gone would prove nothing.
    """
    context.test.secrets.check_memory([name], held=False)


@then("the memory of the machine no longer holds any secret")
@asks_for("main memory")
def memory_holds_no_secret(context):
    """Search the whole main memory for all secrets; steps before must have found each of them."""
    context.test.secrets.check_memory(None, held=False)


@then('the memory of the machine holds the text "{text}"')
@asks_for("main memory")
def memory_holds_text(context, text):
    """Search the whole main memory for a text of at least 8 bytes, raw and in UTF-16."""
    context.test.secrets.know_text(text)
    context.test.secrets.check_memory([text], held=True)


@then('the memory of the machine no longer holds the text "{text}"')
@asks_for("main memory")
def memory_holds_text_no_longer(context, text):
    """Search the whole main memory for a text that a step before has found there."""
    context.test.secrets.know_text(text)
    context.test.secrets.check_memory([text], held=False)


@then('the USB stick "{name}" holds the text "{text}"')
def stick_holds_text(context, name, text):
    """Search all bytes of a stick for a text, raw and in UTF-16; packed files are not unpacked."""
    context.test.secrets.know_text(text)
    context.test.secrets.check_stick(name, [text], held=True)


@then('the USB stick "{name}" holds the secret "{secret}"')
def stick_holds_secret(context, name, secret):
    """Search all bytes of a stick for a secret, raw and in UTF-16."""
    context.test.secrets.check_stick(name, [secret], held=True)


@then('the USB stick "{name}" does not hold the secret "{secret}"')
def stick_does_not_hold_secret(context, name, secret):
    """Search all bytes of a stick for a secret that a step before has found somewhere."""
    context.test.secrets.check_stick(name, [secret], held=False)


@then("no medium holds any secret")
def no_medium_holds_secret(context):
    """Search all sticks and disks of the scenario; steps before must have found each secret.

    The stick that the machine was started from is one of them, whether it has a name or not.
    """
    context.test.secrets.check_media()


@when("the power fails")
def power_fails(context):
    """Let the power fail now. A medium keeps what was flushed, and may lose what was not.

    "I switch the machine off" is kinder: all that the system had given to a medium gets there.
    """
    context.test.machine.fail_power()


@when('the power fails after another {size:Size} is written to the USB stick "{name}"')
def power_fails_after(context, size, name):
    """Wait until the system has written that much more to the stick, and let the power fail."""
    context.test.power_cuts.fail_after(name, size)


@when(
    'the USB stick "{name}" is copied {count:d} times as if the power failed, '
    "each time after another {size:Size}"
)
def copy_as_if_power_failed(context, name, count, size):
    """Copy the stick at moments while the system writes to it, as failing power would leave it.

    The machine goes on. The copies are sticks called "mine, cut 1", "mine, cut 2", ...
    """
    context.test.power_cuts.copy_at_moments(name, count, size)


@given('a program inside writes notes into "{path}" and confirms each')
def program_writes_notes(context, path):
    """Start a program that writes one note after another and says so when the medium has it.

    It says so on the first serial port, whose log nobody loses when the power fails.
    """
    context.test.power_cuts.start_notes(path)


@then(
    'every copy of the USB stick "{name}" has all confirmed notes in "{path}" on partition '
    '{number:d}, which "{passphrase}" opens'
)
def copies_have_notes(context, name, path, number, passphrase):
    """Look at all copies from the host: no note that was confirmed before may be missing."""
    context.test.power_cuts.check_notes(name, number, path, passphrase)
