"""What any chat can deliver to the conversation, and what the conversation can ask for. Pure."""

from dataclasses import dataclass, field

from bot.orders import Order
from bot.screen import Screen
from storage.job import Args, Photo
from storage.preferences import Preferences


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

    ``look`` is what was seen at first, as the text that is kept; ``ref`` names the message that
    brought this photo alone, where a mark can be set under it.
    """

    photo: Photo
    look: str = field(default="", repr=False)
    ref: str = ""


@dataclass(frozen=True, slots=True)
class FileRefused:
    """An upload that cannot be used: a text key of ``photo.*`` or ``zip.*``."""

    code: str
    args: Args = field(default_factory=dict)
    ref: str = ""


@dataclass(frozen=True, slots=True)
class Filled:
    """A whole form at once, from a network that has forms. ``kind`` and ``base`` are ids."""

    name: str
    kind: str
    base: str
    consent: bool


Event = Command | Text | Choice | PhotoReceived | FileRefused | Filled


def key_of(event: Event) -> str:
    """As the tables of handlers name it."""
    match event:
        case Command(name=name):
            return f"/{name}"
        case Text():
            return "text"
        case Choice(verb=verb):
            return verb
        case PhotoReceived():
            return "photo"
        case FileRefused():
            return "refused"
        case Filled():
            return "form"


@dataclass(frozen=True, slots=True)
class Show:
    """One message beside the panel; the panel itself follows from the conversation's state."""

    screen: Screen


@dataclass(frozen=True, slots=True)
class Submit:
    """The draft becomes a job; the panel's message becomes the job's status message. ``held``: it
    waits for an admin's eye.
    """

    held: bool = False


@dataclass(frozen=True, slots=True)
class CancelJob:
    job_id: str


@dataclass(frozen=True, slots=True)
class AskSamples:
    """The training is to draw samples now."""

    job_id: str


@dataclass(frozen=True, slots=True)
class AskFinish:
    """The training is to end here, and what it learned becomes the file."""

    job_id: str


@dataclass(frozen=True, slots=True)
class SendResult:
    """A finished file is wanted once more, or a fresh link to it alone."""

    job_id: str
    only_link: bool = False


@dataclass(frozen=True, slots=True)
class SendCard:
    """A finished file's card, for whoever gets the file."""

    job_id: str


@dataclass(frozen=True, slots=True)
class RenameModel:
    job_id: str
    name: str


@dataclass(frozen=True, slots=True)
class DeleteModel:
    """The finished file and all that belongs to it; its copy in the LoRA folder if it is wanted."""

    job_id: str
    with_copy: bool = False


@dataclass(frozen=True, slots=True)
class DropPhotos:
    """The photos are no longer wanted, nor is the draft, if one is named."""

    draft: str
    photos: tuple[Photo, ...]


@dataclass(frozen=True, slots=True)
class GiveConsent:
    """The person agreed to the policy; their photos may be looked at."""

    photos: tuple[Photo, ...] = ()


@dataclass(frozen=True, slots=True)
class DropJobPhotos:
    """The photos of a training that has ended are no longer wanted."""

    job_id: str


@dataclass(frozen=True, slots=True)
class ForgetMe:
    """Everything of this person is to go."""


@dataclass(frozen=True, slots=True)
class Export:
    """All that is stored of this person, as files."""


@dataclass(frozen=True, slots=True)
class ChooseLanguage:
    """Of a catalogue, by its name; empty: what the client says."""

    language: str


@dataclass(frozen=True, slots=True)
class Prefer:
    """What is to hold from now on, all of it."""

    preferences: Preferences


@dataclass(frozen=True, slots=True)
class Rate:
    """What the person thinks of a finished model."""

    job_id: str
    answer: str


@dataclass(frozen=True, slots=True)
class SendStep:
    """Another version of a finished model, as it was after ``step``."""

    job_id: str
    step: int


LibraryAction = SendResult | SendCard | RenameModel | DeleteModel | Rate | SendStep
JobAction = CancelJob | AskSamples | AskFinish
PrivacyAction = GiveConsent | DropJobPhotos | ForgetMe | Export | ChooseLanguage | Prefer
Action = Show | Submit | JobAction | DropPhotos | LibraryAction | PrivacyAction | Order
