"""Removing one domain with all that libvirt keeps for it."""

from __future__ import annotations

from typing import Any


def discard_domain(libvirt: Any, domain: Any) -> str:
    """Destroy and undefine `domain`, with its variable store, snapshots and saved memory.

    Returns:
        What libvirt said if the domain is still there; "" if it is gone.
    """
    connection, uuid = domain.connect(), domain.UUIDString()
    for snapshot in _listed(libvirt, domain.listAllSnapshots):
        _tried(
            libvirt,
            lambda snapshot=snapshot: snapshot.delete(
                libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY
            ),
        )
    _tried(libvirt, domain.destroy)  # fails if it was off
    flags = (
        libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
        | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
        | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
        | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
    )
    problem = _tried(libvirt, lambda: domain.undefineFlags(flags))
    gone = bool(_tried(libvirt, lambda: connection.lookupByUUIDString(uuid)))
    return "" if gone else problem or "it is still there"


def _tried(libvirt: Any, action: Any) -> str:
    try:
        action()
    except libvirt.libvirtError as error:
        return str(error.get_error_message())
    return ""


def _listed(libvirt: Any, listing: Any) -> list[Any]:
    try:
        return list(listing())
    except libvirt.libvirtError:
        return []
