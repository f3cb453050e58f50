"""What any chat can deliver to the conversation, and what the conversation can ask for. Pure."""

from dataclasses import dataclass, field

from bot.screen import Screen
from storage.job import Args, Photo


@dataclass(frozen=True, slots=True)
class Command:
    """``/train`` and its kin, without the slash, in lower case."""

    name: str
    argument: str = ""


@dataclass(frozen=True, slots=True)
class Text:
    text: str


@dataclass(frozen=True, slots=True)
class Choice:
    """A pressed button. ``draft`` says which draft or job it belongs to; old ones are refused."""

    verb: str
    draft: str = ""
    argument: str = ""


@dataclass(frozen=True, slots=True)
class PhotoReceived:
    """A picture that opened and lies in the blob store; its number is given by the core.

    ``look`` is what was seen at first, as the text that is kept.
    """

    photo: Photo
    look: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class FileRefused:
    """An upload that cannot be used: a text key of ``photo.*`` or ``zip.*``."""

    code: str
    args: Args = field(default_factory=dict)


Event = Command | Text | Choice | PhotoReceived | FileRefused


@dataclass(frozen=True, slots=True)
class Show:
    """One message beside the panel; the panel itself follows from the conversation's state."""

    screen: Screen


@dataclass(frozen=True, slots=True)
class Submit:
    """The draft becomes a job; the panel's message becomes the job's status message."""


@dataclass(frozen=True, slots=True)
class CancelJob:
    job_id: str


@dataclass(frozen=True, slots=True)
class SendResult:
    """A finished file is wanted once more."""

    job_id: str


@dataclass(frozen=True, slots=True)
class DropPhotos:
    """The photos are no longer wanted, nor is the draft, if one is named."""

    draft: str
    photos: tuple[Photo, ...]


Action = Show | Submit | CancelJob | SendResult | DropPhotos
