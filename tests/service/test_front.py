"""What a front door process does before it serves."""

import subprocess
import sys

LIMITS = """
import resource
from sagestead.service.front import OTHER_FILES, connection_limit
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
most = 2000 if hard == resource.RLIM_INFINITY else min(hard, 2000)
resource.setrlimit(resource.RLIMIT_NOFILE, (200, most))
assert connection_limit() == max(1, most - OTHER_FILES)
assert resource.getrlimit(resource.RLIMIT_NOFILE) == (most, most)
"""


def test_it_may_open_as_many_files_as_the_system_allows_and_takes_no_more_connections() -> None:
    subprocess.run([sys.executable, "-c", LIMITS], check=True)
