"""The mark that every domain of a run carries in its XML."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

#: Name of our XML namespace; an identifier only, nothing is fetched from it.
NAMESPACE = "urn:tailstest:run:1"


def run_of_domain(libvirt: Any, domain: Any) -> str | None:
    """Return the id of the run that made `domain`; None for a foreign or vanished domain."""
    try:
        text = domain.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, NAMESPACE)
    except libvirt.libvirtError:
        return None
    return run_of_metadata(text)


def run_of_metadata(text: str) -> str | None:
    """Return the attribute `id` of the mark `<run id="..."/>`; None if `text` is another thing."""
    try:
        element = ElementTree.fromstring(text)
    except ElementTree.ParseError:
        return None
    return element.get("id") if element.tag.rpartition("}")[2] == "run" else None
