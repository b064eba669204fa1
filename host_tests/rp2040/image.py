"""Make the file system of a Pico on this computer's MicroPython: a much quicker way than a cable.

    micropython image.py FOLDER IMAGE

IMAGE gets the content of the flash from FILES_AT on, where the firmware looks for its files, as
its own _boot.py would format it.
"""

import os
import sys

import vfs

BLOCK = 4096
BLOCKS = 352  # what the stock firmware leaves of 2 MB: 1408 KB


class Flash:
    def __init__(self):
        self.data = bytearray(BLOCK * BLOCKS)
        for i in range(BLOCKS):
            self.data[i * BLOCK : (i + 1) * BLOCK] = b"\xff" * BLOCK

    def readblocks(self, number, buffer, at=0):
        at += number * BLOCK
        buffer[:] = memoryview(self.data)[at : at + len(buffer)]

    def writeblocks(self, number, buffer, at=None):
        at = number * BLOCK + (at or 0)
        self.data[at : at + len(buffer)] = buffer

    def ioctl(self, request, value):
        if request == 4:
            return BLOCKS
        if request == 5:
            return BLOCK
        if request == 6:
            return 0  # erased is what is written next


def copy(source, target):
    for name, kind, *_ in os.ilistdir(source):
        if kind == 0x4000:
            vfs_of_pico.mkdir(target + name)
            copy(source + "/" + name, target + name + "/")
        else:
            with open(source + "/" + name, "rb") as file:
                content = file.read()
            with vfs_of_pico.open(target + name, "wb") as file:
                file.write(content)


flash = Flash()
vfs.VfsLfs2.mkfs(flash, progsize=256)
vfs_of_pico = vfs.VfsLfs2(flash, progsize=256)
copy(sys.argv[1], "/")
vfs_of_pico.umount()
with open(sys.argv[2], "wb") as file:
    file.write(flash.data)
