"""The gateway: hello, identify, heartbeats, events with their numbers, resume after a cut."""

import asyncio
import json
import secrets
import zlib
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

Json = dict[str, Any]

DISPATCH, HEARTBEAT, IDENTIFY, RESUME, RECONNECT, INVALID, HELLO, ACK = 0, 1, 2, 6, 7, 9, 10, 11
UNKNOWN_OPCODE, NOT_AUTHENTICATED, BAD_TOKEN, BAD_INTENTS = 4001, 4003, 4004, 4014
GUILDS, DIRECT_MESSAGES = 1 << 0, 1 << 12
PRIVILEGED = (1 << 1) | (1 << 8) | (1 << 15)


@dataclass
class Session:
    """What was dispatched to one bot, to be repeated to it after a cut."""

    name: str
    intents: int
    sent: list[Json] = field(default_factory=list)
    socket: "Socket | None" = None


class Socket:
    """One connection, compressed as it asked for."""

    def __init__(self, answer: web.WebSocketResponse, compress: str) -> None:
        self.answer = answer
        self._zlib = zlib.compressobj() if compress == "zlib-stream" else None

    async def send(self, message: Json) -> None:
        text = json.dumps(message)
        if self._zlib is None:
            await self.answer.send_str(text)
            return
        data = self._zlib.compress(text.encode()) + self._zlib.flush(zlib.Z_SYNC_FLUSH)
        await self.answer.send_bytes(data)


class GatewaySide:
    """``lose`` holds back events as a dead line does: they are numbered, and never arrive."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.url = ""
        self.user: Json = {}
        self.guilds: list[Json] = []
        self.sessions: dict[str, Session] = {}
        self.identified = 0
        self.resumed = 0
        self.heartbeats = 0
        self.intents = 0
        self.lose = False
        self.heartbeat_ms = 41_250
        self.ready = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._sockets: set[Socket] = set()

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        assert request.query["v"] == "10"
        assert request.query["encoding"] == "json"
        answer = web.WebSocketResponse(max_msg_size=4096)  # a payload of the bot has no more
        await answer.prepare(request)
        socket = Socket(answer, request.query.get("compress", ""))
        self._sockets.add(socket)
        session: Session | None = None
        try:
            await socket.send({"op": HELLO, "d": {"heartbeat_interval": self.heartbeat_ms}})
            async for one in answer:
                if one.type is not WSMsgType.TEXT:
                    break
                session = await self._heard(socket, session, json.loads(one.data))
        finally:
            self._sockets.discard(socket)
            if session is not None and session.socket is socket:
                session.socket = None
                self.ready.clear()
        return answer

    async def _heard(self, socket: Socket, session: Session | None, said: Json) -> Session | None:
        match said["op"]:
            case 1:
                self.heartbeats += 1
                await socket.send({"op": ACK})
            case 2:
                return await self._identify(socket, said["d"])
            case 6:
                return await self._resume(socket, said["d"])
            case 3 | 4 | 8:
                if session is None:
                    await socket.answer.close(code=NOT_AUTHENTICATED)
            case _:
                await socket.answer.close(code=UNKNOWN_OPCODE)
        return session

    async def _identify(self, socket: Socket, asked: Json) -> Session | None:
        if asked["token"] != self.token:
            await socket.answer.close(code=BAD_TOKEN, message=b"Authentication failed.")
            return None
        if asked["intents"] & PRIVILEGED:
            await socket.answer.close(code=BAD_INTENTS, message=b"Disallowed intent(s).")
            return None
        self.identified += 1
        self.intents = asked["intents"]
        session = Session(secrets.token_hex(16), asked["intents"], socket=socket)
        self.sessions[session.name] = session
        ready = {
            "v": 10,
            "user": self.user,
            "guilds": [{"id": one["id"], "unavailable": True} for one in self.guilds],
            "session_id": session.name,
            "resume_gateway_url": self.url,
            "application": {"id": self.user["id"], "flags": 0},
        }
        await self._dispatch(session, "READY", ready)
        if session.intents & GUILDS:
            for guild in self.guilds:
                await self._dispatch(session, "GUILD_CREATE", guild)
        self.ready.set()
        return session

    async def _resume(self, socket: Socket, asked: Json) -> Session | None:
        session = self.sessions.get(asked["session_id"] or "")
        if asked["token"] != self.token or session is None:
            await socket.send({"op": INVALID, "d": False})
            return None
        session.socket = socket
        self.lose = False
        for missed in [one for one in session.sent if one["s"] > asked["seq"]]:
            await socket.send(missed)
        self.resumed += 1
        await self._dispatch(session, "RESUMED", {})
        self.ready.set()
        return session

    async def _dispatch(self, session: Session, kind: str, body: Json) -> None:
        event = {"op": DISPATCH, "t": kind, "s": len(session.sent) + 1, "d": body}
        session.sent.append(event)
        if session.socket is not None and not self.lose:
            await session.socket.send(event)

    async def tell(self, kind: str, body: Json) -> None:
        """Only what the bot asked to hear."""
        for session in self.sessions.values():
            direct = "guild_id" not in body
            if kind == "MESSAGE_CREATE" and not (direct and session.intents & DIRECT_MESSAGES):
                continue
            await self._dispatch(session, kind, body)

    async def repeat(self, count: int) -> None:
        """The last events once more, as after a resume from an older number."""
        for session in self.sessions.values():
            if session.socket is not None:
                for event in session.sent[-count:]:
                    await session.socket.send(event)

    async def cut(self) -> None:
        """The line breaks without a word."""
        self.ready.clear()
        for socket in list(self._sockets):
            transport = socket.answer._req.transport if socket.answer._req else None
            if transport is not None:
                transport.abort()

    async def ask_to_reconnect(self) -> None:
        self.ready.clear()
        for socket in list(self._sockets):
            await socket.send({"op": RECONNECT, "d": None})

    async def invalidate(self) -> None:
        """All sessions are over, and the bot is told so."""
        self.sessions.clear()
        self.ready.clear()
        for socket in list(self._sockets):
            await socket.send({"op": INVALID, "d": False})

    async def close(self) -> None:
        for socket in list(self._sockets):
            await socket.answer.close(code=WSCloseCode.GOING_AWAY)
