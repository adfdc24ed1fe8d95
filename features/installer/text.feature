Feature: The installer in text mode
  Everything that the graphical installer asks can be answered with the keyboard alone.

  Background:
    Given the image "debian-installer-text"
    And the machine starts from a DVD
    And I see "Install"
    And I press "Enter"
    And I see "Select a language" within 120 seconds

  Scenario: A French speaker gets from language to keyboard with the keyboard alone
    When I press "Down" 4 times
    And I press "Enter"
    Then I see "Choix de votre situation géographique"
    When I press "Enter"
    Then I see "Configurer le clavier"

  Scenario: Going back from the first question leads to the main menu
    When I press "Tab"
    And I press "Enter"
    Then I see "Debian installer main menu"
