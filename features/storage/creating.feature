Feature: Persistent storage is made and deleted
  Who runs the system from a USB stick can keep files on the rest of it, locked with a passphrase.

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

  Scenario: Two passphrases that differ make nothing
    When I write the secret "one" into "Passphrase"
    And I write the secret "another" into "Repeat the passphrase"
    And I click the button "Create"
    Then there is the label "The two passphrases differ."
    When I run "sfdisk --json /dev/sda" inside
    Then the command does not write "DemoData"

  Rule: Once it is made it is there at once, until it is deleted

    Background:
      When I write the secret "correct horse" into "Passphrase"
      And I write the secret "correct horse" into "Repeat the passphrase"
      And I click the button "Create"
      Then the button "Delete" can be used

    Scenario: It can be used at once, and is encrypted on the stick
      Then there is the label "The persistent storage is ready. What you put into the folder Persistent is kept."
      When I run "echo 'plain words that nobody may find' > /home/live/Persistent/note && sync" inside as "live"
      Then the command succeeds
      When I run "grep -c -z -a 'plain words that' /dev/mapper/demo-data" inside
      Then the command writes only "1"
      When I run "dd if=/dev/sda bs=1M skip=1024 | grep -c -z -a 'plain words that'" inside
      Then the command writes only "0"
      When I run "cryptsetup status demo-data" inside
      Then the command writes "type:    LUKS2"

    Scenario: Deleted storage is gone for good
      When I click the button "Delete"
      And I click the button "Delete it"
      Then there is the label "The persistent storage is deleted."
      When I run "sfdisk --json /dev/sda" inside
      Then the command does not write "DemoData"
      When I run "dd if=/dev/sda bs=1M skip=1024 | grep -c -z -a LUKS" inside
      Then the command writes "0"
