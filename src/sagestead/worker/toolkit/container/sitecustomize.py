"""Run by every Python that a run's programs start: makes importable what AWS's containers have for scripts.

Rule: whatever is installed, and whatever the script brings along, goes before.
"""

from __future__ import annotations

import importlib

importlib.import_module("sagestead_container.provided").install()
