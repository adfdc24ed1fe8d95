Feature: What was in memory is wiped when it is given back
  A secret does not outlive the program that held it, nor the file in memory that it was in.

  Background:
    Given the image under test
    When I start the machine from a DVD
    Then I see "troubleshooting"
    When I press "Enter"
    Then the window "Welcome" is open

  Scenario: A killed program and a removed file leave nothing behind
    Given a program inside holds the secret "open letter"
    And the file "/dev/shm/note" inside holds the secret "note"
    And the file "/home/live/draft" inside holds the secret "draft"
    Then the memory of the machine holds every secret
    When the program with the secret "open letter" is killed
    And I run "rm /dev/shm/note /home/live/draft" inside
    Then the memory of the machine no longer holds any secret

  Scenario: What was written to a stick is forgotten when the stick is unmounted
    Given a USB stick "papers" of 64 MiB with ext4 and no partition table
    When I plug in the USB stick "papers"
    And I run "until [ -b /dev/sda ]; do sleep 0.1; done; mount /dev/sda /mnt" inside
    Then the command succeeds
    Given the file "/mnt/letter" inside holds the secret "letter"
    Then the memory of the machine holds the secret "letter"
    When I run "umount /mnt" inside
    Then the command succeeds
    And the memory of the machine no longer holds the secret "letter"
    When I switch the machine off
    Then the USB stick "papers" holds the secret "letter"
