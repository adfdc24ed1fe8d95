"""The domain template is valid for every firmware and chipset, in libvirt's own judgement."""

import uuid

import pytest
from conftest import RESCUE

from tailstest.hypervisor.discard import discard_domain
from tailstest.hypervisor.domain_template import DomainValues
from tailstest.media.dvd import Dvd

pytestmark = pytest.mark.vm


@pytest.mark.parametrize("firmware", ["bios", "uefi"])
@pytest.mark.parametrize("chipset", ["pc", "q35"])
def test_libvirt_accepts_the_template(bench, tmp_path, firmware, chipset):
    pair = bench.host.uefi_for(chipset) if firmware == "uefi" else None
    values = DomainValues(
        name=f'test "{firmware}" & <{chipset}>',
        uuid=str(uuid.uuid4()),
        run_id=bench.hypervisor.run_id,
        emulator=bench.hypervisor.emulator,
        machine=chipset,
        firmware=firmware,
        loader=pair.code if pair else None,
        nvram=tmp_path / "variables" if pair else None,
        disks=(Dvd(RESCUE).disk(),),
        network="user",
        serial_log=tmp_path / "serial.log",
        watchdog=True,
        vnc_socket=tmp_path / "vnc",
    )
    libvirt = bench.hypervisor.libvirt
    flags = libvirt.VIR_DOMAIN_DEFINE_VALIDATE
    domain = bench.hypervisor.connection.defineXMLFlags(values.render(), flags)
    try:
        assert domain.name() == values.name
        assert domain in bench.hypervisor.own_domains() or domain.UUIDString() == values.uuid
    finally:
        discard_domain(libvirt, domain)
