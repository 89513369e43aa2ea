"""A rollout's weights for other servers: the LiteLLM router's settings, and the line that starts vLLM."""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from clworkbench.errors import EvidenceError
from clworkbench.releases.routing import normal

RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""What vLLM takes as `--max-lora-rank`. Source: vLLM, `MaxLoRARanks` in vllm/config/lora.py."""

STICKY_S = 7 * 24 * 3600
"""So long LiteLLM keeps a session with its model, counted from its last request; without Redis, the 200 latest."""


class Routed(NamedTuple):
    """A model behind the router.

    Attributes:
        name: as vLLM serves it.
        arm: `champion` or `challenger`.
        share: of new conversations, above 0.
    """

    name: str
    arm: str
    share: float


def facts(routed: Routed, *, stage: str, release: str, chance: float) -> dict[str, str]:
    """What a router logs with an answer of the model, by the names that `clw serve` logs it under.

    Args:
        routed: the model.
        stage: of the rollout.
        release: the challenger's name.
        chance: of the challenger.
    """
    return {
        "clw.release_id": routed.name,
        "clw.propensity": repr(routed.share),
        "clw.rollout": release,
        "clw.stage": stage,
        "clw.arm": routed.arm,
        "clw.challenger_chance": repr(chance),
    }


def routed(weights: Mapping[str, float], *, champion: str) -> list[Routed]:
    """The models that answer. One without a weight is left out: a router picks it when the others fail.

    Raises:
        EvidenceError: as `routing.normal`.
    """
    shares = normal(weights)
    return [Routed(m, "champion" if m == champion else "challenger", s) for m, s in shares.items() if s > 0]


def litellm_config(models: list[Routed], *, stage: str, release: str, group: str, url: str) -> str:
    """LiteLLM's `config.yaml`: one model for the applications, behind it both, by weight.

    Each answer's log line says in `request_tags` who was drawn, with which chance, at which stage. Retries and
    cooldowns are off: they would send a request to another model than was drawn, and the chances would be wrong.

    Args:
        models: those that answer.
        stage: of the rollout.
        release: the challenger's name.
        group: the model's name for the applications.
        url: of the vLLM server, as OpenAI clients take it.

    Source: LiteLLM 1.106, docs.litellm.ai/docs/routing; `simple-shuffle` draws by `weight`, `session_affinity` keeps a
    request's `metadata.session_id` with its model.
    """
    chance = next((m.share for m in models if m.arm == "challenger"), 0.0)
    lines = ["model_list:"]
    for model in models:
        told = facts(model, stage=stage, release=release, chance=chance)
        tags = (
            [f"{name}={value}" for name, value in told.items()] if len(models) > 1 else [f"clw.release_id={model.name}"]
        )
        lines += [
            f"  - model_name: {json.dumps(group)}",
            "    litellm_params:",
            f"      model: {json.dumps(f'hosted_vllm/{model.name}')}",
            f"      api_base: {json.dumps(url)}",
            f"      weight: {model.share!r}",
            "      tags:",
            *(f"        - {json.dumps(tag)}" for tag in tags),
            "    model_info:",
            f"      id: {json.dumps(model.name)}",
        ]
    lines += [
        "router_settings:",
        "  routing_strategy: simple-shuffle",
        "  optional_pre_call_checks:",
        "    - session_affinity",
        f"  deployment_affinity_ttl_seconds: {STICKY_S}",
        "  num_retries: 0",
        "  disable_cooldowns: true",
    ]
    return "\n".join(lines) + "\n"


def vllm_line(base: str, adapters: Mapping[str, Path], *, base_name: str | None, port: int) -> str:
    """The command that serves the base with its adapters.

    Args:
        base: what vLLM loads: a folder, or `org/name`.
        adapters: folders by the names they are served under.
        base_name: the name of the base, where it answers as itself.
        port: of 127.0.0.1.

    Raises:
        EvidenceError: an adapter's rank is none that vLLM takes.

    Source: vLLM, docs.vllm.ai, features/lora (`--lora-modules` as JSON objects, `--max-lora-rank`, `--max-loras`).
    """
    parts = ["vllm", "serve", base, "--host", "127.0.0.1", "--port", str(port)]
    if base_name is not None:
        parts += ["--served-model-name", base_name]
    if adapters:
        modules = [json.dumps({"name": name, "path": str(path)}) for name, path in adapters.items()]
        parts += ["--enable-lora", "--max-loras", str(len(adapters)), "--max-lora-rank", str(_rank(adapters))]
        parts += ["--lora-modules", *modules]
    return shlex.join(parts)


def _rank(adapters: Mapping[str, Path]) -> int:
    """The least that vLLM takes and that holds the greatest rank of them all."""
    greatest, where = 0, ""
    for name, folder in adapters.items():
        config = json.loads((folder / "adapter_config.json").read_text())
        rank = max([int(config["r"]), *(int(each) for each in (config.get("rank_pattern") or {}).values())])
        greatest, where = max((greatest, where), (rank, name))
    for rank in RANKS:
        if rank >= greatest:
            return rank
    raise EvidenceError(f"export: the adapter of {where} has rank {greatest}, and vLLM takes {RANKS[-1]} at most.")
