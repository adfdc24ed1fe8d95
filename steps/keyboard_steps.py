"""Steps about the keyboard."""

from behave import given, then, when


@given('the keyboard layout "{layout}"')
def use_layout(context, layout):
    """Type as on a keyboard of this layout: "us", "de", "fr", "es", "ru", "us(intl)", ..."""
    context.test.use_layout(layout)


@when('I type "{text}"')
def type_text(context, text):
    """Type this text, key by key."""
    context.test.keyboard.type(text)


@when('I enter "{text}"')
def enter_text(context, text):
    """Type this text, then press Enter."""
    context.test.keyboard.type(text + "\n")


@when('I type "{text}" behind "{prompt}" and see it arrive')
def type_behind_prompt(context, text, prompt):
    """Type one line behind a prompt, read it from the screen, and repair what was lost."""
    context.test.tester.type_behind(prompt, text)


@when("I type this text")
def type_long_text(context):
    """Type the text between the triple quotes, line ends included."""
    context.test.keyboard.type(context.text)


@when('I press "{keys:Keys}"')
def press_keys(context, keys):
    """Press a key or keys together, by their usual names: "F10", "Ctrl+Alt+T", "Page Down"."""
    context.test.keyboard.press(keys)


@when('I press "{keys:Keys}" {count:d} times')
def press_keys_repeatedly(context, keys, count):
    """Press the same key or keys several times."""
    context.test.keyboard.press(*[keys] * count)


@then('pressing "{keys:Keys}" changes the screen')
def pressing_changes_screen(context, keys):
    """Press a key or keys together and wait until the screen reacts."""
    context.test.tester.press_and_wait_change(keys)


@when('I press "{keys:Keys}" until I see "{text}"')
def press_until_text(context, keys, text):
    """Press again and again, looking after each time, until this text can be read."""
    context.test.tester.press_until_text(keys, text)
