"""Steps about what is on the screen."""

from behave import then, when


@then('I see "{text}"')
def see_text(context, text):
    """Wait until this text can be read anywhere on the screen; case and spacing may differ."""
    context.test.screen.wait_text(text)


@then('I see "{text}" within {seconds:g} seconds')
def see_text_within(context, text, seconds):
    """Wait at most this long until this text can be read anywhere on the screen."""
    context.test.screen.wait_text(text, within=seconds)


@then("I see all of these texts")
def see_texts(context):
    """Wait until each text of the table (any heading) can be read."""
    rows = context.table or ()
    context.test.tester.see_all([text for row in rows for text in row.cells])


@then('"{text}" disappears')
def text_disappears(context, text):
    """Wait until this text cannot be read any more."""
    context.test.screen.wait_text_gone(text)


@then('I do not see "{text}"')
def do_not_see_text(context, text):
    """Check that this text is not on the screen now, without waiting."""
    context.test.tester.check_text_absent(text)


@then('I see the picture "{reference}"')
def see_picture(context, reference):
    """Wait for a reference image, by its name or by one of its tags."""
    context.test.screen.wait_for(reference)


@then('I see the picture "{reference}" within {seconds:g} seconds')
def see_picture_within(context, reference, seconds):
    """Wait at most this long for a reference image, by its name or by one of its tags."""
    context.test.screen.wait_for(reference, within=seconds)


@then("I see one of these pictures")
def see_any_picture(context):
    """Wait until any of the reference images in the table (one column, any heading) is there."""
    context.test.screen.wait_for(*(row[0] for row in context.table or ()))


@then('the picture "{reference}" disappears')
def picture_disappears(context, reference):
    """Wait until a reference image is not on the screen any more."""
    context.test.screen.wait_gone(reference)


@when("I remember the screen")
def remember_screen(context):
    """Keep what is on the screen now, for "the screen has changed"."""
    context.test.tester.remember()


@then("the screen has changed")
def screen_has_changed(context):
    """Wait until the screen differs from the one remembered last."""
    context.test.tester.wait_changed()


@then("the screen stays still for {seconds:g} seconds")
def screen_stays_still(context, seconds):
    """Wait until nothing moved for this long; a blinking cursor does not count."""
    context.test.screen.wait_still(seconds=seconds)


@then("the screen is not blank")
def screen_not_blank(context):
    """Wait until the screen shows more than a single colour."""
    context.test.screen.wait_not_blank()
