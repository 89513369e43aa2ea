"""Which of Presidio's recognizers are used, how sure they must be, and the engine made of them."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, NamedTuple

from clworkbench.errors import SettingsError

if TYPE_CHECKING:
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry, RecognizerResult

NAMES = {"PERSON": "PERSON", "LOCATION": "LOCATION"}
"""What only a model of names finds, by Presidio's word for it.

Organisations, nationalities, times and addresses on the web are left alone: they seldom name a person, and much that
a model learns from would go with them (docs/privacy.md has the numbers).
"""

PLAIN = {"CRYPTO": "WALLET", "MAC_ADDRESS": "MAC", "STREET": "LOCATION"}
"""Found by their shape alone: it has a check digit, or is like nothing else."""

BESIDE_A_WORD = {
    "AU_MEDICARE": "NATIONAL_ID",
    "DATE_TIME": "BIRTH_DATE",
    "MEDICAL_LICENSE": "LICENCE",
    "PHONE_NUMBER": "PHONE",
    "UK_DRIVING_LICENCE": "LICENCE",
    "UK_PASSPORT": "PASSPORT",
    "US_BANK_NUMBER": "ACCOUNT",
    "US_DRIVER_LICENSE": "LICENCE",
    "US_ITIN": "NATIONAL_ID",
    "US_MBI": "NATIONAL_ID",
    "US_PASSPORT": "PASSPORT",
}
"""Found only where a word nearby says what the number is: without it, one number in ten has a fitting check digit.

What the first tier finds by its own patterns (e-mail, cards, IBANs, most national ids) is not looked for again.
"""

_FOR_MODELS = ("torch", "transformers")
"""What spaCy and Presidio load for models of other kinds, where it is installed: 5 CPU seconds for nothing."""

THRESHOLD = 0.4
"""Presidio's own score for a weak pattern beside a word that supports it."""

_RECOGNIZERS = (
    "AuMedicareRecognizer", "CryptoRecognizer", "MacAddressRecognizer", "MedicalLicenseRecognizer",
    "UkDrivingLicenceRecognizer", "UkPassportRecognizer", "UsItinRecognizer", "UsLicenseRecognizer",
    "UsMbiRecognizer", "UsPassportRecognizer",
)  # fmt: skip
_STREETS = (
    r"\b[0-9]{1,5}[A-Za-z]?,? (?:[NSEW]\.? )?(?:[A-Z0-9][\w'\u2019.-]{1,30} ){1,3}"
    r"(?:Street|St|Road|Rd|Avenue|Ave|Lane|Ln|Drive|Dr|Boulevard|Blvd|Court|Ct|Close|Crescent|Place|Square|Terrace"
    r"|Parkway|Pkwy|Highway|Hwy)\b\.?",
    r"\b[A-Z][\w-]{2,30}(?:stra\u00dfe|strasse|str\.|gasse|allee|platz|weg) [0-9]{1,4}[a-z]?\b",
)
"""A number and a street, in English and in German; of a whole address a model finds the town at best."""
_WORDS_BEFORE = 3
"""Presidio takes five words before a number for its neighbours, which often reaches into another sentence."""
_ACCOUNT_WORDS = ["account", "acct", "acc"]
_BIRTH_WORDS = ["birth", "birthday", "birthdate", "born", "dob", "geboren", "geburtsdatum", "naissance", "nacimiento"]
_PHONE_WORDS = ["phone", "telephone", "cell", "mobile", "call", "fax", "whatsapp", "telefon", "telefono"]
_PHONE_REGIONS = ("US", "GB", "DE", "FR", "ES", "IT", "NL", "PL", "BR", "MX", "IN", "AU", "JP", "KR", "ZA")
_MODEL_LABELS = {"PERSON": "PERSON", "PER": "PERSON", "GPE": "LOCATION", "LOC": "LOCATION", "FAC": "LOCATION"}
_NOT_FOR_NAMES = (
    "tagger",
    "morphologizer",
    "parser",
    "senter",
    "attribute_ruler",
    "lemmatizer",
    "trainable_lemmatizer",
)
"""Parts of a model that names do not need; without them it is four times as fast and finds the same."""


class Engine(NamedTuple):
    """Presidio's analyzer, and the spaCy model it has (name and version), or None."""

    analyzer: "AnalyzerEngine"
    model: str | None


