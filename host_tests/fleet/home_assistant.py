"""What a board announces, before Home Assistant's own schemas: a key that these drop is an error.

./host_tests/setup.sh homeassistant
PYTHONPATH=.cache/homeassistant:lib:. .venv/bin/python host_tests/fleet/home_assistant.py
"""

import importlib
import sys

from homeassistant.components.mqtt.discovery import TOPIC_MATCHER

from firmware import discovery
from firmware.settings import defaults
from host_tests.firmware.test_discovery import SETTINGS, found


def main():
    settings = {**defaults(), **SETTINGS}
    wrong = 0
    for topic, _ in discovery.messages(settings, "shed", "microws/shed/"):
        if not TOPIC_MATCHER.match(topic.partition("/")[2]):
            print(f"{topic}: Home Assistant does not look there")
            wrong += 1
    for name, (kind, entry) in found(settings).items():
        module = importlib.import_module(f"homeassistant.components.mqtt.{kind}")
        taken = module.DISCOVERY_SCHEMA(entry)
        lost = sorted(entry.keys() - {str(key) for key in taken})
        print(f"{name}: {kind}, {'unknown: ' + ', '.join(lost) if lost else 'good'}")
        wrong += bool(lost)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
