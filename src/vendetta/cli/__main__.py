"""`python -m vendetta.cli`, for where the `vendetta` script isn't on the path."""

import sys

from . import main

sys.exit(main())
