Feature: What the system sends by itself
  It asks for an address, under a hardware address that tells nothing, and talks to nobody.

  Background:
    Given the image under test
    And the machine is in the lab
    When I start the machine from a DVD
    Then the system has started completely within 90 seconds
    And the machine has an address from the network

  Scenario: It contacts nobody and does not tell its real hardware address
    Then no packet carried my real MAC address
    And only these hosts were contacted
      | host | protocol | port |

  Scenario: A program that looks up a name gets nothing out
    When I run "python3 -c 'import socket; socket.socket(2, 2).sendto(bytes(12), ("10.76.1.1", 53))' 2>&1 | grep -c PermissionError" inside as "live"
    Then only these hosts were contacted
      | host | protocol | port |
    And the command writes only "1"
