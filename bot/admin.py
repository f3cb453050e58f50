"""What only admins can say and press. To everybody else these do not exist. Pure.

Who is an admin is read anew for each update, so an old button is worth no more than its presser.
"""

from collections.abc import Mapping

from bot import (
    admin_audit,
    admin_people,
    admin_queue,
    admin_review,
    admin_roles,
    admin_service,
)
from bot.draft import Conversation
from bot.events import Event
from bot.facts import Facts
from bot.moves import Handler, Step, unexpected

# With a place in the help that admins read, and in their menus.
COMMANDS = (
    *("pause", "resume", "users", "allow", "ban", "unban", "limit", "invite"),
    *("admin", "unadmin", "audit", "stats", "gpu", "doctor", "log", "announce"),
)

HANDLERS: Mapping[str, Handler] = {
    "/pause": admin_service.pause,
    "/resume": admin_service.resume,
    "resume": admin_service.resume,
    "/stats": admin_service.stats,
    "/gpu": admin_service.gpu,
    "/doctor": admin_service.doctor,
    "/announce": admin_service.announce,
    "letter": admin_service.confirm,
    "/users": admin_people.users,
    "users": admin_people.users,
    "who": admin_people.who,
    "/allow": admin_people.allow,
    "allow": admin_people.allow,
    "deny": admin_people.deny,
    "block": admin_people.block,
    "/ban": admin_people.ban,
    "ban": admin_people.ban,
    "/unban": admin_people.unban,
    "unban": admin_people.unban,
    "/admin": admin_roles.ask_appoint,
    "appoint": admin_roles.appoint,
    "/unadmin": admin_roles.dismiss,
    "/audit": admin_audit.audit,
    "audit": admin_audit.audit,
    "/limit": admin_people.limit,
    "/invite": admin_people.invite,
    "/log": admin_queue.log,
    "qlog": admin_queue.log,
    "qshow": admin_queue.show,
    "qmove": admin_queue.move,
    "approve": admin_review.approve,
    "refuse": admin_review.refuse,
}


def only(handler: Handler) -> Handler:
    """For others the same answer as to a command or a button that nobody knows."""

    def checked(conversation: Conversation, event: Event, facts: Facts) -> Step:
        return (handler if facts.is_admin else unexpected)(conversation, event, facts)

    return checked


GUARDED: Mapping[str, Handler] = {key: only(handler) for key, handler in HANDLERS.items()}
