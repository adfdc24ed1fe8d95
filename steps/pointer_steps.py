"""Steps about the mouse pointer."""

from behave import when


@when('I click "{text}"')
def click_text(context, text):
    """Wait for what bears this name or text, and click it.

    Where the profile of the image names a desktop's users, it is looked for in the accessibility
    tree first, then as a reference image of that name, then by reading the screen.
    """
    context.test.desktop.click(text)


@when('I double-click "{text}"')
def double_click_text(context, text):
    """Wait for this text on the screen and double-click into its middle."""
    context.test.desktop.click(text, count=2)


@when('I right-click "{text}"')
def right_click_text(context, text):
    """Wait for this text on the screen and click it with the right button."""
    context.test.desktop.click(text, button="right")


@when('I click the picture "{reference}"')
def click_picture(context, reference):
    """Wait for a reference image and click its click point, or else its middle."""
    context.test.tester.click_picture(reference)


@when('I click the point "{point}" of the picture "{reference}"')
def click_point_of_picture(context, point, reference):
    """Wait for a reference image and click one of its named click points."""
    context.test.tester.click_picture(reference, point=point)


@when('I double-click the picture "{reference}"')
def double_click_picture(context, reference):
    """Wait for a reference image and double-click it."""
    context.test.tester.click_picture(reference, count=2)


@when("I scroll {direction:Direction} {count:d} steps")
def scroll(context, direction, count):
    """Turn the mouse wheel "up" or "down" by this many steps, where the pointer is."""
    context.test.pointer.scroll(direction * count)


@when('I scroll {direction:Direction} at "{text}" until I see "{wanted}"')
def scroll_until_text(context, direction, text, wanted):
    """Turn the mouse wheel with the pointer on one text until another one can be read."""
    context.test.tester.scroll_until_text(text, wanted, direction)


@when("I move the pointer out of the way")
def park_pointer(context):
    """Put the pointer where it covers nothing and triggers nothing."""
    context.test.pointer.park()
