import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="From signals to training sets")


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    # From signals to training sets

    What people did with the answers becomes rows that a model can learn from: edits teach better answers, an edit with
    the answer that it replaced is a pair, thumbs and reopened tickets say what was wanted. This notebook builds a set
    of each kind, looks at what every rule took away, and at what a set must prove before anybody trains on it.

    **Reads** the workspace named below; where there is none, the demo is played into it, which takes about a quarter
    of an hour on two CPU cores (the same as `make demo`; its desk, customers and operators are simulated). **Writes**
    into that workspace: a training set of each kind. The same signals give the same version, so that a second run
    writes nothing.
    """)
    return


@app.cell
def _():
    WORKSPACE = "demo"  # a folder, or your own workspace
    SEED = 0  # of the demo, where it has to be played first
    TEXTS = True  # whether cells show what customers and models wrote
    NAME = "lesson"  # of the sets, with the kind behind it
    KINDS = ["sft", "preference", "unpaired", "reward", "prompts"]  # leave out what your signals cannot give
    ASKED = ["prompt", "completion"]  # what to show of the first kind's rows: of pairs, also chosen and rejected
    return ASKED, KINDS, NAME, SEED, TEXTS, WORKSPACE


@app.cell
def _():
    import marimo as mo
    import polars as pl

    import clworkbench as clw
    from clworkbench.demo.opening import open_desk

    return clw, mo, open_desk, pl


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## A set of each kind

    `sft` for supervised training, `preference` for DPO, `unpaired` for KTO, `reward` for reward models, `prompts` with
    a verifier for GRPO. Only settled outcomes count. *New* rows are those that the model which serves has not learned.
    """)
    return


@app.cell
def _(KINDS, NAME, SEED, WORKSPACE, clw, open_desk):
    workspace = open_desk(WORKSPACE, seed=SEED)
    sets = {kind: clw.build(workspace, f"{NAME}-{kind}", kind=kind) for kind in KINDS}
    return sets, workspace


@app.cell
def _(pl, sets):
    pl.DataFrame([{"kind": kind, "new": sets[kind].built.n_new, **sets[kind].built.splits} for kind in sets])
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## What each rule took away

    From all signals down to the rows of the first kind above. Nothing disappears without being counted.
    """)
    return


@app.cell
def _(sets):
    first = next(iter(sets.values()))
    first
    return (first,)


@app.cell
def _(first):
    first.plot()
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## Pairs: is the better answer simply the longer one?

    A model that learns from pairs learns the easiest difference first. Where nearly all chosen answers are longer, or
    nearly all are shorter, it learns length: balance the pairs, or keep an eye on the length guard of the gate.
    """)
    return


@app.cell
def _(pl, sets):
    found = [(kind, *finding) for kind in sets for finding in sets[kind].findings]
    pl.DataFrame(found, schema=["kind", "finding", "detail"], orient="row")
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## The splits, and the proof that nothing leaks

    A split is drawn by a keyed hash of the conversation or the user, so that a row never moves between splits. The
    proof looks in the set for everything that is held out, of suites and of its own holdout, in six ways; and it plants
    a leak of each kind, to see that it would have found one. Leaking rows were dropped above, and counted.
    """)
    return


@app.cell
def _(first, pl):
    proof = first.manifest["leakage"]
    leaks = [(leak, n, proof["planted"][leak]) for leak, n in proof["checked"].items()]
    pl.DataFrame(leaks, schema=["leak", "rows that show it", "a planted one is found"], orient="row")
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    And all that can be derived again of the set: hashes, splits, policy, suites, waterfall. `clw audit` says the same.
    """)
    return


@app.cell
def _(clw, first, workspace):
    clw.audited(workspace, first.id)
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## How long the rows are

    In tokens of the base model, as its chat template writes them. What is longer than `[training] max_tokens` is cut.
    """)
    return


@app.cell
def _(clw, first, workspace):
    tokens = clw.token_statistics(workspace, first.id)
    tokens
    return (tokens,)


@app.cell
def _(tokens):
    tokens.plot()
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## Some rows

    What was asked last, and the answer that is to be learned, with the rule that made the row and its weight.
    """)
    return


@app.cell
def _(ASKED, TEXTS, first, pl):
    last = pl.all().exclude("split", "rule", "weight").list.last().struct.field("content")
    texts = (
        first.frame.head(10)
        .select("split", "rule", "weight", *ASKED)
        .select("split", "rule", "weight", last.str.head(80).name.keep())
    )
    texts if TEXTS else texts.select("split", "rule", "weight")
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## What to do next

    - Train on one of them: `05_train`, or `clw train NAME` (the method follows from the kind).
    - Take rows into your own trainer: `clw.dataset(workspace, first.id)` is a `datasets.Dataset` with TRL's columns;
      `training_sets/<name>@<version>/rows.parquet` is plain Parquet.
    - Only some signals: `clw.build(workspace, NAME, where="model = 'small-v2'")`; weights, balance and the time-forward
      holdout stand in `[training]` of `clw.toml`.
    - Follow a row back to the signals that it came from: `clw lineage ID`.
    """)
    return


if __name__ == "__main__":
    app.run()
