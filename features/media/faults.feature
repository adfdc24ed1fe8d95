Feature: Media that are broken, that lie, and that are taken away
  Sticks wear out, counterfeit ones have less room than they say, and people pull them out too early.
  Linux itself says here what it makes of that, on the serial console.

  Background:
    Given the image "linux-shell"
    And the machine starts from a DVD
    And the serial console shows "READY"

  Scenario: A worn-out stick fails only where it is bad, and comes and goes
    Given a blank USB stick "worn out" of 64 MiB
    And the USB stick "worn out" has read errors from 16 MiB to 17 MiB
    And the USB stick "worn out" has write errors from 32 MiB to 33 MiB
    When I plug in the USB stick "worn out"
    Then the serial console shows "[sda] Attached SCSI removable disk"
    When I enter "dd if=/dev/sda of=/dev/null bs=1M skip=15 count=1 2>&1; echo before: $? > /dev/ttyS0"
    Then the serial console shows "before: 0"
    When I enter "dd if=/dev/sda of=/dev/null bs=1M skip=16 count=1; echo reading: $? > /dev/ttyS0"
    Then the serial console shows "reading: 1"
    And the serial console shows "I/O error, dev sda, sector 32768 op 0x0:(READ)"
    When I enter "dd if=/dev/zero of=/dev/sda bs=1M seek=32 count=1 conv=fsync; echo writing: $? > /dev/ttyS0"
    Then the serial console shows "writing: 1"
    And the serial console shows "op 0x1:(WRITE)"
    When I enter "eject /dev/sda"
    And I safely remove the USB stick "worn out"
    Then the serial console shows "USB disconnect"

  Scenario: A counterfeit stick takes everything and keeps little, which only looking again shows
    Given a blank USB stick "counterfeit" of 8 GB
    And the USB stick "counterfeit" keeps only its first 64 MiB and writes the rest over it
    When I plug in the USB stick "counterfeit"
    Then the serial console shows "(8.00 GB/7.45 GiB)"
    And the serial console shows "[sda] Attached SCSI removable disk"
    When I enter "echo written far behind | dd of=/dev/sda bs=1M seek=1024 conv=fsync; echo writing: $? > /dev/ttyS0"
    Then the serial console shows "writing: 0"
    When I enter "head -c 18 /dev/sda > /dev/ttyS0"
    Then the serial console shows "written far behind"
