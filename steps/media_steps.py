"""Steps about media: making USB sticks, plugging them in and pulling them out, changing DVDs."""

from behave import given, then, when

from tailstest.media.stick_content.volume import Volume
from tailstest.suite.needs import asks_for
from tailstest.suite.stick_check import volumes_of


@given('a blank USB stick "{name}" of {size:Size}')
def blank_stick(context, name, size):
    """Get a USB stick as it comes out of the shop; sizes are written "2 GiB" or "8 GB"."""
    context.test.shelf.add_blank(name, size)


@given('a USB stick "{name}" of {size:Size} with the image under test')
def stick_with_image(context, name, size):
    """Write the image onto a USB stick, as `dd` does; the rest of the stick stays blank.

    It is the image that the scenario chose, or else the one that was given with `--image`.
    """
    context.test.shelf.add_with_image(name, size, context.test.choice.chosen())


@given('a USB stick "{name}" of {size:Size} with {table:PartitionTable} and these partitions')
def stick_with_partitions(context, name, size, table):
    """Get a USB stick with "a GPT" or "an MBR", and a row of the table for each partition.

    Columns: size ("2 GiB", or empty for what is left), file system (FAT32, exFAT, NTFS, ext4,
    btrfs, none), label, encryption (LUKS1, LUKS2), passphrase, files (a folder of the suite whose
    content is copied in). Only "file system" is needed.
    """
    volumes = volumes_of(context.table, context.test.suite)
    context.test.shelf.add_written(name, size, table, volumes)


@given('a USB stick "{name}" of {size:Size} with {content:Content} and no partition table')
def stick_without_table(context, name, size, content):
    """Get a USB stick that is one file system as a whole."""
    context.test.shelf.add_written(name, size, "no", [Volume(content)])


@given('a copy "{name}" of the USB stick "{other}"')
def copied_stick(context, name, other):
    """Get a USB stick with the same content as another one, which must not be in use."""
    context.test.shelf.add_copy(name, other)


@given('the USB stick "{name}" has the serial number "{serial}"')
def stick_has_serial(context, name, serial):
    """Give a stick a serial number; two of the same number are twins, the model is the same too."""
    context.test.shelf.set_traits(name, serial=serial)


@given('the USB stick "{name}" is write-protected')
def stick_is_protected(context, name):
    """Slide the small switch of the stick: nothing can be written to it."""
    context.test.shelf.set_traits(name, is_write_protected=True)


@given('the USB stick "{name}" reads and writes {size:Size} per second')
def stick_is_slow(context, name, size):
    """Slow a stick down, for example to "1 MB" per second."""
    context.test.shelf.set_traits(name, bytes_per_second=size)


@given('the {medium:NamedMedium} "{name}" has {fault:Fault} from {start:Size} to {end:Size}')
def has_errors(context, medium, name, fault, start, end):
    """Let a place fail: "has read errors from 16 MiB to 17 MiB", or "write errors".

    The system gets an input/output error for every sector there. More places can be added.
    """
    context.test.shelf.add_bad_place(name, fault, start, end)


@given('the {medium:NamedMedium} "{name}" keeps only its first {size:Size} and {beyond:Beyond}')
def lies_about_size(context, medium, name, size, beyond):
    """Let a stick lie about its size, without any error: "... and loses the rest".

    Zeros are read behind what it keeps. Others are counterfeit in another way: "... and writes the
    rest over it", from its beginning again.
    """
    context.test.shelf.keep_only(name, size, beyond)


@given('the machine has {kind:DiskKind} "{name}" of {size:Size}')
def has_disk(context, kind, name, size):
    """Build in something blank: "a virtio disk", "a SATA disk", "an NVMe disk" or "an SD card".

    Give it before the start. The SD card is in a reader of the machine's own, and has 1, 2, 4, 8...
    GiB.
    """
    context.test.shelf.add_disk(name, size, kind)
    context.test.sockets.plug_in(name)


@given('the machine has {kind:DiskKind} "{name}" of {size:Size} with the image under test')
def has_disk_with_image(context, kind, name, size):
    """Build in a disk or SD card that the image was written to, as `dd` does."""
    context.test.shelf.add_disk(name, size, kind, context.test.choice.chosen())
    context.test.sockets.plug_in(name)


