"""How AWS writes it down: bytes to meaning and back."""
