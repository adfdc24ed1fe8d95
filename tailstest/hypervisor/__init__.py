"""libvirt: the connection, what this host can do, domain templates."""
