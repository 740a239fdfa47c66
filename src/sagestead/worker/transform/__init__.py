"""Batch transform inside its process: objects in, predictions out, in order and in bounded memory."""

from sagestead.worker.transform.job import transform

__all__ = ["transform"]
