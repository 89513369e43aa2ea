"""Export: a rollout's weights and adapters, for LiteLLM and vLLM in place of `clw serve`."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from clworkbench.errors import ArtefactError, EvidenceError
from clworkbench.files import told_when_full
from clworkbench.loop.evals.model import resolve
from clworkbench.loop.releases.rollout import current, shares
from clworkbench.models.names import ModelSpec
from clworkbench.releases.rollout import SHADOW
from clworkbench.releases.rollout_export import litellm_config, routed, vllm_line
from clworkbench.workspace import Workspace


@dataclass(frozen=True, repr=False)
class RolloutExport:
    """What was written.

    Attributes:
        release: the challenger; `champion` the model beside it.
        stage: of the rollout; `weights` the shares of new conversations then.
        folder: holds `litellm.yaml` and `vllm.sh`, whose texts are `litellm` and `vllm`.
    """

    release: str
    champion: str
    stage: str
    weights: dict[str, float]
    folder: Path
    litellm: str
    vllm: str

    def __repr__(self) -> str:
        return f"RolloutExport({self.release} at {self.stage}: {self.folder})"

    def as_dict(self) -> dict[str, object]:
        """The answer of `clw rollout export --json`."""
        return {
            "release": self.release,
            "stage": self.stage,
            "weights": self.weights,
            "champion": self.champion,
            "folder": str(self.folder),
            "litellm": self.litellm,
            "vllm": self.vllm,
        }


def export(
    workspace: Workspace,
    folder: Path | str,
    *,
    group: str = "clw",
    url: str = "http://127.0.0.1:8000/v1",
) -> RolloutExport:
    """Writes the present stage for LiteLLM and vLLM; write again, and restart LiteLLM, when a stage is passed.

    Args:
        workspace: whose rollout.
        folder: where `litellm.yaml` and `vllm.sh` go; files of these names there are replaced.
        group: what applications call the model.
        url: where LiteLLM finds vLLM.

    Raises:
        EvidenceError: no rollout goes on; it is in its shadow, which LiteLLM does not know; or its models do not share
            a base as adapters.
        ArtefactError: the address is none, or the folder cannot be made.
    """
    found = current(workspace)
    if found.stage == SHADOW:
        raise EvidenceError(
            f"{found.release} is in the shadow: both models answer and one answer is sent, which LiteLLM does not do.\n"
            "Let `clw serve` run this stage, or set [rollout.shadow] skip = true before the rollout begins."
        )
    place = urlsplit(url)
    if place.scheme not in ("http", "https") or not place.hostname or place.username or place.password:
        raise ArtefactError(
            f"export: {place.hostname or 'this'} is no address as http://127.0.0.1:8000/v1, without a key."
        )
    weights, folder = shares(found), Path(folder).resolve()
    models = routed(weights, champion=found.champion)
    specs = {name: resolve(workspace, name) for name in weights}
    line = _line(specs, port=place.port or 8000)
    text = litellm_config(models, stage=found.stage, release=found.release, group=group, url=url)
    with told_when_full("export", folder):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError as taken:
            raise ArtefactError(f"export: {folder} is a file. Name a folder.") from taken
        (folder / "litellm.yaml").write_text(text)
        (folder / "vllm.sh").write_text(line + "\n")
    return RolloutExport(found.release, found.champion, found.stage, weights, folder, text, line)


def _line(specs: dict[str, ModelSpec], *, port: int) -> str:
    bases = {spec.base for spec in specs.values()}
    if len(bases) > 1:
        raise EvidenceError(
            f"export: the models stand on {len(bases)} bases ({', '.join(sorted(bases))}), and one vLLM serves one.\n"
            "Let `clw serve` share the traffic out, or start a vLLM for each and write LiteLLM's settings yourself."
        )
    adapters = {name: spec.adapter for name, spec in specs.items() if spec.adapter is not None}
    bare = [name for name, spec in specs.items() if spec.adapter is None]
    base = bases.pop()
    if base.startswith("pypi:"):
        raise EvidenceError(
            f"export: vLLM loads no {base}. Train on a folder or hf:org/name for what vLLM is to serve;\n"
            "`clw serve` serves this one."
        )
    return vllm_line(base.removeprefix("hf:"), adapters, base_name=bare[0] if bare else None, port=port)
