"""Make a model bundle of a finished training run: `python -m training.export --run DIR --output DIR --data DIR`.

    1. weights are rounded to half precision, so that every figure describes the released weights;
    2. with --data, an int8 model is quantized from the rounded weights (`training.release.quantization`);
    3. with --data, every precision runs on validation and test in all forms, is calibrated on its own outputs for
       validation, and measured on test; without --data, f32 has the calibration and the figures of the run;
    4. golden rows are chosen and computed with the Keras model;
    5. every engine and precision is compared with them (`training.release.parity`): one that differs is not offered;
    6. the release gate checks the limits of the recipe and, with --replaces, the replaced bundle;
    7. the manifest, the model card and the files are written and verified, in OUTPUT.refused if the gate refuses them.

The same run gives the same bytes with the same library versions and, for int8, on the same machine: a bundle has no
time, path or host.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from fashion_udf import cli
from fashion_udf.errors import BundleError, CatalogError
from fashion_udf.model import bundle, taxonomy, tokenizer
from fashion_udf.model.bundle import Bundle
from fashion_udf.model.manifest import REFERENCE, Attribute, ImageFacts, Manifest, TextFacts, TrainingData
from fashion_udf.photos import decode

from .data import dataset
from .evaluation import figures
from .evaluation.decided import Meaning
from .fitting import calibration, run_directory
from .release import candidates, gate, goldens, model_card, openvino_ir, parity, quantization
from .release.candidates import MEASURED, Candidates, Measured
from .release.facts import Facts, read_run
from .release.weights import round_to_half

if TYPE_CHECKING:
    import keras

logger = logging.getLogger(__name__)

_LIBRARIES = ("keras", "nncf", "numpy", "openvino", "pillow", "pyarrow", "safetensors", "tensorflow", "tokenizers")


def export(
    model: keras.Model, facts: Facts, output: Path, data: Path | None = None, replaces: str | None = None
) -> str:
    """Write a bundle from a trained model. The model's weights are rounded in place.

    Args:
        model: a model of `fashion_udf.model.architecture.build_model`.
        facts: facts for the manifest and the model card.
        output: a directory that does not exist yet.
        data: the training set of the run. Without it, only f32 is offered, with the calibration and figures of the run.
        replaces: the bundle to replace: no form of the text may be much worse than with it. Needs `data`.

    Returns:
        The model_version.

    Raises:
        BundleError: half precision cannot hold a weight, no engine passes parity, the directory exists, or a limit is
            missed. In the last case the bundle is in `<output>.refused`.
        CatalogError: `data` lacks a split, or is another training set than the run's.
    """
    refused = _new_directories(output)
    files, manifest = _files(model, facts), _manifest(facts)
    if data:
        files |= _quantized(files, facts, data)
    candidate = bundle.in_memory(manifest, files)
    engines = candidates.build(candidate, data)
    measured = candidates.measure(engines, candidate, data) if data else {}
    manifest = _measured(manifest, candidate.taxonomy, measured, facts)
    files["golden.parquet"] = goldens.compute(model, manifest, facts.tokenizer, engines.predicts)
    manifest = _with_parity(bundle.in_memory(manifest, files), engines, measured)
    files["MODEL_CARD.md"] = model_card.render(manifest, facts.families, facts.notice).encode()
    missed = _missed(manifest, facts, measured, data, replaces) if data else []
    written = refused if missed else output
    version = bundle.write(written, manifest, {name: files[name] for name in sorted(manifest.required_files())})
    if missed:
        gate.refuse(missed, refused)
    return version


def _new_directories(output: Path) -> Path:
    """Return the directory of a refused bundle. Refuse existing directories before the long measuring."""
    refused = output.with_name(f"{output.name}.refused")
    for directory in (output, refused):
        if directory.exists():
            raise BundleError(f"Expected a directory that does not exist yet. Received: {directory}")
    return refused


def _files(model: keras.Model, facts: Facts) -> dict[str, bytes]:
    return {
        "tokenizer.json": facts.tokenizer,
        "weights.safetensors": round_to_half(model),
        "taxonomy.yaml": taxonomy.render(facts.families, facts.labels),
        "NOTICE": facts.notice.encode(),
        **openvino_ir.convert(model),
    }


def _manifest(facts: Facts) -> Manifest:
    return Manifest(
        name=facts.name,
        labels=list(facts.labels),
        attributes=[Attribute(name=name, values=list(values)) for name, values in facts.attributes.items()],
        image=ImageFacts(size=facts.image_size, preprocessing_version=decode.PREPROCESSING_VERSION),
        text=TextFacts(
            max_tokens=tokenizer.MAX_TOKENS,
            vocabulary_size=facts.recipe["vocabulary_size"],
        ),
        engines={},  # parity adds the offered ones
        calibration={precision: dict(by_modality) for precision, by_modality in facts.calibration.items()},
        metrics=dict(facts.metrics),
        training_data=TrainingData(digest=facts.data["digest"], counts=dict(facts.data["counts"])),
        recipe=dict(facts.recipe),
        library_versions={library: version(library) for library in _LIBRARIES},
    )


def _measured(
    manifest: Manifest, families: taxonomy.Taxonomy, measured: Mapping[str, Measured], facts: Facts
) -> Manifest:
    """Return the manifest with the calibration and the figures of each measured precision."""
    if not measured:
        return manifest
    validation = {precision: answers.validation for precision, answers in measured.items()}
    fitted = calibration.fit(validation, families, manifest.attributes, facts.target_precision)
    metrics = {}
    for precision, answers in measured.items():
        meaning = Meaning(families, manifest.attributes, fitted[precision])
        metrics[precision] = figures.rounded(figures.measure(answers.test, meaning, answers.odd))
    return manifest.model_copy(update={"calibration": fitted, "metrics": metrics})


def _with_parity(candidate: Bundle, engines: Candidates, measured: Mapping[str, Measured]) -> Manifest:
    comparison = parity.compare(candidate, engines, measured)
    if not comparison.offered:
        raise BundleError(f"Expected an engine that agrees with the Keras model. Received: {comparison.parity}")
    return candidate.manifest.model_copy(
        update={
            "engines": comparison.offered,
            "parity": comparison.parity,
            "not_measured": comparison.not_measured,
        }
    )


def _missed(
    manifest: Manifest, facts: Facts, measured: Mapping[str, Measured], data: Path, replaces: str | None
) -> list[str]:
    missed = gate.missed(facts.limits, manifest.metrics, manifest.engines.get(MEASURED, []))
    if replaces:
        missed += gate.lost(replaces, measured[REFERENCE].test, facts.labels, data, facts.limits.lost_points)
    return missed


def _quantized(files: Mapping[str, bytes], facts: Facts, data: Path) -> dict[str, bytes]:
    """Return the int8 IR; no file where the training set has no photo."""
    digest = run_directory.describe(data)["digest"]
    if digest != facts.data["digest"]:
        # The model may have been trained on rows of this training set's test split.
        raise CatalogError(
            f"Expected the training set of the run, whose split has the digest {facts.data['digest']}. "
            f"Received: {data} with {digest}"
        )
    preparation = dataset.Preparation(facts.tokenizer, facts.labels, facts.image_size)
    rows = quantization.calibration_rows(data / "train", preparation)
    if not rows:
        logger.warning("int8 is left out: it is calibrated on photos, and no row of %s has one", data / "train")
        return {}
    logger.info("int8 is calibrated on %d rows of %s", len(rows), data / "train")
    return quantization.quantize(files, rows)


def main() -> None:
    """Parse arguments and export."""
    parser = cli.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", required=True, type=Path, help="the output directory of training.train")
    parser.add_argument("--output", required=True, type=Path, help="the bundle's directory; must not exist")
    parser.add_argument("--data", type=Path, help="the training set: makes int8, calibrates and measures")
    parser.add_argument("--name", default="fashion", help="the model's name in the manifest")
    parser.add_argument("--notice", type=Path, metavar="FILE", help="origin and licence of the data, for NOTICE")
    parser.add_argument(
        "--replaces", metavar="BUNDLE", help="the bundle to replace: builtin, PATH or PATH@<model_version>"
    )
    arguments = parser.parse_args()
    if arguments.replaces and not arguments.data:
        parser.error("Expected --data with --replaces: both bundles are measured on its test split. Received: none")
    stated = arguments.notice.read_text(encoding="utf-8") if arguments.notice else ""
    model, facts = read_run(arguments.run, arguments.name, stated)
    model_version = export(model, facts, arguments.output, arguments.data, arguments.replaces)
    sys.stdout.write(f"{arguments.output}@{model_version}\n")


if __name__ == "__main__":
    cli.run(main)
