"""One encoder session: token ids in, arrays out."""

from app.runtime.opening import Backend, BackendUnavailable, open_session

__all__ = ["Backend", "BackendUnavailable", "open_session"]
