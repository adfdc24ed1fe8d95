Feature: The desktop
  A person starts the programs of the live system and works with them.

  Background:
    Given the image under test
    And the machine has a network card
    When I start the machine from a DVD
    Then I see "troubleshooting"
    When I press "Enter"
    Then the window "Welcome" is open
    When I click "Start"
    Then the window "Panel" is open

  Scenario Outline: <application> starts, shows its window, and closes
    When I click "Applications"
    And I click the menu item "<application>"
    Then the window "<title>" has the keyboard
    And a process "<process>" runs
    When I press "Alt+F4"
    Then the window "<title>" is closed

    Examples:
      | application         | title              | process        |
      | Mousepad            | Mousepad           | mousepad       |
      | Thunar File Manager | Thunar             | thunar         |
      | LXTerminal          | live@demo          | lxterminal     |
      | Persistent storage  | Persistent storage | storage-window |
      | Install on a stick  | Install on a stick | installer      |
      | About this system   | About this system  | about          |

  Scenario: What is typed in the editor is saved, and can be read back
    When I click "Applications"
    And I click the menu item "Mousepad"
    Then the window "Mousepad" has the keyboard
    When I type "Dear diary, 6 > 5 & so on!"
    Then the text in the application "mousepad" reads "Dear diary, 6 > 5 & so on!"
    When I press "Ctrl+S"
    Then the window "Save As" has the keyboard
    When I press "Ctrl+A"
    And I type "/home/live/diary"
    And I click the button "Save"
    Then the window "Save As" is closed
    And there is a file "/home/live/diary" inside
    And the file "/home/live/diary" inside has "Dear diary, 6 > 5 & so on!" in it

  Scenario: What is copied in one window can be pasted in another
    When I click "Applications"
    And I click the menu item "Mousepad"
    Then the window "Mousepad" has the keyboard
    When I type "carry me over"
    And I press "Ctrl+A"
    And I press "Ctrl+C"
    And I press "Ctrl+A"
    And I press "Delete"
    Then the text in the application "mousepad" reads ""
    When I press "Ctrl+V"
    And I press "Ctrl+V"
    Then the text in the application "mousepad" reads "carry me overcarry me over"

  Scenario: The panel's menu switches the computer off
    When I click "System"
    And I click the menu item "Shut down"
    Then the machine switches itself off within 30 seconds
