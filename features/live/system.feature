Feature: The system inside
  What nobody sees on the screen, and everybody relies on.

  Background:
    Given the image under test
    And the machine has a network card
    When I start the machine from a DVD
    Then I see "troubleshooting"
    When I press "Enter"
    Then the window "Welcome" is open
    And the system has started completely within 20 seconds

  Scenario: It is the version that it should be, and says what is in it
    When I run "cat /etc/os-release" inside
    Then the command writes "ID=tailstest-demo"
    And the command writes "VERSION_ID="1.0""
    And the file "/run/live/medium/live/version" inside has "1.0" in it
    When I run "dpkg-query -W -f '${Package} ${Version}\n' | diff - /run/live/medium/live/manifest.txt" inside
    Then the command succeeds

  Scenario: It starts without a failure, within its means
    Then no unit has failed
    And at most 400 MiB of memory are in use
    And the journal has no message of priority "err" or worse
      | allowed |

  Scenario: It forgets everything when it is switched off, and nobody recognises its network address
    When I run "cat /sys/class/net/en*/address" inside
    And I remember what the command wrote as "the first address"
    And I run "echo secret > /home/live/note && sync" inside
    Then the command succeeds
    And there is a file "/home/live/note" inside
    When I switch the machine off
    # Nobody presses a key: the boot menu goes on by itself.
    And I switch the machine on
    Then there is no file "/home/live/note" inside
    When I run "cat /sys/class/net/en*/address" inside
    Then the command writes something else than "the first address"

  Scenario: Nobody but one user gets out through the firewall
    Then the unit "demo-firewall.service" is active
    When I run "nft -u list chain inet demo output" inside
    Then the command writes "policy drop"
    And the command writes "skuid "debian-tor" accept"
    And the command does not write "dport"

  Scenario: It switches itself off at once when its DVD is taken out
    Then the unit "demo-medium-watch.service" is active
    When I eject the DVD
    Then the machine switches itself off within 15 seconds
