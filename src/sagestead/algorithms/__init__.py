"""Built-in algorithms, run inside jobs and instances; loaded by entry point, never by import."""
