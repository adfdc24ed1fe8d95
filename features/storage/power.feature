Feature: The power fails while persistent storage is written to
  What the system has said to be safe is there after the next start, whenever the power fails.

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

  Scenario: No note that was confirmed is ever lost
    Given a program inside writes notes into "/home/live/Persistent/notes" and confirms each
    When the USB stick "mine" is copied 5 times as if the power failed, each time after another 600 kB
    And the power fails
    Then every copy of the USB stick "mine" has all confirmed notes in "notes" on partition 4, which "correct horse" opens
