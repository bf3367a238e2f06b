"""Tests of fashion_udf/similar/."""
