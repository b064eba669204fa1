"""Where things are."""

from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
BIN = TOP / ".cache" / "bin"
