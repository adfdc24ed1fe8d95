Feature: Several machines
  A scenario can have several machines, on the same network or on others. Steps are about one of
  them at a time.

  Background:
    Given the image "ipxe"
    And the machine is in the lab
    When I start the machine from a DVD
    And I see "initialising devices"
    And I press "Ctrl+B" until I see "iPXE>"

  Scenario: What one machine sends is not what another one sent
    Given another machine called "talkative"
    And the image "ipxe"
    And the machine is in the lab
    When I start the machine from a DVD
    And I see "initialising devices"
    And I press "Ctrl+B" until I see "iPXE>"
    And I enter "dhcp && show net0/gateway"
    Then I see "10.76.1.1"
    And the machine has an address from the network
    When I turn to the machine "first"
    Then the machine has sent nothing
    When I enter "dhcp && show net0/gateway"
    Then I see "10.76.1.1"
    And the machine has an address from the network
    And only these hosts were contacted
      | host | protocol | port |
