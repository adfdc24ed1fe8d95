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
