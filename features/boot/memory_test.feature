Feature: The memory test
  A memory test that does not see all of the memory, or that stands still, gives false comfort.

  Scenario Outline: It finds the <memory> MiB of memory of a <firmware> machine, started from a <medium>
    Given the image "memtest86+"
    And a <firmware> machine with <memory> MiB of memory
    And the machine starts from a <medium>
    And I see "Status: Testing" within 60 seconds
    Then I see "Memtest86+"
    And I see "Memory : <shown>"
    And I see "Errors: 0"

    Examples: what a release tester would try
      | firmware | medium    | memory | shown  |
      | BIOS     | DVD       | 256    | 255MB  |
      | BIOS     | USB stick | 512    | 511MB  |

  Scenario: It is really at work, not only painted
    Given the image "memtest86+"
    And a BIOS machine with 256 MiB of memory
    And the machine starts from a DVD
    And I see "Status: Testing" within 60 seconds
    When I remember the screen
    Then the screen has changed
    # The first ones are over within a second, and come again minutes later; this one takes longer.
    And I see "Test #4" within 120 seconds
    And I see "Errors: 0"

  Scenario: Its settings open and close again
    Given the image "memtest86+"
    And a BIOS machine with 256 MiB of memory
    And the machine starts from a DVD
    And I see "Status: Testing" within 60 seconds
    When I press "F1"
    Then I see "Settings:"
    When I press "F10"
    Then "Settings:" disappears

  @nightly
  Scenario: It starts on a UEFI machine too
    Given the image "memtest86+"
    And a UEFI machine with 512 MiB of memory
    When I start the machine from a DVD
    # How much memory the firmware keeps for itself differs, so the size is not checked here.
    Then I see "Status: Testing" within 60 seconds
    And I see "Errors: 0"
