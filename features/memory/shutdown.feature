@nightly
Feature: Nothing is left when the computer is off
  Who takes the computer away a moment later finds nothing in its memory, and on its stick only what
  was put there to stay, encrypted.

  Background:
    Given a USB stick "mine" of 1152 MiB with the image under test
    When I start the machine from the USB stick "mine"
    Then I see "troubleshooting"
    When I press "Enter"
    Then the window "Welcome" is open
    And there is no field "Persistent storage"
    When I click "Start"
    Then the window "Panel" is open
    When I click "Applications"
    And I click the menu item "Persistent storage"
    Then there is the label "There is no persistent storage on this stick yet."
    When I write the secret "correct horse" into "Passphrase"
    And I write the secret "correct horse" into "Repeat the passphrase"
    And I click the button "Create"
    Then the button "Delete" can be used
    Given a program inside holds the secret "open letter"
    And the file "/dev/shm/note" inside holds the secret "note"
    And the file "/home/live/draft" inside holds the secret "draft"
    And the file "/home/live/Persistent/diary" inside holds the secret "diary"
    Then the memory of the machine holds every secret

  Scenario: After it was shut down
    When I click "System"
    And I click the menu item "Shut down"
    Then the machine switches itself off within 60 seconds
    And the memory of the machine no longer holds any secret
    And no medium holds any secret

  Scenario: After its stick was torn out
    When I pull out the USB stick "mine"
    Then the machine switches itself off within 15 seconds
    And the memory of the machine no longer holds any secret
    And no medium holds any secret
