Feature: Only Tor gets out
  The system connects to the Tor network when its user says so. What does not go through it goes
  nowhere.

  Background:
    Given the image under test
    And the machine is in the lab
    And the lab has a Tor network
    When I start the machine from a DVD
    And I boot the default entry of the boot menu
    Then the window "Welcome" is open
    When I click "Start"
    Then the window "Panel" is open
    And the machine has an address from the network
    Given the configuration of the lab's Tor network is inside as "/etc/tor/torrc.d/lab.conf"

  Scenario: All that its user sends goes through Tor
    When I click "Applications"
    And I click the menu item "Tor connection"
    Then there is the label "Not connected. Nothing gets out."
    And the window "Tor connection" has the keyboard
    When I run "curl --max-time 5 --socks5-hostname 127.0.0.1:9050 http://www.lab.test/" inside as "live"
    Then the command fails
    When I click the button "Connect"
    Then there is the label "Connected to Tor." within 120 seconds
    # Everybody has a way of their own: two who are asked for their names cannot be told apart by it.
    When I run "curl --silent --show-error --socks5-hostname alice:x@127.0.0.1:9050 http://www.lab.test/" inside as "live"
    Then the command writes "www.lab.test"
    When I run "curl --silent --show-error --socks5-hostname bob:x@127.0.0.1:9050 http://www.lab.test/" inside as "live"
    Then the command writes "www.lab.test"
    When I run "/usr/lib/demo/tor circuits" inside
    Then the command writes "BUILT of alice"
    And the command writes "BUILT of bob"
    When I run "getent ahostsv4 www.lab.test" inside as "live"
    Then the command writes "203.0.113.80"
    # Whoever does not use it gets nowhere, whatever is tried.
    When I run "curl --silent --max-time 5 http://203.0.113.80/" inside as "live"
    Then the command fails
    When I run "curl --silent --max-time 5 http://[2001:db8:ffff::80]/" inside as "live"
    Then the command fails
    When I run "python3 -c 'import socket; socket.socket(2, 2).sendto(bytes(12), ("10.76.1.1", 53))'" inside as "live"
    Then the command fails
    When I run "busybox ping -c 1 -W 2 10.76.1.1" inside
    Then the command fails
    And all Internet traffic has only flowed through Tor
    And no packet carried my real MAC address

  Scenario: Through a bridge nobody sees that it is Tor
    Given the lab's Tor network has an obfs4 bridge
    And the configuration of the lab's Tor network by its bridge is inside as "/etc/tor/torrc.d/lab.conf"
    When I run "/usr/lib/demo/tor connect" inside
    Then the command succeeds
    When I run "curl --silent --show-error --socks5-hostname 127.0.0.1:9050 http://www.lab.test/" inside as "live"
    Then the command writes "www.lab.test"
    And only these hosts were contacted
      | host   | protocol | port |
      | bridge | TCP      | 4443 |

  Scenario: Packages come through Tor, and only those that are right
    Given the lab has the APT repository "deb.lab.test" with the packages
      | name       | version |
      | hello-lab  | 1.0     |
      | broken-lab | 1.0     |
    And the package "broken-lab" of the APT repository "deb.lab.test" is damaged
    And the key of the APT repository "deb.lab.test" is inside as "/etc/apt/keyrings/lab.asc"
    And this text is inside as "/etc/apt/sources.list"
      """
      deb [signed-by=/etc/apt/keyrings/lab.asc] http://deb.lab.test ./
      """
    And this text is inside as "/etc/apt/apt.conf.d/lab"
      """
      Acquire::http::Proxy "socks5h://apt:x@127.0.0.1:9050";
      """
    When I run "/usr/lib/demo/tor connect" inside
    And I run "apt-get --quiet update && apt-get --quiet --yes install hello-lab" inside
    And I run "hello-lab" inside
    Then the command writes "hello-lab 1.0"
    When I run "apt-get --quiet --yes install broken-lab" inside
    Then the command fails
    And the command writes "Hash Sum mismatch"
    When I run "apt-get clean" inside
    Given the APT repository "deb.lab.test" is signed by somebody else
    When I run "apt-get --quiet update" inside
    Then the command writes "NO_PUBKEY"
    And all Internet traffic has only flowed through Tor

  Scenario: An upgrade is offered, and refused when it is not right
    Given the lab offers the upgrade "1.1" of "tailstest-demo" for version "1.0"
    And the key of the lab's upgrades is inside as "/etc/demo/upgrade-key.asc"
    And the certificate of the lab's authority is inside as "/etc/demo/upgrade-authority.crt"
    When I run "/usr/lib/demo/tor connect" inside
    And I run "/usr/lib/demo/upgrade check upgrade.lab.test" inside
    Then the command writes only "Version 1.1 is available."
    When I run "/usr/lib/demo/upgrade fetch upgrade.lab.test" inside
    Then the command writes only "The upgrade to 1.1 is ready."
    And there is a file "/var/lib/demo-upgrade/1.1" inside
    Given the upgrade of "tailstest-demo" is damaged
    When I run "/usr/lib/demo/upgrade fetch upgrade.lab.test" inside
    Then the command fails
    And the command writes only "The upgrade to 1.1 is damaged. It was thrown away."
    When I run "ls -A /var/lib/demo-upgrade | wc -l" inside
    Then the command writes only "0"
    Given the upgrade of "tailstest-demo" is signed by somebody else
    When I run "/usr/lib/demo/upgrade check upgrade.lab.test" inside
    Then the command fails
    And the command writes "not signed by those whom this system trusts"
    # An upgrade that is none: whoever shows an old one again wants the old holes back.
    Given the lab offers the upgrade "0.9" of "tailstest-demo" for version "1.0"
    When I run "/usr/lib/demo/upgrade fetch upgrade.lab.test" inside
    Then the command fails
    And the command writes only "Version 0.9 is not newer than 1.0."
    Given the lab offers no upgrade of "tailstest-demo" for version "1.0"
    When I run "/usr/lib/demo/upgrade check upgrade.lab.test" inside
    Then the command writes only "This is the newest version."
    And all Internet traffic has only flowed through Tor

  Scenario: Mail comes and goes through Tor
    Given the lab has the mailbox "anna@lab.test" with the password "secret"
    And the mail "Lunch" from "bob@example.org" is in the mailbox "anna@lab.test"
      """
      At noon.
      """
    And the certificate of the lab's authority is inside as "/tmp/lab.crt"
    And this text is inside as "/tmp/curl"
      """
      silent
      show-error
      cacert = "/tmp/lab.crt"
      user = "anna@lab.test:secret"
      socks5-hostname = "mail:x@127.0.0.1:9050"
      """
    And this text is inside as "/tmp/answer"
      """
      Subject: Re: Lunch

      I come.
      """
    When I run "/usr/lib/demo/tor connect" inside
    And I run "curl --config /tmp/curl 'imaps://mail.lab.test/INBOX;MAILINDEX=1'" inside as "live"
    Then the command writes "At noon."
    When I run "curl --config /tmp/curl --ssl-reqd --mail-from anna@lab.test --mail-rcpt bob@example.org --upload-file /tmp/answer smtp://mail.lab.test:587" inside as "live"
    Then the command succeeds
    And the mail "Re: Lunch" has come to "bob@example.org"
      """
      I come.
      """
    And all Internet traffic has only flowed through Tor
