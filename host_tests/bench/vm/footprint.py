"""Heap that the compiled library takes: after the import, then with one client connected."""

import gc
import sys

gc.collect()
start = gc.mem_alloc()
import microws  # noqa: E402

gc.collect()
imported = gc.mem_alloc()
ws = microws.connect(f"ws://127.0.0.1:{sys.argv[1]}/")
gc.collect()
print(imported - start, gc.mem_alloc() - start)
