Feature: The graphical installer
  The first three questions of an installer decide whether a person can go on: their language,
  their country, their keyboard.

  Scenario Outline: It asks for the language, started from a <medium> on a <firmware> machine
    Given the image "debian-installer-gtk"
    And a <firmware> machine
    And the machine starts from a <medium>
    And I see "Graphical install"
    And I press "Enter"
    And I see "Select a language" within 120 seconds
    Then I see the picture "installer-english-selected"

    Examples:
      | firmware | medium    |
      | UEFI     | DVD       |

    @nightly
    Examples: what differs little from the above
      | firmware | medium    |
      | UEFI     | USB stick |
      | BIOS     | DVD       |

  Scenario: A German speaker gets from language to keyboard with the mouse
    Given the image "debian-installer-gtk"
    And a UEFI machine
    And the machine starts from a DVD
    And I see "Graphical install"
    And I press "Enter"
    And I see "Select a language" within 120 seconds
    When I click "German"
    And I click "Continue"
    Then I see "Auswählen des Standorts"
    And I see "Deutschland"
    When I click "Österreich"
    And I click "Weiter"
    Then I see "Tastatur konfigurieren"
    And I see "Deutsch"

  @nightly
  Scenario: Going back keeps the way open
    Given the image "debian-installer-gtk"
    And the machine starts from a USB stick
    And I see "Graphical install"
    And I press "Enter"
    And I see "Select a language" within 120 seconds
    When I click "Continue"
    Then I see "Select your location"
    When I click "Go Back"
    Then I see "Select a language"
    And I see the picture "installer-english-selected"

  @nightly
  Scenario Outline: A person without a screen adds a serial console at the <firmware> boot menu
    Given the image "debian-installer-text"
    And a <firmware> machine
    And the machine starts from a DVD
    When I add "console=ttyS0" to the kernel command line at the boot menu
    Then the serial console shows "Select a language" within 120 seconds

    Examples:
      | firmware |
      | BIOS     |
      | UEFI     |
