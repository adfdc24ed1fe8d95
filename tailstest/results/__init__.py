"""What happened: run folder, JUnit, HTML report, review."""
