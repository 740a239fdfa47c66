"""What to do next: pure functions of desired state, observed state and the time."""
