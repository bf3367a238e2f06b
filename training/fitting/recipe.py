"""The recipe of a training run: one validated YAML file (see `conf/train.yaml`)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from fashion_udf.config import Section

from ..data.outliers import Outliers
from ..data.shop_text import TextAugmentation
from ..evaluation.limits import Limits


class Stage(Section):
    """Some epochs at one photo size.

    `share` is the share of the training rows in an epoch. `crop` is the minimum share of a photo's area that is cut out
    and enlarged to `image_size`; 1 means the whole photo.
    """

    image_size: int = Field(ge=32, le=1024)
    epochs: int = Field(ge=1)
    share: float = Field(1.0, gt=0, le=1)
    crop: float = Field(1.0, gt=0, le=1)

    def steps(self, rows: int, batch_size: int) -> int:
        """Return the number of whole batches in one epoch over `rows`."""
        return int(rows * self.share) // batch_size


class Augmentation(Section):
    """Random changes of a training row.

    `shift`, `zoom` and `erase` are maximum shares of the photo's width; uncovered borders and the erased square are
    white. `colour` is the maximum relative change of a channel's distance from white. `word_dropout` is the share of
    token ids that become the unknown one. `random_words` is the share of texts with random token ids at their end.
    """

    flip: bool = True
    shift: float = Field(0.08, ge=0, le=0.5)
    zoom: float = Field(0.15, ge=0, le=0.9)
    colour: float = Field(0.0, ge=0, le=1)
    erase: float = Field(0.0, ge=0, le=1)
    word_dropout: float = Field(0.1, ge=0, lt=1)
    random_words: float = Field(0.0, ge=0, le=1)


class LossWeights(Section):
    """Weights of the parts of the loss: both inputs, the photo alone, the text alone.

    `exchange` is the weight of a text with the photo of another row, `attributes` of the attributes in each of the
    three ways, `alike` of the contrastive loss (see `losses`), and `words` of the title's words, predicted from the
    photo (see `word_head`).
    """

    both: float = Field(1.0, ge=0)
    image: float = Field(1.0, ge=0)
    text: float = Field(1.0, ge=0)
    exchange: float = Field(0.0, ge=0)
    attributes: float = Field(0.0, ge=0)
    alike: float = Field(0.0, ge=0)
    words: float = Field(0.0, ge=0)

    @property
    def ways(self) -> float:
        """Sum of the weights of the three ways, by which the loss is divided."""
        return self.both + self.image + self.text + self.words

    @model_validator(mode="after")
    def _not_all_zero(self) -> Self:
        if not self.both + self.image + self.text:
            raise ValueError("one of both, image and text must be above 0")
        return self


class Recipe(Section):
    """One training run."""

    data: Path  # with the folders train, validation and test
    output: Path
    seed: int = 7
    backbone_weights: str = "none"  # none, imagenet or a file
    #: DIRECTORY@<model_version>: training starts with its weights and tokenizer. Heads with other categories are new.
    initial_bundle: str | None = Field(None, pattern=r"^.+@[0-9a-f]{64}$")
    #: A file of families of categories, such as conf/taxonomy.yaml. Null: each category is its own family.
    taxonomy: Path | None = None
    vocabulary_size: int = Field(4096, ge=256, le=8000)
    batch_size: int = Field(32, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    warmup_epochs: float = Field(1.0, ge=0)
    final_rate: float = Field(0.01, gt=0, le=1)  # share of learning_rate at the end of the cosine
    batch_norm_momentum: float = Field(0.99, gt=0, lt=1)  # of the backbone; 0.99 as in Keras' EfficientNet
    weight_decay: float = Field(1e-4, ge=0)
    average_decay: float = Field(0.995, ge=0, lt=1)  # per step, of the averaged weights, which are released
    label_smoothing: float = Field(0.05, ge=0, lt=1)
    logit_adjustment: float = Field(0.0, ge=0)  # tau; 1: rare categories count as much as frequent ones
    dropout: float = Field(0.2, ge=0, lt=1)
    augmentation: Augmentation = Augmentation()
    #: How texts are changed in training. Null: no change.
    text_augmentation: TextAugmentation | None = None
    #: Rows of category `other` that are added to each epoch: odd pictures, and titles of other goods.
    outliers: Outliers = Outliers()
    loss_weights: LossWeights = LossWeights()
    stages: tuple[Stage, ...] = Field(min_length=1)
    #: Number of rows for the validation after each epoch, drawn by their ids. Null: all. Calibration draws 4,000.
    validation_rows: int | None = Field(None, ge=1)
    keep: Literal["last", "best"] = "last"  # the epoch to release; best: by the mean of the validation accuracies
    patience: int | None = Field(None, ge=1)  # number of epochs without a better one, then the run ends; null: no end
    checkpoint_minutes: float = Field(5.0, ge=0)  # 0: after every step
    photo_cache_gb: float = Field(8.0, ge=0)  # cache of decoded photos, in a file in TMPDIR; 0: no cache
    target_precision: float = Field(0.99, gt=0, lt=1)
    #: Limits that `training.export` checks.
    release: Limits = Limits()

    def rows(self, products: int) -> int:
        """Return the number of rows of a whole epoch over a training split of `products`."""
        return products + self.outliers.rows

    @model_validator(mode="after")
    def _one_beginning(self) -> Self:
        if self.initial_bundle and self.backbone_weights != "none":
            raise ValueError("initial_bundle has weights for the backbone too: leave backbone_weights at none")
        return self
