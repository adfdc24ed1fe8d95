Feature: What is on a USB stick
  The host looks at a stick as a detective would: without mounting it, and without changing it.

  Scenario: Partitions, file systems and labels are as they were made
    Given a USB stick "papers" of 8 GB with a GPT and these partitions
      | size    | file system | label  | encryption | passphrase         | files                |
      | 512 MiB | FAT32       | OPEN   |            |                    | features/media/files |
      | 1 GiB   | ext4        | hidden | LUKS2      | it's "ünder" $HOME | features/media/files |
      |         | NTFS        | rest   |            |                    |                      |
    Then the USB stick "papers" has a GPT
    And partition 1 of the USB stick "papers" holds FAT32
    And partition 1 of the USB stick "papers" has the label "OPEN"
    And the file "letter.txt" on partition 1 of the USB stick "papers" contains "bridge"
    And partition 2 of the USB stick "papers" holds LUKS2
    And the passphrase "it's "ünder" $HOME" opens partition 2 of the USB stick "papers"
    And the passphrase "its under" does not open partition 2 of the USB stick "papers"
    And partition 3 of the USB stick "papers" has the label "rest"

  Scenario Outline: A stick of one <kind>
    Given a USB stick "plain" of 4 GiB with <kind> and no partition table
    Then the USB stick "plain" has no partition table
    And partition 1 of the USB stick "plain" holds <kind>

    Examples: file systems
      | kind  |
      | FAT32 |
      | exFAT |
      | ext4  |
      | btrfs |

  Scenario: A stick with a rescue disk is still the same after starting from it
    Given the image "grub-rescue"
    And a USB stick "original" of 64 MiB with the image under test
    And a copy "used" of the USB stick "original"
    And a blank USB stick "blank" of 64 MiB
    When I start the machine from the USB stick "used"
    Then I see the picture "grub-rescue-menu"
    When I switch the machine off
    Then the USB sticks "original" and "used" have the same content
    And the USB sticks "original" and "blank" differ
    And the USB stick "blank" has the SHA-256 "3b6a07d0d404fab4e23b6d34bc6696a6a312dd92821332385e5af7c01c421351"
