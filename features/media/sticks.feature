Feature: USB sticks and DVDs that come and go
  People start from one stick, keep their files on another, copy a stick for a friend, and pull the
  wrong one. Whatever is plugged in, the computer starts from what it was told to.

  Scenario: A stick that is larger than the image starts like any other
    Given the image "grub-rescue"
    And a USB stick "system" of 2 GiB with the image under test
    And a blank USB stick "files" of 8 GB
    And the USB stick "files" is plugged in
    When I start the machine from the USB stick "system"
    Then I see the picture "grub-rescue-menu"
    When I pull out the USB stick "files"
    And I pull out the USB stick "system"
    Then the machine is still running

  Scenario: The same computer starts from a copy of the stick
    Given the image "grub-rescue"
    And a USB stick "mine" of 1 GiB with the image under test
    And a copy "for a friend" of the USB stick "mine"
    And the machine starts from the USB stick "mine"
    And I see the picture "grub-rescue-menu"
    When I switch the machine off
    And I pull out the USB stick "mine"
    And I start the machine from the USB stick "for a friend"
    Then I see the picture "grub-rescue-menu"

  Scenario: A DVD is taken out, and another one put in
    Given the image "grub-rescue"
    And the machine starts from a DVD
    And I see the picture "grub-rescue-menu"
    When I eject the DVD
    And I switch the machine off
    And I switch the machine on
    Then I see "No bootable device"
    When I put in the DVD "memtest86+"
    And I switch the machine off
    And I switch the machine on
    Then I see "Memtest86"

  Scenario: The only stick is taken out, and nothing is left to start from
    Given the image "grub-rescue"
    And the machine starts from a USB stick
    And I see the picture "grub-rescue-menu"
    When I pull out the USB stick
    And I switch the machine off
    And I switch the machine on
    Then I see "No bootable device"

  Rule: What is on the shelf and what is plugged in goes with a checkpoint

    Background:
      Given the image "grub-rescue"
      And a USB stick "system" of 1 GiB with the image under test
      And a blank USB stick "plugged in" of 64 MiB
      And a blank USB stick "on the shelf" of 64 MiB
      And the USB stick "plugged in" is plugged in
      And the machine starts from the USB stick "system"
      And I see the picture "grub-rescue-menu"

    @checkpoint
    Scenario: The stick on the shelf is plugged in
      When I plug in the USB stick "on the shelf"
      Then the machine is still running

    @checkpoint
    Scenario: The stick that is plugged in is pulled out, and the other one plugged in
      When I pull out the USB stick "plugged in"
      And I plug in the USB stick "on the shelf"
      And I switch the machine off
      And I start the machine from the USB stick "system"
      Then I see the picture "grub-rescue-menu"
