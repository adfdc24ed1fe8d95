Feature: The boot menu of a rescue disk
  Somebody whose computer does not start any more puts a rescue disk in. The menu must appear from
  every medium it may have been written to, wait for a decision, and obey the keyboard.

  Scenario Outline: The menu appears from a <medium> on a <board> board
    Given the image "grub-rescue"
    And a BIOS machine
    And a <board> board
    When I start the machine from a <medium>
    Then I see the picture "grub-rescue-menu"
    And I see all of these texts
      | text                      |
      | GNU/Linux                 |
      | FreeBSD (or GNU/kFreeBSD) |
      | Microsoft Windows         |
      | Memtest86+                |
    And the machine is still running

    Examples: media and boards
      | medium    | board |
      | DVD       | PC    |
      | DVD       | Q35   |
      | USB stick | Q35   |

  Scenario: A key stops the countdown, so that there is time to read
    Given the image "grub-rescue"
    And the machine starts from a DVD
    And I see "will be executed automatically"
    When I press "Down"
    Then "will be executed automatically" disappears
    # A picture, because only its look tells which entry is highlighted.
    And I see the picture "grub-rescue-second-entry"

  Scenario: The highlight goes down and up again
    Given the image "grub-rescue"
    And the machine starts from a DVD
    And I see the picture "grub-rescue-menu"
    When I press "Down" 3 times
    Then I see the picture "grub-rescue-fourth-entry"
    When I press "Up" 2 times
    Then I see the picture "grub-rescue-second-entry"

  Scenario: An entry can be looked at in the editor and left as it was
    Given the image "grub-rescue"
    And the machine starts from a DVD
    And I see the picture "grub-rescue-menu"
    When I press "e"
    Then I see "Minimum Emacs-like screen editing is supported"
    And I see "setparams"
    When I press "Esc"
    Then "setparams" disappears
    And I see the picture "grub-rescue-menu"
