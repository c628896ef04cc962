"""The TLS context for upstreams: one per process, with the roots of the package certifi.

Making it takes 21 ms of CPU, so that a start of the data plane makes it on a thread, while Lambda still gives the
process a whole processor; a first call then does not wait for it. `certifi.where()` would load `importlib.resources`
for one path, which takes 20 ms more.
"""

from __future__ import annotations

import ssl
import threading
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_making = threading.Lock()


def prepare() -> None:
    """Make the context on a thread. The end of a process waits for it: OpenSSL must not be in use by then."""
    threading.Thread(target=context, name="postern-tls").start()


def context() -> ssl.SSLContext:
    """The context, made at the first call; a second caller waits for the first one."""
    with _making:
        return _made()


@cache
def _made() -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=str(roots()))
    made.set_alpn_protocols(["http/1.1"])
    return made


def roots() -> Path:
    """The file of roots that certifi ships."""
    found = find_spec("certifi")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).with_name("cacert.pem")
