"""What things are. Imports the standard library only."""
