Feature: An image that carries nothing of ours
  Any image with systemd lets somebody in who can change its kernel command line. Nothing has to be
  built into it.

  Scenario: Commands, files and the desktop are reached through the serial debug shell
    Given the image "demo:no-agent"
    And the inside is reached through a shell on the serial port
    When I start the machine from a DVD
    And I add "systemd.debug_shell=ttyS0" to the kernel command line at the boot menu
    Then the inside can be reached
    When I run "id -un; cat /etc/os-release" inside
    Then the command writes "root"
    And the command writes "tailstest-demo"
    And there is no file "/usr/lib/tailstest" inside
    And the window "Welcome" is open
    When I click "Start"
    Then the window "Panel" is open
    When I run "id -un" in the session of "live"
    Then the command writes only "live"

  @nightly
  Scenario Outline: <Way> is found by itself
    Given the image "<Image>"
    And the inside is reached through what the image offers
    When I start the machine from a DVD
    And I boot the default entry of the boot menu
    Then the inside can be reached
    When I run "id -un; cat /etc/os-release" inside
    Then the command writes "root"
    And the command writes "tailstest-demo"
    And the window "Welcome" is open

    Examples:
      | Way                | Image         |
      | QEMU's guest agent | demo:no-agent |
      | Our agent          | demo          |

  @nightly
  Scenario: Root logs in on the serial port
    Given the image "demo:serial-login"
    And the inside is reached through a login on the serial port with the password "the demo"
    When I start the machine from a DVD
    And I boot the default entry of the boot menu
    Then the inside can be reached
    When I run "id -un; cat /etc/os-release" inside
    Then the command writes "root"
    And the command writes "tailstest-demo"
    And the window "Welcome" is open
