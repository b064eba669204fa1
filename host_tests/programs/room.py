"""The largest buffer, taken before the compiler leaves a board's heap in small pieces."""

import sys

buffer = bytearray(int(sys.argv[3]))
