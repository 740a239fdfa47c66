"""Sagestead: Amazon SageMaker's API on your own machine."""

__version__ = "0.1.0"
