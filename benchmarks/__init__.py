"""What the product promises in figures, measured. Every figure comes with what it is compared to, in the same run."""

import os

from tests.preloaded import OFF

os.environ[OFF] = "1"  # servers start as those of users do, not as those of tests
