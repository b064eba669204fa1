"""Every setting of config.json: this table is the one place that knows its name and its default.

check.py checks by it, and the table in README.md comes from it: see deploy/readme.py, where the
sentences for people stand. A new setting is a row here and a sentence there.
"""

# Its name; whom it is for: "board", "server", "client", "mqtt", "clients", which are the last two,
# or "roles", which are all three; its default,
# where None means none, or what the board and the role choose; what it may be, a kind of check.py
# or of one of the modules beside it, and what that kind wants to know.
TABLE = (
    ("role", "board", "server", "choice", "client", "mqtt", "server"),
    ("role_pin", "board", None, "whole", 0, 54),
    ("board", "board", "esp32-w5500", "board"),
    ("pins", "board", None, "pins"),
    ("hostname", "board", "microws", "hostname"),
    ("address", "board", None, "ip", "192.168.1.20"),
    ("netmask", "board", "255.255.255.0", "netmask"),
    ("gateway", "board", None, "ip", "192.168.1.1"),
    ("dns", "board", None, "ip", "192.168.1.1"),
    ("wifi_ssid", "board", None, "text", 1, 32),
    ("wifi_password", "board", None, "secret", 8, 63),
    ("wifi_ap", "server", None, "own_wifi"),
    # A search for a name may block for half of the least.
    ("watchdog", "board", None, "whole", 60, 3600),
    ("url", "clients", "ws://127.0.0.1:8080/", "url"),
    ("queue", "client", 0, "whole", 0, 1000),
    ("headers", "clients", None, "headers"),
    ("ca_file", "clients", None, "file", "ca.pem"),
    ("fingerprint", "clients", None, "fingerprint"),
    ("ntp_host", "clients", "pool.ntp.org", "host"),
    ("topic", "mqtt", "microws", "topic", 1),
    ("discovery", "mqtt", "homeassistant", "topic", 0),
    ("show_as", "mqtt", None, "show_as"),
    ("queue_size", "mqtt", 2048, "whole", 512, 32768),
    ("queue_file", "mqtt", None, "file", "queue.bin"),
    ("queue_file_size", "mqtt", 32768, "whole", 4096, 1048576),
    ("port", "server", 8080, "whole", 1, 65535),
    ("path", "server", "/", "path"),
    ("max_clients", "server", None, "whole", 1, 64),
    ("slow", "server", "drop", "choice", "close", "drop"),
    ("flood", "server", "queue", "choice", "newest", "queue"),
    ("chat", "server", False, "flag"),
    ("origins", "server", None, "origins"),
    ("cert_file", "server", None, "file", "cert.pem"),
    ("key_file", "server", None, "file", "key.pem"),
    ("watch_token", "server", None, "token"),
    ("history", "server", 4096, "whole", 0, 65536),
    ("inputs", "roles", None, "inputs"),
    ("outputs", "roles", None, "outputs"),
    ("format", "roles", "text", "choice", "json", "text"),
    ("read_only", "roles", False, "flag"),
    ("sample_pin", "roles", None, "whole", 0, 54),
    ("sample_interval", "roles", None, "number", 0.05, 3600),
    ("keepalive", "roles", 40, "number", 1, 3600),
    ("max_size", "roles", None, "whole", 125, 65536),
    ("max_header", "roles", None, "whole", 512, 16384),
    ("token", "roles", None, "token"),
    ("user", "roles", None, "user"),
    ("password", "roles", None, "password"),
    ("update_token", "roles", None, "token"),
    ("update_key", "roles", None, "key"),
    ("update_port", "roles", 8266, "whole", 1, 65535),
    ("update_trial", "roles", 180, "whole", 10, 3600),
    ("subprotocols", "roles", None, "subprotocols"),
)


def defaults() -> dict:
    """Every setting with its default."""
    return {row[0]: row[2] for row in TABLE}
