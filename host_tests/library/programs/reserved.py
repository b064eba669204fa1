"""Memory in one piece, taken before the compiler leaves a board's heap in small ones."""

import sys

buffer = bytearray(int(sys.argv[3]))
