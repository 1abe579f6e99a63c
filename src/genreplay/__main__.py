"""`python -m genreplay` is `genreplay`."""

import sys

from genreplay.cli import main

sys.exit(main())
