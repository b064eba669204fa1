"""A cluster of three NATS servers: the one that leads the stream is killed while boards publish.

How often is the environment's FLEET_KILLS (1); the nightly run takes more.
"""

import json
import os
import time
import urllib.request

import pytest

from host_tests.deploy import virtual
from host_tests.fleet.boards import program
from host_tests.support.brokers import Nats, Observer
from host_tests.support.interpreters import INTERPRETERS, PATIENCE, environment
from host_tests.support.ports import free_port

BOARDS = 12
STREAM = "$MQTT_msgs"
KILLS = int(os.environ.get("FLEET_KILLS", "1"))


@pytest.fixture
def cluster(start, tmp_path):
    """Three servers that have found each other."""
    routes = [free_port() for _ in range(3)]
    servers = [Nats(start, tmp_path / f"n{i}", number=i, routes=routes) for i in range(3)]
    for server in servers:
        server.process = start(server.command())
    for server in servers:
        server.process.wait_for("Server is ready")
    wait_until(
        lambda: any(
            asked(server, "jsz").get("meta_cluster", {}).get("leader") for server in servers
        )
    )
    return servers


def asked(server, what):
    """What a server's monitor says; nothing where the server is not there."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.monitor}/{what}") as answer:
            return json.load(answer)
    except OSError:
        return {}


def stream(server):
    """What a server knows of the stream of what is published."""
    found = asked(server, "jsz?streams=1&consumers=1")
    for account in found.get("account_details", ()):
        for one in account["stream_detail"]:
            if one["name"] == STREAM:
                return one
    return {}


def leader(servers):
    """The server that leads the stream; None where no one does, or not all say the same."""
    names = {stream(server).get("cluster", {}).get("leader") for server in servers}
    names.discard(None)
    if len(names) != 1:
        return None
    (name,) = names
    return next((server for server in servers if server.name == name), None)


def wait_until(is_so, purpose="it never came to be", show=lambda: ""):
    """Ask until it is; the answer."""
    end = time.monotonic() + 2 * PATIENCE
    while not (found := is_so()):
        if time.monotonic() > end:
            pytest.fail(f"{purpose} {show()}")
        time.sleep(0.1)
    return found


@pytest.mark.parametrize("turn", range(KILLS))
def test_no_message_is_lost_with_the_server_that_leads(cluster, start, turn):
    base = f"turn{turn}"
    # It takes a first session to make the streams.
    observer = Observer(cluster[0], topic=base + "/+/pin0", client_id="watch" + base)
    first = wait_until(lambda: leader(cluster))
    if first is cluster[0]:
        # Another run looks at what becomes of the observer.
        observer.close()
        observer = Observer(cluster[1], topic=base + "/+/pin0", client_id="watch" + base)
    urls = [server.url for server in cluster]
    given = {**first.settings(), "topic": base, "sample_interval": 0.2, "queue_size": 16384}
    fleet = start(
        INTERPRETERS["cpython"].command("-c", program(given, BOARDS, urls)),
        env=environment(virtual.START.parent),
    )
    for _ in range(BOARDS):
        fleet.wait_for("the broker knows this board as")
    for _ in range(3 * BOARDS):
        observer.wait_for(lambda *_: True)
    killed = wait_until(lambda: leader(cluster))
    killed.kill()
    rest = [server for server in cluster if server is not killed]
    wait_until(lambda: leader(rest))
    newest = {}

    def is_there(most):
        while len(newest) < BOARDS or min(newest.values()) < most:
            topic, value, _ = observer.wait_for(lambda *_: True)
            newest[topic] = max(int(value), newest.get(topic, 0))
        return newest

    # All of them go on for some time after the new leader was there.
    is_there(max(is_there(0).values()) + 30)
    fleet.stop()
    told = [line for line in fleet.output.splitlines() if "older ones were dropped" in line]
    assert all(" 0 older" in line for line in told)
    for topic in newest:
        seen = {int(value) for found, value, _ in observer.messages if found == topic}
        assert seen >= set(range(newest[topic] + 1)), topic
    # Nothing is left that a server holds and does not deliver.
    wait_until(lambda: is_empty(rest), "not all is delivered:", lambda: list(map(stream, rest)))
    observer.close()


def is_empty(servers):
    """Whether nothing is left in the stream, and nothing waits for a consumer.

    What a consumer has, the server knows that leads it.
    """
    for server in servers:
        found = stream(server)
        if not found or found["state"]["messages"]:
            return False
        for one in found["consumer_detail"]:
            leads = one["cluster"]["leader"] == server.name
            if leads and (one["num_ack_pending"] or one["num_pending"]):
                return False
    return True
