"""The model card of a release: what it is, what it learned, on what evidence it shipped, and what nobody knows."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from clworkbench.releases.report import GateReport, asked, in_words, interval, number, p_value

Manifest = Mapping[str, object]

LONGEST = 300
"""Characters of a value that a card shows."""

RUN_KEYS = ("method", "base", "parent", "settings", "seed", "steps", "seconds", "loss_first", "loss_last", "cost")
SET_KEYS = ("kind", "rows", "splits", "n_signals", "signals", "sources", "as_of", "event_time", "policy", "rules")


@dataclass(frozen=True)
class Card:
    """A release's card, as `model_card` wrote it: a notebook renders its Markdown, in which every value is escaped."""

    release: str
    markdown: str

    def __repr__(self) -> str:
        return f"Card({self.release})"

    def _repr_markdown_(self) -> str:
        # Two levels down: under the headings of the notebook that shows it.
        return re.sub(r"^#", "###", self.markdown, flags=re.MULTILINE)


def model_card(
    release: Manifest,
    *,
    run: Manifest,
    training_set: Manifest | None,
    report: GateReport | None,
    limits: Sequence[str] = (),
) -> str:
    """Markdown that tells a reader what a release is, from its manifests; what a manifest lacks is left out.

    All values stand as code or with Markdown's and HTML's signs escaped: nothing in them is ever rendered.

    Args:
        release: its manifest: `id`, `created`, `parents`, and what else is to be told.
        run: the run's: `id`, `base`, `parent`, `method`, `settings`, `steps`, `loss_first`, `loss_last`,
            `adapter_sha256`, `code_version`.
        training_set: `id`, `rows`, `splits`, `signals`, `sources`, `as_of`, `policy`, `dropped` (rows by reason, in
            the waterfall's order), `rows_sha256`; None where the run learned from something else.
        report: the gates' report; None where nothing was gated, which the card says.
        limits: sentences on what the release is not good for, added to those that follow from the report.
    """
    sections = [
        f"# Model card: {code(release.get('id', 'release'))}",
        _what(release, run, training_set),
        _how(run),
        _on_what(training_set),
        evidence(report),
        _limits(report, limits),
        _lineage(release, run, training_set),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _what(release: Manifest, run: Manifest, training_set: Manifest | None) -> str:
    facts = {
        "release": release.get("id"),
        "created": release.get("created"),
        "run": run.get("id"),
        "training set": training_set.get("id") if training_set else None,
        "base model": run.get("base"),
        "parent run": run.get("parent"),
        "adapter SHA-256": run.get("adapter_sha256"),
    }
    return "## What it is\n\n" + _facts(facts) + "\n\nLicence: see the base model's; this card adds none."


def _how(run: Manifest) -> str:
    facts = {key.replace("_", " "): run[key] for key in RUN_KEYS if key in run and key not in ("base", "parent")}
    return "## How it was trained\n\n" + (_facts(facts) or "The run's manifest does not say.")


def _on_what(training_set: Manifest | None) -> str:
    if training_set is None:
        return "## What it was trained on\n\nThe run names no training set."
    facts = {key.replace("_", " "): training_set[key] for key in SET_KEYS if key in training_set}
    dropped = training_set.get("dropped")
    waterfall = ""
    if isinstance(dropped, Mapping) and dropped:
        rows = "\n".join(f"| {text(reason)} | {text(n)} |" for reason, n in dropped.items())
        waterfall = f"\n\nLeft out on the way, in this order:\n\n| reason | rows |\n|---|---:|\n{rows}"
    return "## What it was trained on\n\n" + (_facts(facts) or "Its manifest does not say.") + waterfall


def evidence(report: GateReport | None, *, title: str = "Evidence") -> str:
    """The gates' report as a section of Markdown: the decision, a row for each gate, the findings."""
    if report is None:
        return f"## {title}\n\nNo gate was judged: nothing is known of this release against its champion."
    rows = [_gate_row(row) for row in report.gates.iter_rows(named=True)]
    lines = [
        f"## {title}",
        f"Decision: {text(report.decision)}: {text(report.reason())}. Challenger {code(report.challenger)} against "
        f"champion {code(report.champion)}, paired by example; intervals are 90 %, p one-sided.",
        "| gate | asks | n | champion | challenger | difference | p | margin | detectable | verdict |\n"
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---|\n" + "\n".join(rows),
    ]
    findings = [f"- {code(kind)}: {text(detail)}" for kind, detail in report.findings.iter_rows()]
    return "\n\n".join([*lines, "Findings:\n\n" + "\n".join(findings) if findings else "No findings."])


def _gate_row(row: dict[str, object]) -> str:
    cells = [
        row["name"],
        asked(row),
        row["n"],
        number(row["champion"]),
        number(row["challenger"]),
        interval(row),
        p_value(row["p"]),
        number(row["margin"]),
        number(row["smallest_detectable"], signed=True),
        in_words(row),
    ]
    return "| " + " | ".join(text(value) for value in cells) + " |"


def _limits(report: GateReport | None, limits: Sequence[str]) -> str:
    return "## Limits\n\n" + "\n".join(f"- {text(limit)}" for limit in [*limits, *known_limits(report)])


def known_limits(report: GateReport | None) -> list[str]:
    """What the gates leave open, a sentence each, and what no gate can tell."""
    rows = [] if report is None else report.gates.to_dicts()
    unsettled = [row for row in rows if row["verdict"] in ("open", "unmeasured")]
    known = [f"{row['name']}: {in_words(row)}." for row in unsettled]
    return [*known, "What is outside the suites that it was scored on is not known."]


def _lineage(release: Manifest, run: Manifest, training_set: Manifest | None) -> str:
    lines = []
    for manifest in (release, run, training_set):
        if manifest is None:
            continue
        parents = manifest.get("parents")
        named = parents if isinstance(parents, Sequence) and not isinstance(parents, str) else []
        made_from = ", ".join(code(parent) for parent in named) or "signals" * (manifest is training_set)
        lines.append(f"- {code(manifest.get('id', '?'))}" + (f" from {made_from}" if made_from else ""))
        hashes = {key: manifest[key] for key in ("rows_sha256", "config_sha256", "code_version") if key in manifest}
        lines += [f"  - {key.replace('_', ' ')}: {code(value)}" for key, value in hashes.items() if value]
    return "## Lineage\n\n" + "\n".join(lines)


def _facts(facts: Mapping[str, object]) -> str:
    known = {key: value for key, value in facts.items() if value is not None and value not in ("", {}, [])}
    return "\n".join(f"- {text(key)}: {_value(value)}" for key, value in known.items())


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{text(key)} {code(each)}" for key, each in value.items())
    return code(value)


def code(value: object) -> str:
    """Any value as a Markdown code span of one line that nothing in it can end."""
    plain = _one_line(value)
    fence = "`" * (max((len(run) for run in re.findall("`+", plain)), default=0) + 1)
    padded = f" {plain} " if plain.startswith("`") or plain.endswith("`") else plain
    return f"{fence}{padded}{fence}" if plain else "(nothing)"


def text(value: object) -> str:
    """Any value as plain words, with every sign that Markdown or HTML would act on escaped."""
    plain = _one_line(value).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    escaped = re.sub(r"([\\`*_{}\[\]#|~!])", r"\\\1", plain)
    # A bare address would become a link.
    return re.sub(r"(?i)\b(https?|ftp|www)([:.])", "\\1\u200b\\2", escaped)


def _one_line(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    plain = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    plain = "".join(sign if sign.isprintable() else " " for sign in plain)
    return plain if len(plain) <= LONGEST else plain[: LONGEST - 1] + "…"
