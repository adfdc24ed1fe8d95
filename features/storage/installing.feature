Feature: The running system is installed on another stick
  One stick makes the next. A stick that was not written to its end never starts a computer.

  Background:
    Given the image under test
    And the machine has a network card
    When I start the machine from a DVD
    Then I see "troubleshooting"
    When I press "Enter"
    Then the window "Welcome" is open
    When I click "Start"
    Then the window "Panel" is open

  Scenario: A stick starts a computer once it is said to be ready, and not before, whenever the power fails
    Given a blank USB stick "new" of 1 GiB
    When I click "Applications"
    And I click the menu item "Install on a stick"
    Then there is the label "There is no other stick. Plug one in."
    When I plug in the USB stick "new"
    Then the button "Install" can be used
    And the button "Upgrade" is greyed out
    When I click the button "Install"
    And I click the button "Write to it"
    And the USB stick "new" is copied 3 times as if the power failed, each time after another 50 MB
    Then there is the label "The stick is ready." within 120 seconds
    When the power fails
    Then the USB stick "new, cut 1" holds the text "This stick was not written to its end"
    And the USB stick "new, cut 2" holds the text "This stick was not written to its end"
    When I start the machine from the USB stick "new, cut 3"
    Then I see "This stick was not written to its end"
    When I switch the machine off
    And I pull out the USB stick "new, cut 3"
    And I start the machine from the USB stick "new"
    And I boot the default entry of the boot menu
    Then the window "Welcome" is open
    When I run "findmnt --noheadings --output SOURCE /run/live/medium" inside
    Then the command writes only "/dev/sda"
    And no unit has failed

  Scenario: A stick that is too small is refused
    Given a blank USB stick "small" of 128 MiB
    When I plug in the USB stick "small"
    And I click "Applications"
    And I click the menu item "Install on a stick"
    Then there is the label "This stick cannot be used: it is too small."
    And the button "Install" is greyed out

  Scenario: A stick that is pulled out too early says so, to everybody
    Given a blank USB stick "new" of 1 GiB
    And the USB stick "new" reads and writes 4 MB per second
    When I plug in the USB stick "new"
    And I click "Applications"
    And I click the menu item "Install on a stick"
    Then the button "Install" can be used
    When I click the button "Install"
    And I click the button "Write to it"
    Then there is the label "Writing to the stick ..."
    When I pull out the USB stick "new"
    Then there is the label "Writing failed. This stick cannot start a computer now." within 120 seconds
    When I switch the machine off
    And I start the machine from the USB stick "new"
    Then I see "This stick was not written to its end"

  @nightly
  Scenario: A stick that is worn out starts nothing halfway
    Given a blank USB stick "worn out" of 1 GiB
    And the USB stick "worn out" has write errors from 100 MiB to 101 MiB
    When I plug in the USB stick "worn out"
    And I click "Applications"
    And I click the menu item "Install on a stick"
    Then the button "Install" can be used
    When I click the button "Install"
    And I click the button "Write to it"
    Then there is the label "Writing failed. This stick cannot start a computer now." within 120 seconds
    When I switch the machine off
    And I start the machine from the USB stick "worn out"
    Then I see "This stick was not written to its end"

  @nightly
  Scenario: A counterfeit stick is found out
    Given a blank USB stick "counterfeit" of 8 GB
    And the USB stick "counterfeit" keeps only its first 64 MiB and writes the rest over it
    When I plug in the USB stick "counterfeit"
    And I click "Applications"
    And I click the menu item "Install on a stick"
    Then the button "Install" can be used
    When I click the button "Install"
    And I click the button "Write to it"
    Then there is the label "This stick does not keep what is written to it. It cannot start a computer." within 120 seconds
    When I switch the machine off
    And I start the machine from the USB stick "counterfeit"
    Then I see "This stick was not written to its end"
