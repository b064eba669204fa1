"""The board's half of a deployment: deploy.sh runs it there, from memory, after inventory.py.

It is never copied to the board. A new file comes as NAME.new and takes its name only when its
hash is right, and renaming is one step on the boards' file system: whatever stops a deployment,
each name holds a whole file, the old one or the new one.

The list of what is ours has the hashes of what was sent: a file that has none of them was changed
by a person.
"""

# ruff: noqa: F821
# mypy: ignore-errors
# (At the prompt, all that inventory.py has is there by its name.)

import os

UPDATE = "microws-update"  # the folder of updates over the network: see swap.py


def wipe() -> None:
    """Remove every file but the configuration."""
    for path, _ in list(walk("")):
        if path != CONFIG:
            os.remove(path)
    _prune("")


def begin(wanted: dict, there: list, kept: dict) -> None:
    """Make ready: folders for the files, and whose they are from now on.

    `wanted` is the hash of each file that there is to be. What an earlier deployment left half
    done is removed, but for the new files that are `there` whole. `kept` has the files that are
    a person's own, and the name that each is copied to.
    """
    # An update over the network is not to be taken back once this has changed its files.
    if exists(UPDATE + "/state.txt"):
        os.remove(UPDATE + "/state.txt")
    for path, _ in list(walk("")):
        name = path[: -len(NEW)]
        if name in there:
            continue
        is_left = path == name + NEW and (name in wanted or name == CONFIG or in_folders(path))
        if is_left or path.startswith(UPDATE + "/"):
            os.remove(path)
    _prune(UPDATE)
    for path in wanted:
        make_folders(path)
    for path in kept:
        copy(path, kept[path])
    # Until the end a file may be the old one or the new one, and is ours both times.
    listed = _installed()
    for path in wanted:
        listed[path] = [old for old in listed.get(path, []) if old != wanted[path]]
        listed[path].append(wanted[path])
    _list(listed)


def commit(wanted: dict) -> None:
    """Give the new files their names, then remove what is stale, then look at every file again.

    `wanted` is the hash of each file that there is to be. OSError for a file that is not what it
    should be; one that came damaged has not taken its name then.
    """
    new = [path for path in wanted if exists(path + NEW)]
    for path in new:
        if digest(path + NEW) != wanted[path]:
            raise OSError("%s did not arrive whole" % path)
    for path in new:
        os.rename(path + NEW, path)
    for path in _installed():
        if path not in wanted and exists(path):
            os.remove(path)
    for path, _ in list(walk("")):
        twin = path[:-3] + ".mpy"  # the .py file would be taken instead of it
        if path.endswith(".py") and twin in wanted:
            os.remove(path)
    for folder in FOLDERS:
        _prune(folder)
    _list({path: [wanted[path]] for path in wanted})
    for path in wanted:
        if digest(path) != wanted[path]:
            raise OSError("%s is damaged on the board" % path)


def _prune(folder):
    """Remove the empty folders in it."""
    if folder and not exists(folder):
        return
    for entry in list(os.ilistdir(folder or "/")):
        if entry[1] & 0x4000:
            _prune(folder + "/" + entry[0] if folder else entry[0])
    if folder and not os.listdir(folder):
        os.rmdir(folder)


def _installed():
    """{path: hashes} of what is ours. An older deployment listed paths alone."""
    found = {}
    if exists(INSTALLED):
        with open(INSTALLED) as file:
            for line in file:
                parts = line.split()
                if parts:
                    found[parts[0]] = parts[1:]
    return found


def _list(hashes):
    with open(INSTALLED + NEW, "w") as file:
        for path in sorted(hashes):
            if path not in (CONFIG, INSTALLED):
                file.write(" ".join([path] + hashes[path]) + "\n")
        file.write(INSTALLED + "\n")
    os.rename(INSTALLED + NEW, INSTALLED)
