"""The loop around a serving script, and small modules in the place of those that AWS's containers have."""
