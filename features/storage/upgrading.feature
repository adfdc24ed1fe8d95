Feature: A stick is upgraded and keeps what its owner put on it
  The system on a stick, of an older version, is replaced by the one that runs; the persistent storage
  stays. (What is tested is the one that runs.)

  Background:
    Given the image "demo:broken-version"
    And a USB stick "mine" of 1152 MiB with the image under test
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
    When I run "grep VERSION_ID /etc/os-release" inside
    Then the command writes only "VERSION_ID="0.9""
    When I run "echo 'keep me' > /home/live/Persistent/note && sync" inside as "live"
    Then the command succeeds

  @nightly
  Scenario: The data is still there, and the stick starts
    Given the image under test
    And a USB stick "newer" of 1 GiB with the image under test
    When I switch the machine off
    And I pull out the USB stick "mine"
    And I start the machine from the USB stick "newer"
    And I boot the default entry of the boot menu
    Then the window "Welcome" is open
    When I click "Start"
    Then the window "Panel" is open
    When I plug in the USB stick "mine"
    And I click "Applications"
    And I click the menu item "Install on a stick"
    And I click the button "Upgrade"
    Then there is the label "The stick is ready." within 120 seconds
    When I switch the machine off
    And I pull out the USB stick "newer"
    And I start the machine from the USB stick "mine"
    And I boot the default entry of the boot menu
    Then the window "Welcome" is open
    When I run "grep VERSION_ID /etc/os-release" inside
    Then the command writes only "VERSION_ID="1.0""
    When I write the secret "correct horse" into "Persistent storage"
    And I click the button "Unlock"
    Then there is the label "The persistent storage is open"
    And the file "/home/live/Persistent/note" inside has "keep me" in it
