"""One libvirt domain as a tester sees it."""
