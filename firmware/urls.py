"""Urls, fit to be shown."""


def public_url(url: str) -> str:
    """The url without what may be secret in it: user, password and query."""
    url, _, query = url.partition("?")
    start = url.find("://") + 3 if "://" in url else 0
    authority, slash, path = url[start:].partition("/")
    host = authority.split("@")[-1]
    return url[:start] + host + slash + path + ("?..." if query else "")
