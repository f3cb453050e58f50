"""Ask any server with OpenAI's interface what is on a picture.

Of the models the first is asked, and the next one where it fails. What comes back is a stranger's
text: bounded while it is read, checked, cleaned, and never logged.
"""

import asyncio
import base64
import json
import random
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import httpx

from pictures.captions import CAPTION_CHARS, Described, clean_word

MOST_BYTES = 200_000
MOST_TOKENS = 160
LONGEST_PAUSE_S = 30.0
AGAIN = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS})
REFUSALS = (
    *("i'm sorry", "i am sorry", "sorry,", "i can't", "i cannot", "i can not", "i won't"),
    *("i'm unable", "i am unable", "i'm not able", "i am not able", "unable to", "as an ai"),
    "as a language model",
)
# Models that think aloud, and those that announce what they are about to say.
ASIDES = re.compile(r"<think>.*?(?:</think>|$)", re.DOTALL | re.IGNORECASE)
ANNOUNCED = re.compile(
    r"^(?:(?:sure|certainly|of course)[,.!] )?(?:here(?:'s| is) )?(?:(?:an?|the|your|one) )?"
    r"(?:[\w-]+ ){0,3}(?:caption|description|sentence)[^:.]{0,40}: ",
    re.IGNORECASE,
)

Sleep = Callable[[float], Awaitable[None]]


class VisionError(Exception):
    """No model gave a usable answer. ``permanent``: asking again would not help."""

    def __init__(self, what: str, *, permanent: bool) -> None:
        super().__init__(what)
        self.permanent = permanent


class _NotNowError(Exception):
    """It failed this time; ``after_s`` is the pause that the server asks for."""

    def __init__(self, what: str, after_s: float | None = None) -> None:
        super().__init__(what)
        self.after_s = after_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Vision:
    """``url`` is the base, like ``http://127.0.0.1:8000/v1``. No models: the server's default."""

    url: str
    models: tuple[str, ...] = ()
    key: str = field(default="", repr=False)
    timeout_s: float = 60.0
    tries: int = 3
    sleep: Sleep = asyncio.sleep

    async def describe(self, jpeg: bytes, instruction: str) -> Described:
        said = []
        permanent = True
        # Neither proxies nor redirects: the picture goes where the operator said, or nowhere.
        async with httpx.AsyncClient(
            timeout=self.timeout_s, trust_env=False, follow_redirects=False
        ) as client:
            for model in self.models or ("",):
                try:
                    return await self._ask_patiently(
                        client, self._request(model, jpeg, instruction)
                    )
                except VisionError as error:
                    permanent &= error.permanent
                    said.append(f"{model or 'default model'}: {error}")
        raise VisionError("; ".join(said), permanent=permanent)

    def _request(self, model: str, jpeg: bytes, instruction: str) -> dict[str, Any]:
        picture = f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
        content = [
            {"type": "text", "text": instruction},
            {"type": "image_url", "image_url": {"url": picture}},
        ]
        return {
            **({"model": model} if model else {}),
            "messages": [{"role": "user", "content": content}],
            "max_tokens": MOST_TOKENS,
            "temperature": 0,
        }

    async def _ask_patiently(self, client: httpx.AsyncClient, request: dict[str, Any]) -> Described:
        for left in reversed(range(self.tries)):
            try:
                return _understood(await self._ask(client, request))
            except _NotNowError as error:
                if not left:
                    raise VisionError(str(error), permanent=False) from None
                pause = 2.0 ** (self.tries - left - 1) * random.uniform(0.8, 1.2)
                await self.sleep(min(LONGEST_PAUSE_S, error.after_s or pause))
        raise AssertionError

    async def _ask(self, client: httpx.AsyncClient, request: dict[str, Any]) -> bytes:
        # As it is: what a server packs could be a thousand times what it sends.
        headers = {"accept-encoding": "identity"}
        if self.key:
            headers["authorization"] = f"Bearer {self.key}"
        try:
            async with (
                asyncio.timeout(self.timeout_s),
                client.stream(
                    "POST", f"{self.url}/chat/completions", json=request, headers=headers
                ) as answer,
            ):
                _check_status(answer)
                return await _body(answer)
        except (httpx.TransportError, TimeoutError) as error:
            raise _NotNowError(type(error).__name__) from None
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise VisionError(type(error).__name__, permanent=True) from None


def _check_status(answer: httpx.Response) -> None:
    status = answer.status_code
    if status in AGAIN or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise _NotNowError(f"HTTP {status}", _pause(answer.headers.get("retry-after", "")))
    if status != HTTPStatus.OK:
        raise VisionError(f"HTTP {status}", permanent=True)


def _pause(text: str) -> float | None:
    """Seconds; dates are rare, and then our own pause will do."""
    return float(text) if text.isdecimal() else None


async def _body(answer: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in answer.aiter_raw():
        body += chunk
        if len(body) > MOST_BYTES:
            raise VisionError("its answer is too long", permanent=True)
    return bytes(body)


def _understood(body: bytes) -> Described:
    try:
        said = json.loads(body)["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError, RecursionError):
        raise VisionError("its answer is not the interface's", permanent=True) from None
    if not isinstance(said, str):
        raise VisionError("its answer is no text", permanent=True)
    said = ASIDES.sub(" ", said)
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in said).split())
    line = ANNOUNCED.sub("", line.replace("’", "'").replace("**", "").strip(' "'))
    cleaned = clean_word(_first_sentences(line.strip(' "')), CAPTION_CHARS)
    if cleaned is None or cleaned.casefold().startswith(REFUSALS):
        raise VisionError("it gave no caption", permanent=True)
    return Described(sentence=cleaned)


def _first_sentences(text: str) -> str:
    """As many whole sentences as fit; a longer one is cut at a word."""
    if len(text) <= CAPTION_CHARS:
        return text
    cut = text[:CAPTION_CHARS]
    end = max(cut.rfind(". "), cut.rfind("! "))
    return cut[: end + 1] if end > 0 else cut.rpartition(" ")[0]
