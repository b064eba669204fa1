"""Masking (RFC 6455 §5.3): the payload XOR a four-byte key, while it is copied or in place."""

from ._compat import loops

apply_mask = loops.apply_mask
