"""Memory in one piece, taken before the compiler leaves a board's heap in small ones."""

import sys

buffer = bytearray(int(sys.argv[3]))
spare = [bytearray(16384)]  # to be cleared once all is compiled
