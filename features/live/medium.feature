Feature: The medium it was started from
  The computer leaves nothing behind, not even when its stick is torn out.

  Background:
    Given the image under test

  Scenario: It switches itself off at once when the stick is pulled out
    When I start the machine from a USB stick
    Then the unit "demo-medium-watch.service" is active
    And the system has started completely
    When I pull out the USB stick
    Then the machine switches itself off within 15 seconds

  Scenario: The troubleshooting entry of the menu shows what happens
    When I start the machine from a DVD
    Then I see "troubleshooting"
    When I press "Down"
    And I press "Enter"
    Then the serial console shows "Reached target" within 90 seconds
    And the system has started completely
