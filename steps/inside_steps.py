"""Steps about the inside of the machine: commands, files, units, the journal."""

from behave import given, then, when


@then("the inside can be reached")
def reach_inside(context):
    """Wait until commands can be run inside the machine."""
    context.test.inside.wait_ready()


@when('I run "{command}" inside')
def run_inside(context, command):
    """Run a command inside the machine, as root."""
    context.test.inside.run(command)


@when('I run "{command}" inside as "{user}"')
def run_inside_as(context, command, user):
    """Run a command inside the machine, as this user."""
    context.test.inside.run(command, user=user)


@when('I run "{command}" inside within {seconds:g} seconds')
def run_inside_within(context, command, seconds):
    """Run a command inside, as root, that may take this long; then it is killed."""
    context.test.inside.run(command, within=seconds)


@when('I run "{command}" inside as "{user}" within {seconds:g} seconds')
def run_inside_as_within(context, command, user, seconds):
    """Run a command inside, as this user, that may take this long; then it is killed."""
    context.test.inside.run(command, user=user, within=seconds)


@when('I run "{command}" in the session of "{user}"')
def run_in_session(context, command, user):
    """Run a command on the desktop of this user, and wait until it has ended."""
    context.test.inside.run(command, user=user, session=True)


@when('I start "{command}" inside')
def start_inside(context, command):
    """Start a program inside the machine, as root, and let it run."""
    context.test.inside.start(command)


@when('I start "{command}" in the session of "{user}"')
def start_in_session(context, command, user):
    """Start a program on the desktop of this user and let it run; its windows appear there."""
    context.test.inside.start(command, user=user, session=True)


@then("the command succeeds")
def command_succeeds(context):
    """Check that the last command inside ended with status 0."""
    context.test.inside.check_succeeded()


@then("the command fails")
def command_fails(context):
    """Check that the last command inside ended with another status than 0.

    Not 126 or 127 either: then it was not found or cannot be executed, and nothing was tried.
    """
    context.test.inside.check_failed()


@then('the command writes "{text}"')
def command_writes(context, text):
    """Check that the last command inside wrote this text, among others."""
    context.test.inside.check_output(text)


@then('the command writes only "{text}"')
def command_writes_only(context, text):
    """Check that the last command inside wrote this text and nothing else."""
    context.test.inside.check_output(text, whole=True)


@then('the command does not write "{text}"')
def command_does_not_write(context, text):
    """Check that the last command inside did not write this text, nor as an error.

    It must have ended by itself, in time, and must not have been missing (status 126 or 127).
    """
    context.test.inside.check_output(text, absent=True)


@then("the clock inside is right")
def clock_is_right(context):
    """Wait until the clock inside tells the time of the host, give or take a minute."""
    context.test.inside.check_clock()


@then("the clock inside is {error:ClockError}")
def clock_is_wrong(context, error):
    """Wait until the clock inside is wrong by this, "365 days behind", give or take a minute."""
    context.test.inside.check_clock(error)


@when('I remember what the command wrote as "{name}"')
def remember_output(context, name):
    """Keep what the last command inside wrote, to compare with it later."""
    context.test.inside.remember_output(name)


@then('the command writes the same as "{name}"')
def writes_the_same(context, name):
    """Check that the last command inside wrote what was remembered under this name."""
    context.test.inside.check_against(name, same=True)


@then('the command writes something else than "{name}"')
def writes_something_else(context, name):
    """Check that the last command inside wrote something else than what was remembered."""
    context.test.inside.check_against(name, same=False)


@given('the file "{source}" of the suite is inside as "{target}"')
def put_file(context, source, target):
    """Copy a file of the suite into the machine."""
    context.test.inside.put_file(context.test.suite / source, target)


@given('this text is inside as "{target}"')
def put_text(context, target):
    """Write the text below the step into a file inside the machine."""
    context.test.inside.put_text(f"{context.text}\n", target)


@then('the file "{path}" inside has "{text}" in it')
def file_has_text(context, path, text):
    """Check that a file inside the machine has this text in it."""
    context.test.inside.check_file_contains(path, text)


@then('there is a file "{path}" inside')
def file_is_there(context, path):
    """Wait until a file or folder is there inside the machine."""
    context.test.inside.wait_file(path)


@then('there is no file "{path}" inside')
def file_is_not_there(context, path):
    """Check that a file or folder is not there inside the machine."""
    context.test.inside.check_no_file(path)


@when('I keep the file "{path}" of the inside')
def keep_file(context, path):
    """Copy a file of the system inside into the report."""
    context.test.keep_from_inside(path)


@then("the system has started completely")
def system_has_started(context):
    """Wait until everything that starts by itself has started or failed."""
    context.test.system.wait_started()


@then("the system has started completely within {seconds:g} seconds")
def system_has_started_within(context, seconds):
    """Wait at most this long until everything that starts by itself has started or failed."""
    context.test.system.wait_started(within=seconds)


@then("no unit has failed")
def no_unit_has_failed(context):
    """Check that no service or other unit of systemd failed."""
    context.test.system.check_no_failed_unit()


@then('the unit "{unit}" is active')
def unit_is_active(context, unit):
    """Wait until a unit of systemd is active."""
    context.test.system.wait_unit(unit)


@then("the TCP port {port:d} is open inside")
def port_is_open(context, port):
    """Wait until a program inside the machine listens on this port, on whatever address."""
    context.test.system.wait_port(port)


@then('a process "{name}" runs')
def process_runs(context, name):
    """Wait until a process of this name runs inside the machine.

    Of a long name only the first 15 bytes count; the kernel keeps no more.
    """
    context.test.system.wait_process(name)


@then('no process "{name}" runs')
def no_process_runs(context, name):
    """Wait until no process of this name runs inside the machine.

    Of a long name only the first 15 bytes count; the kernel keeps no more.
    """
    context.test.system.check_no_process(name)


@then('the journal has no message of priority "{priority}" or worse')
def journal_is_clean(context, priority):
    """Check the journal of this start. A table may allow texts, one in a row, under any heading."""
    rows = context.table or ()
    context.test.system.check_journal(priority, [row.cells[0] for row in rows])


@then("at most {most:d} MiB of memory are in use")
def memory_in_use(context, most):
    """Check how much memory the system uses."""
    context.test.system.check_memory(most)
