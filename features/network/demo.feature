Feature: What the system sends by itself
  Nothing leaves it before its user says so on the welcome screen. Then it asks for an address, under
  a hardware address that tells nothing, and talks to nobody.

  Background:
    Given the image under test
    And the machine is in the lab
    When I start the machine from a DVD
    And I boot the default entry of the boot menu
    Then the window "Welcome" is open
    And the system has started completely within 90 seconds

  Scenario: It is silent until the session starts, then contacts nobody and hides its hardware address
    Then the machine has sent nothing
    When I call this moment "the network was allowed"
    And I click "Start"
    Then the machine has an address from the network
    And the machine sent nothing before "the network was allowed"
    And no packet carried my real MAC address
    And only these hosts were contacted
      | host | protocol | port |

  Scenario: Nobody learns what the computer is called
    When I click "Start"
    Then the machine has an address from the network
    And no packet told the host name "demo"

  Scenario: Without a network the session starts, and stays silent
    When I click the check box "Connect to networks"
    And I click "Start"
    Then the window "Panel" is open
    When I run "ip -brief link | grep -v ^lo" inside
    Then the command writes "DOWN"
    When I run "systemctl is-active systemd-networkd" inside
    Then the command writes only "inactive"
    And the machine has sent nothing

  Scenario: Who wants it shows the hardware address of the computer
    When I click the check box "Hide the hardware address"
    And I click "Start"
    Then the machine has an address from the network
    And packets carried my real MAC address
    And only these hosts were contacted
      | host | protocol | port |

  Scenario: A program that looks up a name gets nothing out
    When I click "Start"
    Then the machine has an address from the network
    When I run "python3 -c 'import socket; socket.socket(2, 2).sendto(bytes(12), ("10.76.1.1", 53))' 2>&1 | grep -c PermissionError" inside as "live"
    Then only these hosts were contacted
      | host | protocol | port |
    And the command writes only "1"

  Scenario: Nobody on its network gets an answer
    When I click "Start"
    Then the machine has an address from the network
    And nothing in the machine answers a neighbour
    And only these hosts were contacted
      | host | protocol | port |

  Scenario: The network comes back when its cable is plugged in again
    When I click "Start"
    Then the machine has an address from the network
    When I pull out the network cable
    And I run "until ip -brief link | grep -q NO-CARRIER; do sleep 0.2; done" inside
    Then the command succeeds
    When I plug in the network cable
    And I run "until ip -brief -4 address show scope global | grep -q 10[.]76; do sleep 0.2; done" inside
    Then the command succeeds
    And no packet carried my real MAC address
    And only these hosts were contacted
      | host | protocol | port |
