Feature: A network of its own
  A machine can be put on an emulated network. Every packet is kept, and nothing else is contacted
  than what a scenario says.

  Background:
    Given the image "ipxe"

  Scenario: An isolated network gives an address, and knows no names
    Given the machine is on an isolated network
    When I start the machine from a DVD
    And I see "initialising devices"
    And I press "Ctrl+B" until I see "iPXE>"
    And I enter "dhcp && imgfetch http://www.lab.test/"
    # iPXE's number for "no such name"; https://ipxe.org/3e11613b explains it
    Then I see "Error 0x3e11613b"
    And the machine has an address from the network
    And only these hosts were contacted
      | host   | protocol | port |
      | router | UDP      | 53   |

  Scenario: Nothing is sent through a cable that is not plugged in
    Given the machine is in the lab
    And the network cable is not plugged in
    When I start the machine from a DVD
    And I see "initialising devices"
    And I press "Ctrl+B" until I see "iPXE>"
    And I enter "dhcp && show net0/gateway"
    Then I see "Configuring"
    And the machine has sent nothing
    When I call this moment "the cable was plugged in"
    And I plug in the network cable
    Then I see "10.76.1.1"
    And the machine sent nothing before "the cable was plugged in"

  Rule: In the lab there are servers, and all that is sent to them is known

    Background:
      Given the machine is in the lab
      When I start the machine from a DVD
      And I see "initialising devices"
      And I press "Ctrl+B" until I see "iPXE>"

    Scenario: It gets an address, finds a name and talks to nobody else
      When I enter "dhcp && imgfetch http://www.lab.test/ && imgstat"
      Then I see "82 bytes"
      And the machine has an address from the network
      And only these hosts were contacted
        | host         | protocol | port |
        | router       | UDP      | 53   |
        | www.lab.test | TCP      | 80   |
