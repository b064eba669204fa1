"""The Autobahn test suite under Python 2.7: ``suite.py SITE list`` or ``suite.py SITE SPEC``.

SITE is the folder of its packages. ``list`` tells its cases. SPEC is a JSON file for one run:
``side`` (the one that is tested, "server" or "client"), ``cases``, ``outdir`` and, for a server,
its ``url``; ``slowness``, where it needs so many times the time for a case, and ``options``. What
happens is told on stdout, one JSON value a line. At the end of stdin the reports are written and
the run ends.

``run.py`` calls it. The suite's own command takes no port 0 and tells no result before the end.
"""

import json
import site
import sys
import types

# What the suite prints is for the log; stdout is kept for what run.py reads.
_news, sys.stdout = sys.stdout, sys.stderr
site.addsitedir(sys.argv[1])

import unittest  # noqa: E402

import twisted.internet  # noqa: E402

# Imported by the suite, not used for ws:// nor by what is run here: it saves their packages.
twisted.internet.ssl = types.ModuleType("twisted.internet.ssl")
twisted.internet.ssl.ClientContextFactory = lambda: None
sys.modules["twisted.internet.ssl"] = twisted.internet.ssl
sys.modules["unittest2"] = unittest

from autobahntestsuite import choosereactor, fuzzing  # noqa: E402, F401
from twisted.internet import reactor, stdio  # noqa: E402
from twisted.internet.protocol import Protocol  # noqa: E402

AGENT = "microws"  # the name in the reports; echo_client.py gives it too


def tell(news):
    _news.write(json.dumps(news) + "\n")
    _news.flush()


def telling(factory_class):
    """The suite's factory, telling each result as it comes."""

    class Factory(factory_class):
        def logCase(self, result):
            factory_class.logCase(self, result)
            keys = ("id", "behavior", "behaviorClose", "result", "resultClose")
            news = {key: result[key] for key in keys}
            news["report"] = self.makeAgentCaseReportFilename(AGENT, result["id"], "json")
            tell(news)

    return Factory


class Input(Protocol):
    def __init__(self, ended):
        self.connectionLost = lambda reason: ended()


def main(spec):
    # Most cases have a second, then the suite ends the connection.
    kill_after, slowness = fuzzing.FuzzingProtocol.killAfter, spec.get("slowness", 1)
    fuzzing.FuzzingProtocol.killAfter = lambda self, delay: kill_after(self, delay * slowness)
    if spec["side"] == "server":
        spec["servers"] = [{"agent": AGENT, "url": spec["url"]}]
        factory = telling(fuzzing.FuzzingClientFactory)(spec)  # stops by itself
    else:
        spec["url"] = "ws://127.0.0.1:0"
        factory = telling(fuzzing.FuzzingServerFactory)(spec)
        port = reactor.listenTCP(0, factory, interface="127.0.0.1").getHost().port
        factory.port = factory.externalPort = port  # it checks the Host field
        tell(port)

    def ended():
        if reactor.running:
            factory.createReports()
            reactor.stop()

    stdio.StandardIO(Input(ended))
    reactor.run()


if sys.argv[2] == "list":
    tell([case.__name__[len("Case") :].replace("_", ".") for case in fuzzing.Cases])
else:
    with open(sys.argv[2]) as spec_file:
        main(json.load(spec_file))
