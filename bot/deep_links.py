"""What a link into the private chat means: the word behind it comes as that of a /start. Pure."""

from bot.events import Choice, Command, Event

COMMANDS = frozenset(
    {
        *("train", "models", "status", "settings", "help", "cancel"),
        *("language", "privacy", "delete", "export"),
    }
)
MODEL = "m-"


def meant(event: Event) -> Event:
    """A command, or a model that is to be opened. Codes that let somebody in stay as they are."""
    if not isinstance(event, Command) or event.name != "start":
        return event
    word = event.argument
    if word.lower() in COMMANDS:
        return Command(word.lower())
    if word.lower().startswith(MODEL):
        return Choice("about", word[len(MODEL) :].upper())
    return event
