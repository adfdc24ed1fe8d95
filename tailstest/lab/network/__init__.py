"""An emulated network: a child process in namespaces of its own, with wires, servers, captures."""
