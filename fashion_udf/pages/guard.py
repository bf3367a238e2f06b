"""The guard of the review's addresses: the token, security headers, and a limit for bodies."""

from __future__ import annotations

import json
import secrets
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from fashion_udf.errors import InputError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

_MAX_BODY = 200_000  # bytes
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Guard:
    """Answer 404 to an address without the token, and add security headers."""

    def __init__(self, app: Callable[..., Awaitable[None]], token: str) -> None:
        """Guard an application."""
        self._app, self._token = app, token

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request (ASGI)."""
        from starlette.responses import PlainTextResponse

        async def with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                given = [(name.lower().encode(), value.encode()) for name, value in _HEADERS.items()]
                message["headers"] = [*message["headers"], *given]
            await send(message)

        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        first = scope["path"].split("/")[1]
        known = secrets.compare_digest(first.encode(), self._token.encode())
        inner = self._app if known else PlainTextResponse("Expected the address that `fashion-udf review` printed", 404)
        await inner(scope, receive, with_headers)


def with_body(view: Callable[[Any], Response]) -> Callable[[Request], Awaitable[Response]]:
    """Read a JSON body of limited size, and run the view in a thread."""

    async def answer(request: Request) -> Response:
        from starlette.concurrency import run_in_threadpool

        body = b""
        async for part in request.stream():
            body += part
            if len(body) > _MAX_BODY:
                raise InputError(f"Expected at most {_MAX_BODY} bytes. Received: more")
        try:
            tree = json.loads(body or b"null")
        except ValueError as error:
            raise InputError(f"Expected JSON. Received: {error}") from error
        return await run_in_threadpool(view, tree)

    return answer
