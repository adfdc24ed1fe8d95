"""Steps about upgrades: what the lab's upgrade server offers, and what is wrong with it."""

from behave import given


@given('the lab offers the upgrade "{version}" of "{product}" for version "{installed}"')
def offers_upgrade(context, version, product, installed):
    """Offer an upgrade of 200 KiB at https://upgrade.lab.test to those who have that version.

    How it is found and what is signed: docs/network.md.
    """
    context.test.network.services.offer_upgrade(product, installed, version)


@given(
    'the lab offers {size:Size} as the upgrade "{version}" of "{product}" for version "{installed}"'
)
def offers_size(context, size, version, product, installed):
    """Offer an upgrade of this size, which may have 1 GiB at most; the bytes mean nothing."""
    context.test.network.services.offer_upgrade(product, installed, version, size)


@given(
    'the lab offers the file "{path}" as the upgrade "{version}" of "{product}" '
    'for version "{installed}"'
)
def offers_file(context, path, version, product, installed):
    """Offer a file of the suite as an upgrade."""
    file = str(context.test.suite / path)
    context.test.network.services.offer_file_as_upgrade(product, installed, version, file)


@given('the lab offers no upgrade of "{product}" for version "{installed}"')
def offers_no_upgrade(context, product, installed):
    """Say, under a signature, that this version is the newest one; no answer says nothing."""
    context.test.network.services.offer_no_upgrade(product, installed)


@given('the upgrade of "{product}" is damaged')
def upgrade_is_damaged(context, product):
    """Change one byte of what is offered now; its size and its description stay."""
    context.test.network.services.damage_upgrade(product)


@given('the upgrade of "{product}" is signed by somebody else')
def upgrade_signed_by_somebody_else(context, product):
    """Sign what is offered now with a key that no machine has been given."""
    context.test.network.services.sign_upgrade_with_another_key(product)


@given('the key of the lab\'s upgrades is inside as "{target}"')
def hand_over_upgrade_key(context, target):
    """Write the key that the lab's upgrades are signed with into a file inside."""
    context.test.inside.put_text(context.test.network.services.upgrade_key, target)
