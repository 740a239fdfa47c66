"""The SQL store: every resource, route, key and log line."""
