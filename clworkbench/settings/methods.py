"""How each method trains: what `[training.dpo]`, `[training.kto]` and `[training.grpo]` may say."""

from typing import Annotated

import msgspec

Above0 = Annotated[float, msgspec.Meta(gt=0)]


class DpoTraining(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Direct preference optimisation: `beta` holds the model to where it started."""

    beta: Above0 = 0.1


class KtoTraining(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Kahneman-Tversky optimisation: `beta` holds the model to where it started."""

    beta: Above0 = 0.1


class GrpoTraining(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Group relative policy optimisation: `generations` answers to each prompt; `batch_size` counts answers."""

    generations: Annotated[int, msgspec.Meta(ge=2)] = 4
