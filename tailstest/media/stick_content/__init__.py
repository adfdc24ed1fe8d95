"""What is on a stick: partition table, encryption, file systems, files; written and inspected."""
