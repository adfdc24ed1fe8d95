Feature: A live system starts on every kind of computer
  A person puts in a DVD or a USB stick, waits, sees the welcome screen, and gets to the desktop.

  Scenario Outline: From a <medium> on a <firmware> computer to the desktop
    Given the image under test
    And a <firmware> machine
    When I start the machine from a <medium>
    Then I see "troubleshooting"
    When I press "Enter"
    Then I see "Welcome" within 120 seconds
    And I see "Administration password"
    When I click "Start"
    Then I see "Applications" within 60 seconds
    And no unit has failed

    Examples:
      | firmware | medium    |
      | UEFI     | USB stick |

    # As most other features begin.
    @nightly
    Examples: what differs little from the above
      | firmware | medium    |
      | BIOS     | DVD       |
      | BIOS     | USB stick |

  @nightly
  Scenario: The troubleshooting entry of the menu shows what happens
    Given the image under test
    When I start the machine from a DVD
    Then I see "troubleshooting"
    When I press "Down"
    And I press "Enter"
    Then the serial console shows "Reached target" within 90 seconds
    And the system has started completely
