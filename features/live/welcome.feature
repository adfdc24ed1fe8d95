Feature: The welcome screen
  Before the desktop starts, a person chooses language and keyboard and may set a password for
  administration tasks.

  Background:
    Given the image under test
    And the machine has a network card
    When I start the machine from a DVD
    Then I see "troubleshooting"
    When I press "Enter"
    Then the window "Welcome" is open

  Scenario: All of it can be used, also by a screen reader
    Then the combo box "Language" can be used
    And the combo box "Keyboard layout" can be used
    And the field "Administration password" can be used
    And the check box "Connect to networks" is checked
    And the check box "Hide the hardware address" is checked
    And the button "Shut down" can be used
    And the button "Start" can be used
    When I click the check box "Connect to networks"
    Then the check box "Connect to networks" is not checked

  Scenario Outline: Who chooses <language> gets its words, its keyboard and its system
    When I choose "<language>" in "Language"
    Then there is the button "<start>"
    And I see "<words>"
    When I click "<start>"
    Then the window "Panel" is open
    When I run "printenv LANG; setxkbmap -query" in the session of "live"
    Then the command writes "<locale>"
    And the command writes "layout:     <keyboard>"

    Examples:
      | language | start    | words                  | locale      | keyboard |
      | Deutsch  | Starten  | Tastaturbelegung       | de_DE.UTF-8 | de       |

    @nightly
    Examples: another language
      | language | start    | words                  | locale      | keyboard |
      | Français | Démarrer | Disposition du clavier | fr_FR.UTF-8 | fr       |

  Scenario: Two passwords that differ are refused
    When I write the secret "first" into "Administration password"
    And I write the secret "second" into "Repeat the password"
    And I click "Start"
    Then I see "The two passwords differ"
    And the window "Welcome" is open

  Scenario: The administration password that was chosen works, and no other
    When I write the secret "correct horse" into "Administration password"
    And I write the secret "correct horse" into "Repeat the password"
    And I click "Start"
    Then the window "Panel" is open
    When I run "echo wrong | sudo -k -S id -u" inside as "live"
    Then the command fails
    When I run "echo correct horse | sudo -k -S id -u" inside as "live"
    Then the command writes only "0"

  Scenario: Without a password nobody becomes administrator
    When I click "Start"
    Then the window "Panel" is open
    When I run "echo | sudo -k -S id -u" inside as "live"
    Then the command fails
    When I run "su root -c id < /dev/null" inside as "live"
    Then the command fails
    When I run "passwd -S root" inside
    Then the command writes "root L"

  Scenario: The computer can be switched off instead
    When I click "Shut down"
    Then the machine switches itself off
