"""Put the firmware on a board, or start virtual boards: `python -m firmware.deploy --help`.

It needs Python's standard library and mpremote, which it brings. deploy.sh is its front where
there is a POSIX shell.
"""

# mypy: ignore-errors
# (It runs on CPython, whose library is not that of the type stubs.)

import os
import sys

# Before anything is imported that an older Python cannot read.
if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit(
        "This is Python %d.%d, too old. Put Python 3.11 or later first on PATH, then run this "
        "again." % sys.version_info[:2]
    )

# Also where the folder itself was started: what is in it is no module of the top.
here = os.path.dirname(os.path.abspath(__file__))
top = os.path.dirname(os.path.dirname(here))
sys.path[:] = [top, os.path.join(top, "lib")] + [path for path in sys.path if path != here]

from firmware.deploy import options  # noqa: E402

if __name__ == "__main__":
    sys.exit(options.main())
