"""Steps about the desktop: windows, buttons and fields by their names."""

from behave import then, when


@then('the window "{title}" is open')
def window_is_open(context, title):
    """Wait until a window with this title, or this as a part of it, is open."""
    context.test.desktop.wait_window(title)


@then('the window "{title}" is closed')
def window_is_closed(context, title):
    """Wait until no window has this title, or this as a part of it.

    A program that does not answer may still have it: then this fails and names the program.
    """
    context.test.desktop.wait_window_gone(title)


@then('the window "{title}" has the keyboard')
def window_has_keyboard(context, title):
    """Wait until a window with this title, or this as a part of it, gets what is typed."""
    context.test.desktop.wait_window_active(title)


@then('there is the {role:Role} "{name}"')
def there_is(context, role, name):
    """Wait until something of a kind ("button", "entry", "menu item", ...) and name is there."""
    context.test.desktop.wait_node(role, name)


@then('there is the {role:Role} "{name}" within {seconds:g} seconds')
def there_is_within(context, role, name, seconds):
    """Wait at most this long until something of a kind and name is there."""
    context.test.desktop.wait_node(role, name, within=seconds)


@then('in the window "{title}" there is the {role:Role} "{name}"')
def there_is_in(context, title, role, name):
    """Wait until something of a kind and name is in this window. A part of the title will do."""
    context.test.desktop.wait_node(role, name, window=title)


@then('there is no {role:Role} "{name}"')
def there_is_no(context, role, name):
    """Wait until nothing of a kind ("button", "entry", "menu item", ...) and name is there.

    A program that does not answer may still have it: then this fails and names the program.
    """
    context.test.desktop.wait_node_gone(role, name)


@then('the {role:Role} "{name}" can be used')
def can_be_used(context, role, name):
    """Wait until something of a kind and name is there and not greyed out."""
    context.test.desktop.wait_sensitive(role, name, wanted=True)


@then('the {role:Role} "{name}" is greyed out')
def is_greyed_out(context, role, name):
    """Wait until something of a kind and name is there but cannot be used."""
    context.test.desktop.wait_sensitive(role, name, wanted=False)


@then('the {role:Role} "{name}" is checked')
def is_checked(context, role, name):
    """Wait until a check box, toggle button, radio button or menu item is checked."""
    context.test.desktop.wait_checked(role, name, wanted=True)


@then('the {role:Role} "{name}" is not checked')
def is_not_checked(context, role, name):
    """Wait until a check box, toggle button, radio button or menu item is not checked."""
    context.test.desktop.wait_checked(role, name, wanted=False)


@then('the {role:Role} "{name}" shows the number {number:g}')
def shows_number(context, role, name, number):
    """Wait until a slider, a progress bar or a spin button stands at this number."""
    context.test.desktop.wait_number(role, name, number)


@when('I click the {role:Role} "{name}"')
def click_node(context, role, name):
    """Wait until something of a kind ("button", "link", ...) and name can be used; click it."""
    context.test.desktop.click_node(role, name)


@when('in the window "{title}" I click the {role:Role} "{name}"')
def click_node_in(context, title, role, name):
    """Wait until something in this window can be used; click it. A part of the title will do."""
    context.test.desktop.click_node(role, name, title)


@when('I choose "{item}" in "{where}"')
def choose(context, item, where):
    """Choose an item of a drop-down list, both by name."""
    context.test.desktop.choose(item, where)


@when('in the window "{title}" I choose "{item}" in "{where}"')
def choose_in(context, title, item, where):
    """Choose an item of a drop-down list of this window. A part of the title will do."""
    context.test.desktop.choose(item, where, title)


@when('I write "{text}" into "{field}"')
def write(context, text, field):
    """Click into a field, type this text, and see that all of it arrived."""
    context.test.desktop.write(text, field)


@when('in the window "{title}" I write "{text}" into "{field}"')
def write_in(context, title, text, field):
    """Click into a field of this window, type this text, and see that all of it arrived."""
    context.test.desktop.write(text, field, window=title)


@when('I write the secret "{text}" into "{field}"')
def write_secret(context, text, field):
    """Click into a field and type a text that no report may show."""
    context.test.desktop.write(text, field, secret=True)


@then('the field "{field}" holds "{text}"')
def field_holds(context, field, text):
    """Wait until a field holds exactly this text."""
    context.test.desktop.check_text(field, text)


@then('the text in the application "{application}" reads "{text}"')
def text_of_application_reads(context, application, text):
    """Wait until the first text area of an application holds exactly this text."""
    context.test.desktop.check_text_of(application, text)
