"""The review as a local web application. Every address starts with a token, and the page loads nothing from elsewhere.

GET  /<token>/                page
GET  /<token>/static/...      its script and style
GET  /<token>/api/queue       values of the filters, categories, progress
GET  /<token>/api/next        rows to decide on
POST /<token>/api/decide      [{product_id, category}, ...]
POST /<token>/api/skip        {index}
POST /<token>/api/undo
GET  /<token>/api/export.csv
GET  /<token>/api/similar/<index>    products most similar to a row
GET  /<token>/photo/<index>?size=640
GET  /<token>/similar/<index>?size=160    photo of a similar product
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, fields
from importlib import resources
from typing import TYPE_CHECKING, Any

from fashion_udf.errors import FashionError, InputError
from fashion_udf.pages import guard
from fashion_udf.pages.review_photos import SIZES, Photos
from fashion_udf.pages.review_queue import Filters, PhotoPlace, photo_place
from fashion_udf.pages.reviewing import Review
from fashion_udf.pages.similar_products import SimilarProducts
from fashion_udf.repeated import repeated

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

#: Maximum of rows in an answer: a grid has forty.
MOST_ROWS = 60
#: Seconds between two updates of the decisions and claims of others.
REFRESH = 5.0
_STATIC = {"review.js": "text/javascript", "review.css": "text/css"}


def app(review: Review, photos: Photos, similar: SimilarProducts, token: str) -> Starlette:
    """Return the application.

    Args:
        review: the review of one person.
        photos: photos of the queue's products.
        similar: similar products of the queue. They are read when the application starts.
        token: the first part of every address. Without it, the answer is 404.
    """
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.routing import Route

    views = _Views(review, photos, similar)
    routes = [
        Route("/{token}/", views.page),
        Route("/{token}/static/{name}", views.static),
        Route("/{token}/api/queue", views.queue),
        Route("/{token}/api/next", views.next),
        Route("/{token}/api/decide", guard.with_body(views.decide), methods=["POST"]),
        Route("/{token}/api/skip", guard.with_body(views.skip), methods=["POST"]),
        Route("/{token}/api/undo", guard.with_body(views.undo), methods=["POST"]),
        Route("/{token}/api/export.csv", views.export),
        Route("/{token}/api/similar/{index:int}", views.similar),
        Route("/{token}/photo/{index:int}", views.photo),
        Route("/{token}/similar/{index:int}", views.similar_photo),
    ]
    return Starlette(
        routes=routes,
        # Another name in the Host header means a foreign page whose name was redirected to this machine (DNS
        # rebinding).
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"]),
            Middleware(guard.Guard, token=token),
        ],
        exception_handlers={FashionError: _refused, OSError: _failed},
        lifespan=lambda _: _running(review, photos, similar),
    )


class _Views:
    """The answers of the addresses. Each runs in its own thread."""

    def __init__(self, review: Review, photos: Photos, similar: SimilarProducts) -> None:
        self._review, self._photos, self._similar = review, photos, similar

    def page(self, _: Request) -> Response:
        from starlette.responses import HTMLResponse

        return HTMLResponse(_file("templates", "review.html"))

    def static(self, request: Request) -> Response:
        from starlette.responses import PlainTextResponse, Response

        name = request.path_params["name"]
        if name not in _STATIC:
            return PlainTextResponse("not found", 404)
        return Response(_file("static", name), media_type=_STATIC[name])

    def queue(self, _: Request) -> Response:
        queue = self._review.queue
        names = [field.name for field in fields(Filters) if field.name != "text"]
        filters = {name: queue.values(name) for name in names}
        told = {"labels": queue.labels, "filters": filters, "person": self._review.person, "run_id": queue.run_id}
        return self._answer(told)

    def next(self, request: Request) -> Response:
        asked = request.query_params
        filters = Filters(**{field.name: asked.get(field.name, "")[:200] for field in fields(Filters)})
        try:
            count = min(MOST_ROWS, int(asked.get("count", "10")))
            but = [int(word) for word in asked.get("but", "").split(",") if word]
        except ValueError as error:
            raise InputError(f"Expected whole numbers. Received: {error}") from error
        rows = self._review.next(filters, count, [row for row in but if 0 <= row < len(self._review.queue)])
        return self._answer({"rows": [self._review.queue.row(row) for row in rows]})

    def decide(self, body: Any) -> Response:
        try:
            choices = [(str(one["product_id"]), str(one["category"])) for one in body]
        except (TypeError, KeyError) as error:
            raise InputError("Expected a list of product_id and category. Received: another body") from error
        if not 0 < len(choices) <= MOST_ROWS:
            raise InputError(f"Expected 1 to {MOST_ROWS} decisions. Received: {len(choices)}")
        self._review.decide(choices)
        return self._answer({})

    def skip(self, body: Any) -> Response:
        index = body.get("index") if isinstance(body, dict) else None
        if not isinstance(index, int) or not 0 <= index < len(self._review.queue):
            raise InputError(f"Expected the index of a row. Received: {index!r}")
        self._review.skip(index)
        return self._answer({})

    def undo(self, _: Any) -> Response:
        return self._answer({"rows": [self._review.queue.row(row) for row in self._review.undo()]})

    def export(self, _: Request) -> Response:
        from starlette.responses import Response

        attached = {"Content-Disposition": 'attachment; filename="decisions.csv"'}
        return Response(self._review.export(), media_type="text/csv; charset=utf-8", headers=attached)

    def similar(self, request: Request) -> Response:
        from starlette.responses import JSONResponse, PlainTextResponse

        index = request.path_params["index"]
        if index >= len(self._review.queue):
            return PlainTextResponse("Expected a row of the queue", 404)
        return JSONResponse(self._similar.of(index))

    def photo(self, request: Request) -> Response:
        index, rows = request.path_params["index"], self._review.queue.rows
        return self._jpeg(photo_place(rows, index) if index < rows.num_rows else None, request)

    def similar_photo(self, request: Request) -> Response:
        return self._jpeg(self._similar.photo(request.path_params["index"]), request)

    def _jpeg(self, place: PhotoPlace | None, request: Request) -> Response:
        from starlette.responses import PlainTextResponse, Response

        size = request.query_params.get("size", "")
        if place is None or size not in map(str, SIZES):
            return PlainTextResponse(f"Expected a product of this review, and a size of {SIZES}", 404)
        found = self._photos.jpeg(place, int(size))
        return PlainTextResponse("no photo", 404) if found is None else Response(found, media_type="image/jpeg")

    def _answer(self, tree: dict[str, Any]) -> Response:
        from starlette.responses import JSONResponse

        return JSONResponse({**tree, "progress": asdict(self._review.progress())})


def _refused(_: Request, error: Exception) -> Response:
    from starlette.responses import JSONResponse

    return JSONResponse({"error": str(error)}, 400)


def _failed(_: Request, error: Exception) -> Response:
    from starlette.responses import JSONResponse

    return JSONResponse({"error": f"The decision may not be kept: {error}. Try again"}, 503)


def _file(folder: str, name: str) -> str:
    return (resources.files("fashion_udf.pages") / folder / name).read_text(encoding="utf-8")


@asynccontextmanager
async def _running(review: Review, photos: Photos, similar: SimilarProducts) -> AsyncIterator[None]:
    """Read the similar products, and follow the work of other reviewers while the application runs."""

    def follow() -> None:
        with suppress(FashionError, OSError):  # the next update may succeed, and a decision reports the problem
            review.refresh()

    threading.Thread(target=similar.read, name="similar", daemon=True).start()
    try:
        with repeated(follow, REFRESH, "refresh"):
            yield
    finally:
        photos.close()
