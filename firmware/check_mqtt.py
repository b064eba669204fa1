"""What check.py does, for the settings of the role "mqtt"; few boards load this."""

_MOST_URLS = 8
_TOPIC_SIZE = 64  # bytes
# What Home Assistant may take an output for: one with and one without "pwm".
_SHOWN = {True: ("light", "number"), False: ("button", "light", "switch")}


def conflicts(settings: dict) -> list:
    """A line for each of these settings that does not go with others."""
    problems = []
    urls = settings["url"]
    if isinstance(urls, list) and settings["role"] != "mqtt":
        problems.append('"url" is a list, which only "role": "mqtt" takes')
    if isinstance(urls, list) and len(urls) > _MOST_URLS:
        problems.append('"url" is a list of %d; at most %d' % (len(urls), _MOST_URLS))
    outputs = settings["outputs"] or {}
    for name in sorted(settings["show_as"] or ()):
        shown = settings["show_as"][name]
        if name not in outputs:
            problems.append('"%s" in "show_as" is no output' % name)
            continue
        allowed = _SHOWN[outputs[name].get("pwm") is not None]
        if shown not in allowed:
            problems.append(
                '"%s" in "show_as" is "%s"; allowed for this output: %s'
                % (name, shown, ", ".join(['"%s"' % one for one in allowed]))
            )
    return problems


def _is_topic(value, least):
    """Whether it may be the beginning of a topic (§4.7)."""
    if not isinstance(value, str) or not least <= len(value.encode()) <= _TOPIC_SIZE:
        return False
    odd = [letter for letter in value.encode() if letter < 0x20 or letter in b"#+\x7f"]
    return not odd and not value.startswith(("$", "/")) and not value.endswith("/")


def _is_shown(value):
    known = _SHOWN[True] + _SHOWN[False]
    return isinstance(value, dict) and not [one for one in value.values() if one not in known]


# As in check.py.
KINDS = {
    "topic": (
        _is_topic,
        "a text of %d to 64 bytes without # and +, no / at either end, no $ at the beginning",
    ),
    "show_as": (_is_shown, '{ "lamp": "light", "bell": "button", ... }, "number", "switch"'),
}
