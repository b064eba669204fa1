"""wss://: whom the client role trusts, what the server role shows, and the clock for it."""

import time
from errno import ENOENT

from microws.compat import MICROPYTHON
from microws.url import parse_url

from firmware.config import FILE, ConfigError
from firmware.describe import describe_error
from firmware.log import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

if MICROPYTHON:
    import tls

    def _read(file):
        with open(file, "rb") as stream:
            return stream.read()

    def _load_ca(context, file):
        context.load_verify_locations(_read(file))

    def _load_own(context, certificate, key):
        context.load_cert_chain(_read(certificate), _read(key))

else:
    import ssl as tls

    _load_ca = tls.SSLContext.load_verify_locations
    _load_own = tls.SSLContext.load_cert_chain

_FIRST_YEAR = 2024  # a clock that says less has not been set


def server_context(settings: dict) -> "Any":
    """The context of a server with the configured certificate; ConfigError if there is none."""
    context = tls.SSLContext(tls.PROTOCOL_TLS_SERVER)
    _load(settings, ("cert_file", "key_file"), _load_own, context)
    return context


class Verifier:
    """How the client role knows its server; `context` goes to connect().

    ConfigError where the configured file cannot be used.
    """

    def __init__(self, settings: dict) -> None:
        self.context: Any
        self._ntp_host = settings["ntp_host"]
        self._host = ""
        self._needs_clock = not settings["fingerprint"]
        if settings["fingerprint"]:
            from microws.pin import Pinned

            self.context = Pinned(settings["fingerprint"])
        else:
            self.context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
            _load(settings, ("ca_file",), _load_ca, self.context)

    def context_for(self, url: str) -> "Any":
        """What connect() wants for this url; None where it needs no TLS."""
        secure, self._host = parse_url(url)[:2]
        return self.context if secure else None

    def set_clock(self) -> None:
        """Set the clock by NTP if nobody has; OSError if it fails and the clock matters."""
        if time.gmtime()[0] >= _FIRST_YEAR:
            return
        try:
            import ntptime

            ntptime.host = self._ntp_host
            ntptime.settime()
        except (ImportError, OSError) as error:
            cause = describe_error(error)
            problem = "clock not set: no time from %s: %s" % (self._ntp_host, cause)
            if self._needs_clock:
                raise OSError(problem) from None
            log(problem)
        else:
            log("clock set by %s: %s" % (self._ntp_host, _today()))

    def distrust(self, error: Exception) -> str:
        """What was wrong with the server's certificate, "" where that is not what failed."""
        refused = getattr(self.context, "refused", "")
        if refused:
            self.context.refused = ""
            return "server not trusted: fingerprint: its certificate has " + refused
        text = str(error) if isinstance(error, OSError) else ""
        causes = []
        # In the words of mbedtls and of OpenSSL.
        if "Common Name" in text or "mismatch" in text:
            causes.append("name: its certificate is not for " + self._host)
        if "trusted CA" in text or "issuer" in text or "self-signed" in text:
            causes.append('issuer: "ca_file" does not vouch for its certificate')
        if "expired" in text or "future" in text or "not yet valid" in text:
            causes.append("clock: its certificate does not hold at %s, today here" % _today())
        return "server not trusted: " + "; ".join(causes) if causes else ""


def _today():
    return "%d-%02d-%02d" % time.gmtime()[:3]


def _load(settings, keys, load, context):
    try:
        load(context, *[settings[key] for key in keys])
    except (OSError, ValueError) as error:
        problem = str(error) + "; is it DER, or PEM, without a password?"
        if isinstance(error, OSError) and error.errno == ENOENT:
            problem = "no such file on the board; put it there with mpremote cp"
        files = " and ".join(['"%s" (%s)' % (key, settings[key]) for key in keys])
        raise ConfigError(["%s: %s: %s" % (FILE, files, problem)]) from None
