"""What check.py says of a name that no setting has, and which one was meant."""

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def unknown(name: str, known: "Iterable[str]") -> str:
    """What to say of a name that no setting has; `known` are those that there are."""
    nearest = min(known, key=lambda row: _distance(name, row))
    if _distance(name, nearest) <= 1 + len(name) // 3:
        hint = 'did you mean "%s"?' % nearest
    else:
        hint = "there are: " + ", ".join(sorted(known))
    return "%s is no setting; %s" % (json.dumps(name), hint)


def _distance(one, other):
    """How many letters to change, add or drop to get from one to the other."""
    row = list(range(len(other) + 1))
    for letter in one:
        diagonal = row[0]
        row[0] += 1
        for i in range(len(other)):
            cost = min(row[i] + 1, row[i + 1] + 1, diagonal + (letter != other[i]))
            diagonal = row[i + 1]
            row[i + 1] = cost
    return row[-1]