def kind_of(result: "RecognizerResult", value: str) -> str | None:
    """What a find is in our words; None where it does not count."""
    entity = result.entity_type
    if entity in NAMES:
        return NAMES[entity]
    if not any(char.isdigit() for char in value):
        return None  # some of the weak patterns match plain words
    if entity in PLAIN:
        return PLAIN[entity]
    return BESIDE_A_WORD[entity] if result.analysis_explanation.supportive_context_word else None


@cache
def load() -> Engine:
    """Presidio on the first installed spaCy model that finds names, else on a blank one; nothing is downloaded.

    Raises:
        SettingsError: it is installed, and cannot be imported or loaded.
    """
    logging.getLogger("presidio-analyzer").setLevel(logging.ERROR)
    try:
        with _unseen(*(() if entry_points(group="spacy_models") else _FOR_MODELS)):
            import spacy
            from presidio_analyzer import AnalyzerEngine
            from presidio_analyzer.context_aware_enhancers import LemmaContextAwareEnhancer
            from presidio_analyzer.nlp_engine import NerModelConfiguration, SpacyNlpEngine
        model = _model_of_names()
        pipeline = spacy.load(model, exclude=_NOT_FOR_NAMES) if model else spacy.blank("en")
    except (ImportError, OSError, ValueError) as error:
        raise SettingsError(
            f"Presidio or its spaCy model is installed but cannot be loaded: {error}.\n"
            "Install it anew with `pip install 'clworkbench[privacy]'`, or write leaving = \"patterns\" in [policy]."
        ) from error
    if not spacy.Language.has_factory("clw_plain_lemmas"):
        spacy.Language.component("clw_plain_lemmas", func=_plain_lemmas)
    pipeline.add_pipe("clw_plain_lemmas")
    ignored = [label for label in pipeline.pipe_labels.get("ner", ()) if label not in _MODEL_LABELS]
    names = NerModelConfiguration(model_to_presidio_entity_mapping=_MODEL_LABELS, labels_to_ignore=ignored)
    nlp = SpacyNlpEngine(ner_model_configuration=names)
    nlp.nlp = {"en": pipeline}  # given, or it would be downloaded
    beside = LemmaContextAwareEnhancer(context_prefix_count=_WORDS_BEFORE, context_matching_mode="whole_word")
    analyzer = AnalyzerEngine(_registry(model), nlp, supported_languages=["en"], context_aware_enhancer=beside)
    return Engine(analyzer, f"{model} {pipeline.meta['version']}" if model else None)


@contextmanager
def _unseen(*packages: str) -> Iterator[None]:
    """Within it, packages that are not loaded yet seem not to be installed."""
    hidden = [name for name in packages if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


def _plain_lemmas(doc: Any) -> Any:
    """Presidio looks for supporting words among lemmas; a model without a lemmatizer has none."""
    for token in doc:
        token.lemma_ = token.lower_
    return doc


def _model_of_names() -> str | None:
    """An installed model that finds names: an English one before others, then by name."""
    from spacy.util import get_installed_models, get_model_meta, get_package_path

    metas = {name: get_model_meta(get_package_path(name)) for name in get_installed_models()}
    fit = [name for name, meta in metas.items() if "ner" in meta.get("pipeline", ())]
    return min(fit, key=lambda name: (metas[name]["lang"] != "en", name), default=None)


def _registry(model: str | None) -> "RecognizerRegistry":
    from presidio_analyzer import Pattern, PatternRecognizer, RecognizerRegistry, predefined_recognizers

    streets = [Pattern("street", regex, 0.85) for regex in _STREETS]
    chosen = [getattr(predefined_recognizers, name)(supported_language="en") for name in _RECOGNIZERS]
    chosen.append(predefined_recognizers.DateRecognizer(context=_BIRTH_WORDS))
    chosen.append(predefined_recognizers.UsBankRecognizer(context=_ACCOUNT_WORDS))
    chosen.append(predefined_recognizers.PhoneRecognizer(context=_PHONE_WORDS, supported_regions=_PHONE_REGIONS))
    chosen.append(PatternRecognizer("STREET", patterns=streets, global_regex_flags=0))
    if model:
        chosen.append(predefined_recognizers.SpacyRecognizer(supported_entities=list(NAMES)))
    return RecognizerRegistry(recognizers=chosen, supported_languages=["en"])
