Feature: The command line of a rescue disk
  When no menu entry fits, the command line is the last resort: it must take every character of the
  keyboard, see the medium it was started from, and be able to restart and to switch off.

  Background:
    Given the image "grub-rescue"
    And a BIOS machine

  Scenario: What is typed arrives, including the characters that need Shift
    Given the machine starts from a DVD
    And I see the picture "grub-rescue-menu"
    When I press "c"
    Then I see "grub>"
    When I type "The Quick Brown Fox 0123456789"
    Then I see "grub> The Quick Brown Fox 0123456789"
    When I type " !#%&()*+,-./:;<=>?@[]^_{|}~"
    Then I see "!#%&()*+,-./:;<=>?@[]^_{|}~"

  Scenario: A long line is typed, read back while it grows, and runs as it was meant
    Given the machine starts from a DVD
    And I see the picture "grub-rescue-menu"
    When I press "c"
    And I type "set greeting=Guten_Morgen; echo $greeting, tester" behind "grub>" and see it arrive
    And I press "Enter"
    Then I see "Guten_Morgen, tester"

  Scenario Outline: It lists the <medium> it was started from as <device>
    Given the machine starts from a <medium>
    And I see the picture "grub-rescue-menu"
    When I press "c"
    And I see "grub>"
    And I enter "echo boot device: $root"
    Then I see "boot device: <device>"

    # hd96 is the BIOS's number of a DVD drive, 0xE0, as GRUB counts.
    Examples:
      | medium    | device |
      | DVD       | hd96   |
      | USB stick | hd0    |

  Scenario: It switches the machine off
    Given the machine starts from a DVD
    And I see the picture "grub-rescue-menu"
    When I press "c"
    And I see "grub>"
    And I enter "halt"
    Then the machine switches itself off

  Scenario: It restarts the machine, and the menu is back
    Given the machine starts from a DVD
    And I see the picture "grub-rescue-menu"
    When I press "c"
    And I see "grub>"
    And I enter "reboot"
    Then the machine restarts
    And I see the picture "grub-rescue-menu"

  Scenario: It talks on the serial port, for a computer without a screen
    Given the machine starts from a DVD
    And I see the picture "grub-rescue-menu"
    When I press "c"
    And I see "grub>"
    And I enter "serial --unit=0 --speed=115200"
    And I enter "terminal_output console serial"
    And I enter "echo hello from the rescue disk"
    Then the serial console shows "hello from the rescue disk"
