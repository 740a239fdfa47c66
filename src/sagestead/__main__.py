"""`python -m sagestead` is the command `sagestead`."""

from sagestead.cli import app

app()
