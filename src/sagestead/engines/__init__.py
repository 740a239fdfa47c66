"""Where runs run: one folder an engine."""
