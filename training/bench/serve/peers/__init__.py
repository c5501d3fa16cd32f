"""One small server for each peer, in the form that the peer's own documentation teaches. They run in the
peers' environments, not in this project's."""
