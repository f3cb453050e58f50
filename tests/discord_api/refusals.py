"""What Discord answers when it refuses: a status, a code, a sentence."""

from typing import Any

Json = dict[str, Any]

UNKNOWN_CHANNEL = (404, 10003, "Unknown Channel")
UNKNOWN_MEMBER = (404, 10007, "Unknown Member")
UNKNOWN_MESSAGE = (404, 10008, "Unknown Message")
UNKNOWN_USER = (404, 10013, "Unknown User")
UNKNOWN_WEBHOOK = (404, 10015, "Unknown Webhook")
UNKNOWN_INTERACTION = (404, 10062, "Unknown interaction")
OLD_EDITS = (429, 30046, "Maximum number of edits to messages older than 1 hour reached.")
TOO_LARGE = (413, 40005, "Request entity too large")
ANSWERED = (400, 40060, "Interaction has already been acknowledged.")
TOO_MANY_ANSWERS = (
    400,
    40094,
    "This interaction has reached its maximum number of follow up messages",
)
NO_ACCESS = (403, 50001, "Missing Access")
NOT_THE_AUTHOR = (403, 50005, "Cannot edit a message authored by another user")
EMPTY = (400, 50006, "Cannot send an empty message")
DM_CLOSED = (403, 50007, "Cannot send messages to this user")
NO_PERMISSION = (403, 50013, "Missing Permissions")
EXPIRED = (401, 50027, "Invalid Webhook Token")
UNAUTHORIZED = (401, 0, "401: Unauthorized")


class RefusedError(Exception):
    def __init__(self, what: tuple[int, int, str], **more: Any) -> None:
        self.status, code, message = what
        self.body: Json = {"message": message, "code": code, **more}
        super().__init__(message)


class FloodError(Exception):
    """429. ``everywhere`` is the bot's global limit; ``scope`` the header's word."""

    def __init__(self, retry_after: float, *, everywhere: bool = False) -> None:
        self.retry_after = retry_after
        self.everywhere = everywhere
        super().__init__(retry_after)


def invalid(where: str, code: str, message: str) -> RefusedError:
    """An invalid form body, with the path to its fault."""
    return RefusedError(
        (400, 50035, "Invalid Form Body"),
        errors={where: {"_errors": [{"code": code, "message": message}]}},
    )
