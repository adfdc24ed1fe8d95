@nightly
Feature: A clock that is wrong gets right
  Tor connects to nobody while the clock is wrong by months. The system then asks the time server of
  its network, and nobody else.

  Background:
    Given the image under test
    And the machine is in the lab
    And the lab has a Tor network
    And the machine's clock is <days> days <side>
    When I start the machine from a DVD
    And I boot the default entry of the boot menu
    Then the window "Welcome" is open

  Scenario Outline: The computer's clock is <days> days <side>
    When I click "Start"
    Then the machine has an address from the network
    Given the configuration of the lab's Tor network is inside as "/etc/tor/torrc.d/lab.conf"
    When I run "/usr/lib/demo/tor connect" inside
    Then the command succeeds
    And the command writes "Asking the network for the time"
    And the clock inside is right
    When I run "curl --silent --show-error --socks5-hostname 127.0.0.1:9050 http://www.lab.test/" inside as "live"
    Then the command writes "www.lab.test"
    And only these hosts were contacted
      | host          | protocol | port |
      | time.lab.test | UDP      | 123  |
      | Tor relays    | TCP      | 9001 |

    Examples:
      | days | side   |
      | 365  | behind |
      | 400  | ahead  |
