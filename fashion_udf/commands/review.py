"""Decide on products that wait for a person: a page on this machine, for one reviewer.

    fashion-udf review --output DIR

The command prints the page's secret address and serves the page until Ctrl-C. Decisions are files in DIR/overrides/,
which the next run applies. Several people may review at the same time: each starts the command and gets different rows.
"""

from __future__ import annotations

import argparse
import getpass
import logging
import secrets
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress

from fashion_udf import cli
from fashion_udf.commands import job_options
from fashion_udf.errors import EnvironmentUnsupportedError, InputError
from fashion_udf.pages import review_app, review_queue
from fashion_udf.pages.claims import Claims
from fashion_udf.pages.review_photos import Photos
from fashion_udf.pages.reviewing import Review
from fashion_udf.pages.similar_products import SimilarProducts
from fashion_udf.table.decisions import Decisions
from fashion_udf.table.stores import open_store

ADDRESS = "127.0.0.1"


def main(arguments: Sequence[str] | None = None, prog: str = "review.py") -> None:
    """Serve the page until Ctrl-C. `arguments` defaults to those of the command line."""
    parser = cli.ArgumentParser(prog=prog, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    job_options.add(parser)
    parser.add_argument("--port", type=int, default=0, help="port of the page (default: a free one)")
    parser.add_argument("--name", default=None, help="name of the reviewer in the decisions (default: the user's name)")
    options = parser.parse_args(arguments)
    try:
        import uvicorn
    except ImportError as error:
        raise EnvironmentUnsupportedError(
            f"Expected starlette and uvicorn: install 'fashion-udf[review]'. Received: {error}"
        ) from error
    job_options.use_s3(options)
    store, token = open_store(options.output), secrets.token_urlsafe(24)
    queue = review_queue.read(options.output)
    claims = Claims(store, queue.run_id, secrets.token_hex(8))
    review = Review(queue, Decisions(store), claims, options.name or getpass.getuser())
    listening = _listen(options.port)
    url = f"http://{ADDRESS}:{listening.getsockname()[1]}/{token}/"
    other = "" if queue.published else " (the run that made the published table left no queue)"
    sys.stdout.write(f"{len(queue)} products wait, of run {queue.run_id}{other}. Open {url}\nCtrl-C ends the review.\n")
    sys.stdout.flush()
    # uvicorn's log would have addresses with the token.
    made = review_app.app(review, Photos(queue.reading), SimilarProducts(options.output, queue), token)
    settings = uvicorn.Config(made, log_level="warning", access_log=False, server_header=False)
    logging.getLogger("uvicorn.access").disabled = True
    with suppress(KeyboardInterrupt):  # uvicorn raises it again at its end
        uvicorn.Server(settings).run([listening])


def _listen(port: int) -> socket.socket:
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((ADDRESS, port))
    except (OSError, OverflowError) as error:
        listening.close()
        raise InputError(f"Expected a free --port of {ADDRESS}. Received: {port} ({error})") from error
    listening.listen()  # the address is printed before uvicorn accepts
    return listening
