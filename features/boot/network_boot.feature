Feature: The network boot disk
  iPXE starts a computer from the network. Without a network it must say so, and its command line
  must be reachable in both cases.

  Background:
    Given the image "ipxe"
    And a BIOS machine

  Scenario: It says that there is no network card
    When I start the machine from a DVD
    Then I see "Open Source Network Boot Firmware"
    And I see "No more network devices"

  Scenario: Its command line opens and answers
    Given the machine has a network card
    When I start the machine from a DVD
    # Not earlier: a key that is down while its boot loader starts would open that one's prompt.
    And I see "initialising devices"
    And I press "Ctrl+B" until I see "iPXE>"
    And I enter "echo answer-${version}"
    Then I see "answer-1."

  Scenario: It gets an address from the network
    Given the machine has a network card
    When I start the machine from a USB stick
    # Not earlier: a key that is down while its boot loader starts would open that one's prompt.
    And I see "initialising devices"
    And I press "Ctrl+B" until I see "iPXE>"
    And I enter "dhcp && show net0/ip"
    Then I see "net0.dhcp/ip:ipv4 = 10.0.2.15"
