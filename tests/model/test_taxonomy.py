"""The family of each category: what a file may say, and what becomes of a category that it does not list."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fashion_udf.errors import BundleError
from fashion_udf.model import bundle, taxonomy
from tests.fake_bundle import FILES, manifest
from tests.submit import REPOSITORY

LABELS = ("Belts", "Flats", "Heels", "Shirts")
FILE = b"Footwear: [Heels, Flats]\nUpper garments:\n- Shirts\n"


def test_each_category_has_the_family_that_lists_it_or_is_its_own() -> None:
    found = taxonomy.parse(FILE, LABELS)
    assert found.names == ("Belts", "Footwear", "Upper garments")
    assert found.parents.tolist() == [0, 1, 1, 2]
    assert [found.parent(name) for name in (*LABELS, "Kites")] == [
        "Belts", "Footwear", "Footwear", "Upper garments", "Kites",
    ]  # fmt: skip


def test_a_category_of_a_family_s_name_is_in_that_family() -> None:
    found = taxonomy.parse(b"Shirts: [Heels]", LABELS)
    assert found.names == ("Belts", "Flats", "Shirts") and found.parents.tolist() == [0, 1, 2, 2]


@pytest.mark.parametrize("content", [b"", b"# nothing yet\n", b"{}\n"])
def test_without_families_each_category_is_its_own(content: bytes) -> None:
    assert taxonomy.parse(content, LABELS).names == LABELS


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"A: [Heels]\nB: [Belts, Heels]\n", "Expected every category once in t. Received: 'Heels' in 'A' and in 'B'"),
        (b"A: [Heels, Heels]\n", "Expected every category once in t. Received: 'Heels' in 'A' and in 'A'"),
        (b"A: [Heels]\nA: [Belts]\n", "Expected every family once in t. Received: 'A' twice"),
        (b"A: [Kites, Heels]\n", "Expected only categories of the model in t. Received: 'Kites'"),
        (b"- Heels\n", "Expected t to map each family to its categories. Received: a list"),
        (b"A: Heels\n", "Expected a list of categories for 'A' in t. Received: a single value"),
        (b"A: [[Heels]]\n", "Expected names in t, line 1. Received: a list"),
        (b"A:\n- No\n", "Expected names in t, line 2. Received: 'No', which YAML takes for bool. Write it in quotes"),
        (b"7: [Heels]\n", "Received: '7', which YAML takes for int"),
        (b"A: ['']\n", "Received: an empty name"),
        (b"x: &x [Heels]\n<<: {B: [Belts]}\n", "Received: '<<', which YAML takes for merge"),
        (b"A: [!!python/object/apply:os.system [ls]]\n", "Received: a list"),
        (b"A: [\n", "Expected t to be YAML. Received: while parsing"),
        (b"A: [\xff]\n", "Expected t to be YAML. Received: "),
        (b"[" * 100_000, "Expected t to be YAML. Received: too many levels"),
        (b" " * 1_000_001, "Expected t to have at most 1000000 bytes. Received: 1000001"),
    ],
)
def test_a_file_that_says_anything_else_is_refused(content: bytes, problem: str) -> None:
    with pytest.raises(BundleError) as refusal:
        taxonomy.parse(content, LABELS, "t")
    assert problem in str(refusal.value)


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=8)


@given(st.dictionaries(NAMES, st.lists(NAMES, min_size=1), min_size=1), st.lists(NAMES, max_size=4))
def test_what_is_written_for_a_model_is_read_back(families: dict[str, list[str]], others: list[str]) -> None:
    seen: set[str] = set()
    once = {name: [x for x in entries if not (x in seen or seen.add(x))] for name, entries in families.items()}  # type: ignore[func-returns-value]
    labels = tuple(dict.fromkeys([*sorted(seen)[::2], *others]))
    found = taxonomy.parse(taxonomy.render(once, labels), labels)
    expected = {label: next((family for family, names in once.items() if label in names), label) for label in labels}
    assert dict(found.by_category) == expected
    assert [found.names[place] for place in found.parents] == list(expected.values())


def test_the_families_of_the_recipe_list_every_category_once() -> None:
    families = taxonomy.read_families((REPOSITORY / "conf" / "taxonomy.yaml").read_bytes(), "conf/taxonomy.yaml")
    labels = [name for names in families.values() for name in names]
    assert 12 <= len(taxonomy.build(families, labels).names) <= 25


def test_a_bundle_whose_taxonomy_does_not_fit_its_labels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"Expected only categories of the model in taxonomy.yaml. Received: 'Hats'"):
        bundle.write(tmp_path / "model", manifest(), {**FILES, "taxonomy.yaml": b"A: [Hats]\n"})
