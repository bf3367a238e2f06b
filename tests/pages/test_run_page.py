"""The page of a run: one file without scripts, bounded in size, with everything from the catalog as text."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fashion_udf.pages import prometheus, run_page
from fashion_udf.pages.figures import (
    Acceptance,
    Category,
    Command,
    Cost,
    Difference,
    Failure,
    FormerRun,
    Pair,
    RunFigures,
    Step,
    Suspects,
    Unsure,
)
from fashion_udf.pages.run_page import Product
from tests.pages import browser as browsers
from tests.pages.queues import photo

RUN = "20261127T020000000000Z-00000000"
HOSTILE = "</td><script>document.title='owned'</script><img src=x onerror=alert(1)>"
_SMALL = photo("red")


def figures(**changes: Any) -> RunFigures:
    """A published run with something in every section."""
    history = [FormerRun(f"{RUN[:-1]}{n}", 0, 100 + n, n, 0.5, 0.25, 0.25, 0.01, 60.0 + n) for n in range(30)]
    usual = RunFigures(
        run_id=RUN,
        exit_code=0,
        verdict="Published #42: 1,000,000 rows, 9,812 scored, 0 lost, gates ok",
        message="done",
        number=42,
        funnel=[Step("input", 1_000_000, "SELECT 1;"), Step("scored", 9_812, "SELECT 2;")],
        changed=7,
        pairs=[Pair("Shirts", "Tops", 7, {"model": 5, "photo": 2}, ["p1", "p2", "p3"])],
        suspects=[Suspects("photo", "Bags", "Shirts", 98, ["p5"])],
        suspect_rows={"text": 2, "photo": 98},
        failures=[Failure("image_corrupt", "JPEG: damaged", 3, ["p4"])],
        decisions={"auto": 80, "review": 15, "abstain": 5},
        modalities={"both": 100},
        histogram=[*range(20)],
        previous_histogram=[*range(20, 0, -1)],
        history=history,
        acceptance=[Acceptance("Shirts", 10, 9)],
        categories=[Category("Shirts", 60, 0.6, 0.1, [Unsure("p1", 0.1, "abstain")]), Category("Tops", 40, 0.4, -0.1)],
        cost=Cost({"plan": 1.0, "score": 9.0}, 12.0, "scoring", 2, 158.0, {"GET": 5}, 1.25),
        inputs={"model_version": "m2"},
        differences=[Difference("model_version", "m1", "m2")],
        commands=[Command("Go back", "fashion-udf snapshots rollback --to 41")],
    )
    return dataclasses.replace(usual, **changes)


def test_every_section_says_its_figures() -> None:
    html = run_page.render(figures(), {"p1": Product("A shirt", _SMALL)})
    for told in (
        "Published #42: 1,000,000 rows, 9,812 scored, 0 lost", "SELECT 2;", "7 products have another category",
        "model 5", "JPEG: damaged", "Photo and text disagree in 100 products", "80.0 %", "90.0 %", "10.0 %",
        "Bottleneck: <b>scoring</b>", "158", "1.25",
        "The last 30 runs", "model_version", "rollback --to 41", "data:image/jpeg;base64,", "A shirt", "+10.00",
    ):  # fmt: skip
        assert told in html, told


def test_nothing_is_loaded_and_no_script_is_on_the_page() -> None:
    html = run_page.render(figures(), {"p1": Product("A shirt", _SMALL)})
    assert "<script" not in html
    assert re.findall(r"""(?:src|href)=["']?(?!data:|#)[^"' >]+""", html) == []
    assert "default-src 'none'" in html


@pytest.mark.parametrize(
    "hostile", [HOSTILE, "'\"--><svg onload=alert(1)>", "\u202egnp.exe", "{{ 7 * 7 }}", "\x00\x1b[31m"]
)
def test_everything_from_the_catalog_is_text(hostile: str) -> None:
    made = figures(
        verdict=hostile,
        message=hostile,
        exit_code=1,
        gates={hostile: hostile},
        remedy=Command(hostile, hostile),
        pairs=[Pair(hostile, hostile, 1, {hostile: 1}, [hostile])],
        failures=[Failure(hostile, hostile, 1, [hostile])],
        suspects=[Suspects(hostile, hostile, hostile, 1, [hostile])],
        acceptance=[Acceptance(hostile, 1, 1)],
        categories=[Category(hostile, 1, 1.0, None, [Unsure(hostile, 0.5, hostile)])],
        differences=[Difference(hostile, hostile, hostile)],
        funnel=[Step(hostile, 1, hostile)],
        missing=[hostile],
    )
    html = run_page.render(made, {hostile: Product(hostile, _SMALL)})
    assert "<script" not in html and "<svg onload" not in html and "<img src=x" not in html and ">49<" not in html


def test_a_page_stays_below_three_megabytes_whatever_the_catalog() -> None:
    long, names = "ü" * 10_000_000, [f"category {n:05d} " + "x" * 500 for n in range(2_000)]
    made = figures(
        message=long,
        pairs=[Pair(name, name, 1, {"model": 1}, [name, "b" + name, "c" + name]) for name in names[:20]],
        failures=[Failure("image_corrupt", long, 1, [name, name, name]) for name in names[:40]],
        suspects=[Suspects("photo", long, long, 1, [long, name, name]) for name in names[:10]],
        acceptance=[Acceptance(name, 2, 1) for name in names],
        categories=[Category(n, 1, 0.1, 0.1, [Unsure(f"{n}{k}", 0.1, "review") for k in range(10)]) for n in names],
        inputs=dict.fromkeys(names[:100], long[:100_000]),
    )
    products = {f"{name}{k}": Product(long[:1000], b"j" * 4_000) for name in names[:200] for k in range(10)}
    assert len(run_page.render(made, products).encode()) <= 3_000_000


def test_a_run_that_failed_at_once_has_a_page() -> None:
    made = RunFigures(RUN, 2, "The input cannot be used (exit code 2); nothing is published", "Expected x. Received: y")
    html = run_page.render(made)
    assert "Expected x. Received: y" in html and "exit code 2" in html


def test_a_refused_run_names_each_gate_with_what_it_found() -> None:
    made = figures(exit_code=3, message="the whole error", gates={"flips": "22 % changed", "failures": "30 % failed"})
    html = run_page.render(made)
    assert "<b>flips</b>: 22 % changed" in html and "<b>failures</b>: 30 % failed" in html
    assert "the whole error" not in html, "it says the same once more"


def test_the_list_of_runs_leads_to_each_page() -> None:
    html = run_page.render_index([(FormerRun(RUN, 3, 100, 5, 0.5, 0.3, 0.2, 0.0, 5.0), f"refused: {HOSTILE}")])
    assert f'href="runs/{RUN}/index.html"' in html and "2026-11-27 02:00 UTC" in html and "<script" not in html


def test_the_figures_are_json() -> None:
    tree = json.loads(json.dumps(figures().as_dict()))
    assert tree["pairs"][0]["causes"] == {"model": 5, "photo": 2} and tree["cost"]["requests"] == {"GET": 5}


def test_metrics_are_in_prometheus_text_format() -> None:
    made = prometheus.render(figures(categories=[Category('a "quoted"\n\\ name', 3, 1.0, None)]))
    line = re.compile(r'(# (HELP|TYPE) fashion_udf_\w+ .+|fashion_udf_\w+(\{\w+="([^"\\\n]|\\["\\n])*"\})? [-+0-9.e]+)')
    assert [text for text in made.splitlines() if not line.fullmatch(text)] == []
    assert 'fashion_udf_table_category_rows{category="a \\"quoted\\"\\n\\\\ name"} 3' in made
    names = re.findall(r"^# TYPE (\S+) gauge$", made, re.MULTILINE)
    assert len(names) == len({*names}) and "fashion_udf_run_exit_code" in names


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with browsers.chromium() as found:
        yield found


@pytest.mark.parametrize("width", [390, 820, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_shows_it_at_every_width_and_axe_finds_nothing_wrong(
    browser: Any, tmp_path: Path, width: int, scheme: str
) -> None:
    file = tmp_path / "index.html"
    hostile = [Category(HOSTILE, 1, 1.0, None, [Unsure("x" * 500, 0.5, "review")])]
    long = f"Look at /data/{'x' * 200}"
    made = figures(categories=hostile, exit_code=3, message=long, gates={"flips": long} if scheme == "dark" else {})
    file.write_text(run_page.render(made, {"p1": Product("A shirt", _SMALL)}))
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme, bypass_csp=True)
    page, asked = context.new_page(), []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert browsers.accessibility_problems(page) == []
    page.emulate_media(media="print")
    assert browsers.accessibility_problems(page) == [], "printed"
    assert page.title().startswith("Run 2026-11-27 02:00 UTC")
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    context.close()
