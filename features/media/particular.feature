Feature: Sticks that are particular
  A stick may be locked by its switch, have a twin, or be slow. Linux says here what it makes of that.

  Background:
    Given the image "linux-shell"
    And the machine starts from a DVD
    And the serial console shows "READY"

  Scenario: A write-protected stick takes nothing and stays as it was
    Given a blank USB stick "locked" of 16 MiB
    And a blank USB stick "untouched" of 16 MiB
    And the USB stick "locked" is write-protected
    When I plug in the USB stick "locked"
    Then the serial console shows "[sda] Write Protect is on"
    And the serial console shows "[sda] Attached SCSI removable disk"
    When I enter "echo nothing lasts | dd of=/dev/sda conv=fsync; echo writing: $? > /dev/ttyS0"
    Then the serial console shows "writing: 1"
    When I pull out the USB stick "locked"
    Then the USB sticks "locked" and "untouched" have the same content

  Scenario: Twins cannot be told apart by their model and number
    Given a blank USB stick "one" of 16 MiB
    And a blank USB stick "other" of 16 MiB
    And the USB stick "one" has the serial number "0815"
    And the USB stick "other" has the serial number "0815"
    When I plug in the USB stick "one"
    And I plug in the USB stick "other"
    Then the serial console shows "[sdb] Attached SCSI removable disk"
    When I enter "cd /sys/block; grep . sd?/device/model sd?/device/../../../../serial > /dev/ttyS0"
    Then the serial console shows "sda/device/model:QEMU HARDDISK"
    And the serial console shows "sdb/device/model:QEMU HARDDISK"
    And the serial console shows "sda/device/../../../../serial:0815"
    And the serial console shows "sdb/device/../../../../serial:0815"

  Scenario: A slow stick takes its time on the fastest computer
    Given a blank USB stick "slow" of 16 MiB
    And the USB stick "slow" reads and writes 1 MB per second
    When I plug in the USB stick "slow"
    Then the serial console shows "[sda] Attached SCSI removable disk"
    # 4.2 s at least, whatever the host; one that is not slow takes a fraction of a second.
    When I enter "a=$(date +%s); dd if=/dev/sda of=/dev/null bs=1M count=4; echo slow: $(($(date +%s) - a > 2)) > /dev/ttyS0"
    Then the serial console shows "slow: 1"