@given("the machine has USB {version:UsbVersion} sockets")
def has_usb(context, version):
    """Choose the version of all USB sockets, 1, 2 or 3; it is 3 unless a step says otherwise."""
    context.test.define(usb=version)


@given('the USB stick "{name}" is plugged in')
def stick_is_plugged_in(context, name):
    """Plug in a USB stick; before the machine is started, it is there from the beginning."""
    context.test.sockets.plug_in(name)


@given('the machine starts from the {medium:NamedMedium} "{name}"')
@when('I start the machine from the {medium:NamedMedium} "{name}"')
@asks_for("machine")
def start_from_stick(context, medium, name):
    """Plug the USB stick in if it is not, and switch the machine on so that it boots from it.

    Disks and SD cards are built in before: 'from the disk "inside"'. A machine that was switched
    off is the same machine as before, with what else is plugged in.
    """
    context.test.start("usb", stick=name)


@when('I plug in the USB stick "{name}"')
def plug_in_stick(context, name):
    """Plug a USB stick into the machine, whether it runs or not."""
    context.test.sockets.plug_in(name)


@when('I pull out the USB stick "{name}"')
def pull_out_stick(context, name):
    """Pull out a USB stick without a word to the system, whether the machine runs or not."""
    context.test.sockets.pull_out(name)


@when('I safely remove the {medium:NamedMedium} "{name}"')
def remove_stick(context, medium, name):
    """Take out a USB stick as soon as the system has ejected it, or a virtio disk if it agrees.

    Let the system eject the stick before, as a person does; a system that does not is a failure.
    """
    context.test.sockets.remove(name)


@when("I eject the DVD")
def eject_dvd(context):
    """Take the DVD out of the drive, even if the system has locked it."""
    context.test.sockets.eject_dvd()


@when('I put in the DVD "{image}"')
def put_in_dvd(context, image):
    """Put a DVD into the drive: a file, or the name of a profile such as "grub-rescue"."""
    context.test.sockets.put_in_dvd(context.test.choice.find(image)[0])


@then('the USB stick "{name}" has {table:PartitionTable}')
def has_partition_table(context, name, table):
    """Look at the stick from the host: "a GPT", "an MBR" or "no partition table"."""
    context.test.shelf.look_at(name).check_table(table)


@then('partition {number:d} of the USB stick "{name}" holds {content:Content}')
def partition_holds(context, number, name, content):
    """Check what is in a partition; the whole stick is number 1 if it has no partition table."""
    context.test.shelf.look_at(name).check_content(number, content)


@then('partition {number:d} of the USB stick "{name}" has the label "{label}"')
def partition_has_label(context, number, name, label):
    """Check the label of a file system."""
    context.test.shelf.look_at(name).check_label(number, label)


@then('the passphrase "{passphrase}" opens partition {number:d} of the USB stick "{name}"')
def passphrase_opens(context, passphrase, number, name):
    """Try a passphrase on an encrypted partition, from the host."""
    context.test.shelf.look_at(name).check_passphrase(number, passphrase, expected=True)


@then('the passphrase "{passphrase}" does not open partition {number:d} of the USB stick "{name}"')
def passphrase_does_not_open(context, passphrase, number, name):
    """Try a passphrase on an encrypted partition, from the host; it must be refused."""
    context.test.shelf.look_at(name).check_passphrase(number, passphrase, expected=False)


@then('the file "{path}" on partition {number:d} of the USB stick "{name}" contains "{text}"')
def file_on_partition_contains(context, path, number, name, text):
    """Read a file from the host, without mounting it: from FAT32, NTFS or ext4."""
    context.test.shelf.look_at(name).check_file(number, path, text)


@then('the USB stick "{name}" has the SHA-256 "{digest}"')
def stick_has_digest(context, name, digest):
    """Check all bytes of a stick at once."""
    context.test.shelf.look_at(name).check_sha256(digest)


@then('the USB sticks "{name}" and "{other}" have the same content')
def sticks_are_same(context, name, other):
    """Compare two sticks byte by byte."""
    shelf = context.test.shelf
    shelf.look_at(name).check_same(shelf.look_at(other), expected=True)


@then('the USB sticks "{name}" and "{other}" differ')
def sticks_differ(context, name, other):
    """Compare two sticks byte by byte; they must not be the same."""
    shelf = context.test.shelf
    shelf.look_at(name).check_same(shelf.look_at(other), expected=False)
