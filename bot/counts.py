"""What this process counts while it runs; /metrics shows it. What must survive it is counted in
the database instead (`storage.meter_store`).
"""

from prometheus_client import CollectorRegistry, Counter, Histogram

from bot.frontend import (
    ChatGoneError,
    MessageGoneError,
    NetworkError,
    SlowDownError,
    TooLargeError,
    UncertainError,
)

REGISTRY = CollectorRegistry()
CALLS = Counter(
    "lorabot_chat_calls",
    "Messages that were sent or edited, by how the network took it",
    ("network", "call", "outcome"),
    registry=REGISTRY,
)
COALESCED = Counter(
    "lorabot_edits_coalesced",
    "Versions of a status message that a newer one made unnecessary",
    ("network",),
    registry=REGISTRY,
)
LAG_S = Histogram(
    "lorabot_loop_lag_seconds",
    "How much later than asked the event loop of the bot comes back",
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
    registry=REGISTRY,
)
OUTCOMES: tuple[tuple[type[NetworkError], str], ...] = (
    (SlowDownError, "slow_down"),
    (UncertainError, "uncertain"),
    (TooLargeError, "too_large"),
    (ChatGoneError, "chat_gone"),
    (MessageGoneError, "message_gone"),
)


def called(network: str, call: str, error: NetworkError | None = None) -> None:
    """One call to a chat network, and its end."""
    CALLS.labels(network, call, "ok" if error is None else outcome_of(error)).inc()


def outcome_of(error: NetworkError) -> str:
    for kind, name in OUTCOMES:
        if isinstance(error, kind):
            return name
    return "refused" if error.permanent else "failed"
