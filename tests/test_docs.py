"""The pages of docs/ are true: each key has its default, each message exists, each link leads somewhere."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fashion_udf
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


def test_the_site_is_built_without_a_warning_and_holds_every_public_name(tmp_path: Path) -> None:
    shutil.copytree(DOCS, tmp_path / "docs")
    shutil.copy(REPOSITORY / "mkdocs.yml", tmp_path)
    (tmp_path / "fashion_udf").symlink_to(REPOSITORY / "fashion_udf")
    command = [str(Path(sys.executable).parent / "zensical"), "build", "--strict"]
    built = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    page = (tmp_path / "build" / "site" / "api" / "index.html").read_text(encoding="utf-8")
    assert [name for name in fashion_udf.__all__ if f'id="fashion_udf.api.{name}"' not in page] == []


def test_every_page_is_on_the_site() -> None:
    site = (REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8")
    assert [
        page.name for page in DOCS.glob("*.md") if not re.search(rf": {page.name}$", site, flags=re.MULTILINE)
    ] == []


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
