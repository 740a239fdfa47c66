"""Looks at what is due, plans, carries out, records."""
