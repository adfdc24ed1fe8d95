Feature: The medium it was started from
  The computer leaves nothing behind, not even when its stick is torn out.

  Background:
    Given a USB stick "mine" of 1152 MiB with the image under test
    When I start the machine from the USB stick "mine"
    Then I see "troubleshooting"
    When I press "Enter"
    Then the window "Welcome" is open

  Scenario: It switches itself off at once when the stick is pulled out
    Then the unit "demo-medium-watch.service" is active
    And the system has started completely
    When I pull out the USB stick "mine"
    Then the machine switches itself off within 15 seconds
