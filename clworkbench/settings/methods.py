"""How each method trains: what `[training.dpo]`, `[training.kto]` and `[training.grpo]` may say."""

from typing import Annotated

import msgspec

from clworkbench.settings.bounds import Positive

Above0 = Annotated[float, msgspec.Meta(gt=0)]


class DpoTraining(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Direct preference optimisation: `beta` holds the model to where it started."""

    beta: Above0 = 0.1


class KtoTraining(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Kahneman-Tversky optimisation.

    Attributes:
        beta: holds the model to where it started.
        desirable_weight: of wanted answers; both weights are set by the counts of both sorts where they are left out.
        undesirable_weight: of unwanted ones.
    """

    beta: Above0 = 0.1
    desirable_weight: Above0 | None = None
    undesirable_weight: Above0 | None = None


class GrpoTraining(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Group relative policy optimisation.

    Attributes:
        generations: answers sampled for each prompt of a step; `batch_size` counts answers.
        max_new_tokens: an answer is cut here.
        temperature: of the sampling.
        beta: holds the model to where it started; 0 does not.
    """

    generations: Annotated[int, msgspec.Meta(ge=2)] = 4
    max_new_tokens: Positive = 64
    temperature: Above0 = 1.0
    beta: Annotated[float, msgspec.Meta(ge=0)] = 0.0
