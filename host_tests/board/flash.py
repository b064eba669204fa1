"""A board's flash memory in a file, and littlefs on it. It runs on MicroPython."""

import os

import vfs

BLOCK = 4096  # bytes, as the flash of the boards has it


class Flash:
    """A block device in a file. What was written stays, however the process ends.

    In the middle of the write of number `cut_at` the power fails: `power_off()` is called.
    """

    def __init__(self, path, blocks, cut_at, power_off):
        self._file = open(path, "r+b")  # noqa: SIM115  (as long as the power is on)
        self._blocks = blocks
        self._cut_at = cut_at
        self._power_off = power_off
        self.writes = 0

    def readblocks(self, block, buffer, offset=0):
        self._file.seek(block * BLOCK + offset)
        self._file.readinto(buffer)

    def writeblocks(self, block, buffer, offset=0):
        self._file.seek(block * BLOCK + offset)
        self.writes += 1
        if self.writes == self._cut_at:
            self._file.write(memoryview(buffer)[: len(buffer) // 2])
            self._power_off()
        self._file.write(buffer)

    def ioctl(self, request, argument):
        return {4: self._blocks, 5: BLOCK}.get(request, 0)


def mount(path, blocks, cut_at=0, power_off=None):
    """Make the flash at `path` the file system of this process; the Flash."""
    flash = Flash(path, blocks, cut_at, power_off)
    try:
        files = vfs.VfsLfs2(flash)
    except OSError:  # as fresh from the maker
        vfs.VfsLfs2.mkfs(flash)
        files = vfs.VfsLfs2(flash)
    vfs.umount("/")
    vfs.mount(files, "/")
    os.chdir("/")
    return flash
