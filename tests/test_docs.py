"""The pages of docs/ are true: each key has its default, each message exists, each link leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fashion_udf.config import JobConfig
from fashion_udf.schema import Status
from tests.documented_keys import documented, keys_of
from tests.submit import REPOSITORY

DOCS = REPOSITORY / "docs"
PAGES = [*sorted(DOCS.glob("*.md")), *sorted(REPOSITORY.glob("*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")


def test_every_key_of_a_job_is_listed_with_its_default() -> None:
    assert documented("The jobs") == dict(keys_of(JobConfig))


def test_every_message_of_the_troubleshooting_exists() -> None:
    page = (DOCS / "operations.md").read_text(encoding="utf-8")
    messages = re.findall(r"^\| `(.+?)` \|", page.split("the message holds")[1], flags=re.MULTILINE)
    source = " ".join(path.read_text(encoding="utf-8") for path in (REPOSITORY / "fashion_udf").rglob("*.py"))
    # A message of two lines of code is one line for its reader.
    code = re.sub(r'"\s+f?"', "", source)
    assert len(messages) >= 8
    assert [message for message in messages if message not in code] == []


def test_every_status_has_a_row_with_what_to_do() -> None:
    part = (DOCS / "table.md").read_text(encoding="utf-8").split("## Statuses")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \|", part, flags=re.MULTILINE)
    assert sorted(rows) == sorted(status.value for status in Status)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_every_link_to_a_file_or_a_heading_leads_there(page: Path) -> None:
    broken = [link for link in LINK.findall(page.read_text(encoding="utf-8")) if not _leads_somewhere(page, link)]
    assert broken == []


def _leads_somewhere(page: Path, link: str) -> bool:
    if re.match(r"[a-z]+:", link):
        return True
    name, _, anchor = link.partition("#")
    target = (page.parent / name) if name else page
    if not target.exists():
        return False
    headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), flags=re.MULTILINE) if anchor else []
    return not anchor or anchor in {_anchor(heading) for heading in headings}


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
