Feature: A UEFI computer writes sticks, too
  What BIOS computers do with sticks is in the other features of this folder.

  Background:
    Given a USB stick "mine" of 1152 MiB with the image under test
    And a UEFI machine
    When I start the machine from the USB stick "mine"
    Then I see "troubleshooting"
    When I press "Enter"
    Then the window "Welcome" is open
    When I click "Start"
    Then the window "Panel" is open

  @nightly
  Scenario: A stick that a UEFI computer wrote starts one, with storage of its own
    Given a blank USB stick "new" of 1152 MiB
    When I plug in the USB stick "new"
    And I click "Applications"
    And I click the menu item "Install on a stick"
    Then the button "Install" can be used
    When I click the button "Install"
    And I click the button "Write to it"
    Then there is the label "The stick is ready." within 120 seconds
    When I switch the machine off
    And I pull out the USB stick "mine"
    And I start the machine from the USB stick "new"
    And I boot the default entry of the boot menu
    Then the window "Welcome" is open
    When I click "Start"
    Then the window "Panel" is open
    When I click "Applications"
    And I click the menu item "Persistent storage"
    And I write the secret "correct horse" into "Passphrase"
    And I write the secret "correct horse" into "Repeat the passphrase"
    And I click the button "Create"
    Then the button "Delete" can be used
    When I run "echo 'keep me' > /home/live/Persistent/note && sync" inside as "live"
    And I switch the machine off
    And I switch the machine on
    And I boot the default entry of the boot menu
    Then the window "Welcome" is open
    When I write the secret "correct horse" into "Persistent storage"
    And I click the button "Unlock"
    Then there is the label "The persistent storage is open"
    And the file "/home/live/Persistent/note" inside has "keep me" in it
