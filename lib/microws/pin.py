"""A TLS context that trusts one certificate, known by its SHA-256 fingerprint."""

from binascii import hexlify, unhexlify
from hashlib import sha256

from .compat import MICROPYTHON, const

TYPE_CHECKING = const(0)  # folded away on a board
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ._types import TLS, NetSocket

if MICROPYTHON:
    import tls

    _REFUSED = const(-0x3000)  # MBEDTLS_ERR_X509_FATAL_ERROR

    def pinned_context(accepts: "Callable[[bytes], bool]") -> "TLS":
        context: Any = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
        # As with CERT_NONE nobody's word counts, but the callback is asked, before anything is
        # sent to the server. Depth 0 is the server's own certificate.
        context.verify_mode = tls.CERT_OPTIONAL
        context.verify_callback = lambda der, depth: 0 if depth or accepts(der) else _REFUSED
        return context

else:
    from ._cpython import pinned_context


class Pinned:
    """Goes to ``connect()`` as ``ssl``: neither issuer, name nor dates count, only this.

    ``fingerprint`` is 64 hexadecimal digits, with colons or without. ``ValueError`` if it is not.
    """

    def __init__(self, fingerprint: str) -> None:
        self._digest = unhexlify(fingerprint.replace(":", ""))
        if len(self._digest) != 32:
            raise ValueError("fingerprint must be 64 hexadecimal digits")
        self._context = pinned_context(self._accepts)
        #: The fingerprint of the last certificate that was refused.
        self.refused = ""

    def wrap_socket(self, sock: "NetSocket", **options: object) -> "NetSocket":
        return self._context.wrap_socket(sock, **options)

    def _accepts(self, der: bytes) -> bool:
        digest = sha256(der).digest()
        if digest == self._digest:
            return True
        self.refused = str(hexlify(digest), "ascii")
        return False
