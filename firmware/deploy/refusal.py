"""How the deployment program gives up."""

# mypy: ignore-errors
# (It runs on CPython, whose library is not that of the type stubs.)

import os

# What to type, in sentences that say what to do next.
PROGRAM = "python -m firmware.deploy" if os.name == "nt" else "./deploy.sh"


class Refusal(Exception):
    """Something that the person at the terminal can put right: one line that says how."""


class WrongOption(Refusal):
    """The options are not what they may be."""
