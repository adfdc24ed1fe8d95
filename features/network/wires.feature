Feature: A network that is not as good as one hopes
  Wires that are slow, narrow and lose packets, and a name server that does not tell the truth: what
  people have at home, in trains and in hotels.

  Background:
    Given the image "ipxe"
    And the machine is in the lab
    When I start the machine from a DVD
    And I see "initialising devices"
    And I press "Ctrl+B" until I see "iPXE>"

  Scenario: What is asked for comes through a slow wire that loses packets
    Given packets take 300 ms to the network
    And 10 % of the packets are lost
    And 10 % of the packets arrive late
    When I enter "dhcp && imgfetch http://www.lab.test/ && imgstat"
    Then I see "82 bytes" within 120 seconds

  Scenario: A name server that lies leads elsewhere
    Given the lab says that "www.lab.test" has the address "10.76.77.7"
    When I enter "dhcp && imgfetch --timeout 3000 http://www.lab.test/"
    Then I see "timed out" within 60 seconds
    And only these hosts were contacted
      | host       | protocol | port |
      | router     | UDP      | 53   |
      | 10.76.77.7 | TCP      | 80   |

  Scenario: A name that was taken away is not found
    Given the lab says that "www.lab.test" does not exist
    When I enter "dhcp && imgfetch http://www.lab.test/"
    # iPXE's number for "no such name"; https://ipxe.org/3e11613b explains it
    Then I see "Error 0x3e11613b"
    And only these hosts were contacted
      | host   | protocol | port |
      | router | UDP      | 53   |

  Scenario: A blocked port answers nobody
    Given the lab blocks TCP port 80
    When I enter "dhcp && imgfetch --timeout 3000 http://www.lab.test/"
    Then I see "timed out" within 60 seconds

  Scenario: A hotspot shows its login page instead
    Given the lab is a hotspot with a login page
    When I enter "dhcp && imgfetch http://www.lab.test/ && imgstat"
    # The page itself has 82
    Then I see "147 bytes"
