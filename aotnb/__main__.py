"""``python -m aotnb``: the command line."""

import sys

from aotnb.cli import main

if __name__ == "__main__":
    sys.exit(main())
