"""Real MQTT brokers on loopback, Mosquitto and nats-server, and an observer of what is on them."""

import json
import queue
import subprocess
import time
from pathlib import Path

import paho.mqtt.client as paho
import pytest

from host_tests.support.interpreters import PATIENCE
from host_tests.support.ports import free_port
from host_tests.support.tools import tool

USER, PASSWORD = "fleet", "fleet's secret"


class Broker:
    """A broker in a folder of its own, which start() starts; `start_process` is that of conftest.

    `tls` is a pair of paths, certificate and key. With `password` it wants USER and PASSWORD.
    """

    path = "/"

    def __init__(self, start_process, folder, tls=None, password=False):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.tls = tls
        self.password = password
        self.port = free_port()
        self.process = None
        self._start_process = start_process

    @property
    def url(self):
        return f"{'wss' if self.tls else 'ws'}://127.0.0.1:{self.port}{self.path}"

    def settings(self):
        """What a board needs to connect."""
        found = {"url": self.url}
        if self.tls:
            found["ca_file"] = "ca.pem"
        if self.password:
            found.update(user=USER, password=PASSWORD)
        return found

    def start(self):
        self.process = self._start_process(self.command())
        self.process.wait_for(self.ready)
        return self

    def kill(self):
        """As if the power failed."""
        self.process.send_signal(9)
        self.process.wait()


class Mosquitto(Broker):
    ready = "running"

    def command(self):
        lines = [
            "user root",
            "per_listener_settings false",
            # It does not start with listeners for WebSocket alone.
            f"listener {free_port()} 127.0.0.1",
            f"listener {self.port} 127.0.0.1",
            "protocol websockets",
            *([f"certfile {self.tls[0]}", f"keyfile {self.tls[1]}"] if self.tls else []),
            f"allow_anonymous {'false' if self.password else 'true'}",
            # Saved at each change: else a kill loses what was acknowledged.
            "persistence true",
            f"persistence_location {self.folder}/",
            "autosave_interval 1",
            "autosave_on_changes true",
            "max_queued_messages 0",
            "set_tcp_nodelay true",
        ]
        if self.password:
            file = self.folder / "passwords"
            file.touch(0o600)
            subprocess.run([tool("mosquitto_passwd"), "-b", file, USER, PASSWORD], check=True)
            lines.append(f"password_file {file}")
        config = self.folder / "mosquitto.conf"
        config.write_text("\n".join(lines) + "\n")
        return [tool("mosquitto"), "-c", config]


class Nats(Broker):
    """A nats-server, or one of a cluster: `routes` are the ports of all, `number` which it is."""

    ready = "Server is ready"
    path = "/mqtt"

    def __init__(self, start_process, folder, tls=None, password=True, number=0, routes=()):
        super().__init__(start_process, folder, tls, True)
        self.name = f"n{number}"
        self.monitor = free_port()
        self._number = number
        self._routes = routes
        self._listen = free_port()
        self._mqtt = free_port()

    def command(self):
        tls = "no_tls: true"
        if self.tls:
            tls = f'tls {{ cert_file: "{self.tls[0]}", key_file: "{self.tls[1]}" }}'
        routes = ""
        if self._routes:
            others = ", ".join(f'"nats://127.0.0.1:{port}"' for port in self._routes)
            routes = (
                f"cluster {{ name: fleet, listen: 127.0.0.1:{self._routes[self._number]}, "
                f"routes: [{others}] }}"
            )
        config = self.folder / "nats.conf"
        # sync_interval stays as it is: "always" lost messages that were acknowledged.
        config.write_text(f"""
server_name: {self.name}
listen: 127.0.0.1:{self._listen}
http: 127.0.0.1:{self.monitor}
jetstream {{ store_dir: "{self.folder}/store", max_mem: 64M, max_file: 1G }}
{routes}
mqtt {{ listen: 127.0.0.1:{self._mqtt}, ack_wait: "10s", authorization {{ timeout: 30 }},
        max_ack_pending: 1000 }}
websocket {{ listen: "127.0.0.1:{self.port}", {tls}, authorization {{ timeout: 30 }} }}
accounts {{
  SYS {{ users: [ {{ user: sys, password: secret }} ] }}
  FLEET {{
    jetstream: enabled
    users: [ {{ user: {USER}, password: {json.dumps(PASSWORD)} }} ]
  }}
}}
authorization {{ timeout: 30 }}
system_account: SYS
""")
        return [tool("nats-server"), "-c", config]


class Observer:
    """A client of paho's that takes whatever is published, at QoS 1, in a session that is kept."""

    def __init__(self, *brokers, topic="#", client_id="observer", ca=None):
        self._brokers = brokers
        self._news = queue.SimpleQueue()
        self.messages = []  # (topic, payload, retained), all that was read so far
        self.client = client = paho.Client(
            paho.CallbackAPIVersion.VERSION2,
            client_id,
            clean_session=False,
            transport="websockets",
        )
        broker = brokers[0]
        if broker.tls:
            client.tls_set(ca)
        if broker.password:
            client.username_pw_set(USER, PASSWORD)
        client.ws_set_options(path=broker.path)
        client.reconnect_delay_set(1, 1)
        ready = queue.SimpleQueue()
        client.on_connect = lambda client, *rest: client.subscribe(topic, 1)
        client.on_subscribe = lambda *rest: ready.put(True)
        client.on_message = self._take
        client.connect("127.0.0.1", broker.port)
        client.loop_start()
        ready.get(timeout=PATIENCE)

    def _take(self, client, data, message):
        self._news.put((message.topic, message.payload.decode(), message.retain))

    def send(self, topic, payload, retain=False):
        self.client.publish(topic, payload, 0, retain)

    def wait_for(self, wanted, purpose="a message"):
        """Read on until `wanted(topic, payload, retained)`; that message."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                message = self._news.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                pytest.fail(f"waiting for {purpose}: it did not come. What came: {self.messages}")
            self.messages.append(message)
            if wanted(*message):
                return message

    def wait_for_value(self, topic, payload):
        return self.wait_for(
            lambda found, value, retained: (found, value) == (topic, payload),
            f"{topic} {payload}",
        )

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


def certificate(folder):
    """Paths of a certificate for this computer, its key, and the authority that vouches for it."""
    import trustme

    authority = trustme.CA()
    own = authority.issue_cert("127.0.0.1", "localhost")
    paths = [Path(folder) / name for name in ("cert.pem", "key.pem", "ca.pem")]
    own.cert_chain_pems[0].write_to_path(paths[0])
    own.private_key_pem.write_to_path(paths[1])
    authority.cert_pem.write_to_path(paths[2])
    return paths
