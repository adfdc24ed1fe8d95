Feature: Persistent storage is unlocked on the welcome screen
  After each start it is locked. The welcome screen opens it for whoever knows the passphrase.

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
    When I run "echo 'keep me' > /home/live/Persistent/note && sync" inside as "live"
    And I switch the machine off
    And I switch the machine on
    And I boot the default entry of the boot menu
    Then the window "Welcome" is open

  Scenario: With the right passphrase everything is there again
    When I write the secret "correct horse" into "Persistent storage"
    And I click the button "Unlock"
    Then there is the label "The persistent storage is open"
    When I click "Start"
    Then the window "Panel" is open
    And the file "/home/live/Persistent/note" inside has "keep me" in it
    When I run "echo more >> /home/live/Persistent/note" inside as "live"
    Then the command succeeds

  Scenario: A wrong passphrase opens nothing, and another try is allowed
    When I write the secret "wrong horse" into "Persistent storage"
    And I click the button "Unlock"
    Then there is the label "The passphrase is wrong."
    And there is no file "/home/live/Persistent/note" inside
    And the field "Persistent storage" can be used

  Scenario: Who does not unlock it starts without it
    When I click "Start"
    Then the window "Panel" is open
    And there is no file "/home/live/Persistent/note" inside

  Scenario: Read-only it can be read and not be changed
    When I click the check box "Read-only"
    And I write the secret "correct horse" into "Persistent storage"
    And I click the button "Unlock"
    Then there is the label "The persistent storage is open"
    And the file "/home/live/Persistent/note" inside has "keep me" in it
    When I run "echo more >> /home/live/Persistent/note" inside as "live"
    Then the command fails
    When I run "blockdev --getro /dev/mapper/demo-data" inside
    Then the command writes only "1"
