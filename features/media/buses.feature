Feature: What is built into a computer
  Computers start from what they were built with, too: SATA and NVMe disks, and SD cards in a reader
  of their own.

  Scenario Outline: A <firmware> machine starts from <medium>
    Given the image "<image>"
    And a <firmware> machine
    And the machine has <medium> "inside" of 128 MiB with the image under test
    When I start the machine from the <word> "inside"
    Then I see "<shows>"

    # OVMF does not know readers of SD cards.
    Examples:
      | firmware | medium        | word    | image                 | shows       |
      | BIOS     | a virtio disk | disk    | grub-rescue           | GNU/Linux   |
      | BIOS     | a SATA disk   | disk    | grub-rescue           | GNU/Linux   |
      | BIOS     | an NVMe disk  | disk    | grub-rescue           | GNU/Linux   |
      | BIOS     | an SD card    | SD card | grub-rescue           | GNU/Linux   |
      | UEFI     | an NVMe disk  | disk    | debian-installer-text | Rescue mode |
