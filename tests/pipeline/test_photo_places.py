"""Where the photos of a catalog are, and one line for those that are not read."""

from __future__ import annotations

from fashion_udf.pipeline.photo_places import PhotoPlaces


def test_a_line_names_the_hosts_and_one_the_schemes_that_are_not_read() -> None:
    places = PhotoPlaces(
        {
            ("", ""): 1,
            ("file", ""): 2,
            ("s3", ""): 3,
            ("data", ""): 4,
            ("https", "cdn.example"): 50,
            ("https", "other.example:8443"): 60,
            ("http", "a.shop.example"): 7,
            ("ftp", ""): 8,
            ("hdfs", ""): 9,
        }
    )
    assert (places.in_files, places.in_s3) == (True, True)
    assert places.not_read(("cdn.example", "*.shop.example")) == [
        "60 photos become image_forbidden, because input.image_hosts lacks their host: other.example:8443 (60)",
        "17 photos become image_forbidden, because their scheme is not read: hdfs (9), ftp (8)",
    ]
    assert len(places.not_read(())) == 2
    assert PhotoPlaces({("s3a", ""): 1}).not_read(()) == []


def test_a_catalog_without_uris_names_no_place() -> None:
    places = PhotoPlaces({})
    assert (places.in_files, places.in_s3, places.not_read(())) == (False, False, [])
