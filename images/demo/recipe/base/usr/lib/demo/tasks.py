"""Tasks of the administrator that windows start, and what all windows have in common."""

import subprocess
import threading

import gi

gi.require_version("Gtk", "3.0")
from gi.repository import Gio, GLib, Gtk


def start(command, on_end, *, data="", on_line=None):
    """Run a program as administrator, beside the window.

    on_line(text) is called for each line, on_end(succeeded, all that it wrote) at the end.
    """

    def work():
        with subprocess.Popen(
            ["sudo", "-n", *command], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as task:
            task.stdin.write(data)
            task.stdin.close()
            lines = []
            for line in task.stdout:
                lines.append(line)
                if on_line:
                    GLib.idle_add(on_line, line)
        GLib.idle_add(on_end, task.returncode == 0, "".join(lines).strip())

    threading.Thread(target=work, daemon=True).start()


def named(widget, name):
    """Give a widget a name that a screen reader says."""
    widget.get_accessible().set_name(name)
    return widget


def row(grid, number, text, widget):
    """Put a widget and its label into a grid."""
    label = Gtk.Label(label=text, xalign=0)
    label.set_mnemonic_widget(widget)
    widget.set_hexpand(True)
    grid.attach(label, 0, number, 1, 1)
    grid.attach(named(widget, text), 1, number, 1, 1)


def secret():
    """Return a field for a passphrase."""
    return Gtk.Entry(visibility=False, activates_default=True, input_purpose=Gtk.InputPurpose.PASSWORD)


def window(title):
    """Return a window that ends the program when it is closed."""
    made = Gtk.Window(title=title, default_width=520, default_height=240)
    made.get_accessible().set_name(title)
    made.connect("destroy", Gtk.main_quit)
    return made


def ask(parent, question, button, act):
    """Ask before something is lost; call act() if the person wants it.

    The window goes on meanwhile: a dialog that is waited for would make it deaf to screen readers.
    """
    dialog = Gtk.MessageDialog(
        transient_for=parent, modal=True, message_type=Gtk.MessageType.WARNING, text=question, title="Are you sure?"
    )
    dialog.add_buttons("Cancel", Gtk.ResponseType.CANCEL, button, Gtk.ResponseType.OK)
    dialog.set_default_response(Gtk.ResponseType.CANCEL)

    def on_response(_dialog, answer):
        dialog.destroy()
        if answer == Gtk.ResponseType.OK:
            act()

    dialog.connect("response", on_response)
    dialog.show()
