Feature: The installer in text mode
  Everything that the graphical installer asks can be answered with the keyboard alone.

  Scenario: A French speaker gets from language to keyboard with the keyboard alone
    Given the image "debian-installer-text"
    And the machine starts from a DVD
    And I see "Install"
    And I press "Enter"
    And I see "Select a language" within 120 seconds
    When I press "f"
    And I press "Down" until I see "Choisissez la langue"
    Then I see "Pays"

  Scenario: Help is one key away
    Given the image "debian-installer-text"
    And the machine starts from a DVD
    And I see "Install"
    And I press "Enter"
    And I see "Select a language" within 120 seconds
    When I press "Tab"
    Then I see "Go Back"
