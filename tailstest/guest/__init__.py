"""Commands and files inside a guest, over a virtio-serial port (see PROTOCOL.md)."""
