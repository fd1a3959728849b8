"""Complete set-ups, each run by a test."""
