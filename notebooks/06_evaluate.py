import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Evaluate")


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    # Evaluate

    How good is a model, on what, and how sure is that? A suite is a frozen list of examples that no model trains on.
    This notebook looks at the suites there are, at examples that say nothing about anybody, and at two models' scores
    by slice, each with its n and its interval.

    **Reads** the workspace named below; where there is none, the demo is played into it, which takes about a quarter
    of an hour on two CPU cores (the same as `make demo`; its desk, customers and operators are simulated). **Writes**
    into that workspace: the scores of models that were not scored on this suite yet. What was scored is not scored
    again.
    """)
    return


@app.cell
def _():
    WORKSPACE = "demo"  # a folder, or your own workspace
    SEED = 0  # of the demo, where it has to be played first
    MODEL = None  # run:ID, release:ID, hf:org/name, endpoint:NAME or a folder; the model that serves when None
    SUITE = None  # name, or name@version; the first one of [evals], or of all, when None
    return MODEL, SEED, SUITE, WORKSPACE


@app.cell
def _():
    import marimo as mo

    import clworkbench as clw
    from clworkbench.demo.opening import open_desk

    return clw, mo, open_desk


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## What there is to measure on

    How many examples each slice has decides what can be shown there. A slice with thirty examples can only show a very
    large difference.
    """)
    return


@app.cell
def _(SEED, WORKSPACE, clw, open_desk):
    workspace = open_desk(WORKSPACE, seed=SEED)
    suites = clw.suites(workspace)
    suites
    return suites, workspace


@app.cell
def _(suites):
    suites.plot()
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## Examples that say nothing

    Each expected answer is graded first, as if a model had given it. Where it does not get full marks, the example is
    at fault, not the model: it is left out of all means, counted, and listed here. An empty list is what one wants.
    """)
    return


@app.cell
def _(suites):
    suites.ungradable
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## What so many examples could show

    Asked before anything is run, for a challenger that is truly 2 points better where one pair in five differs: the
    probability that each gate is met (*power*), the true difference that it would find four times in five
    (*smallest_detectable*), and the examples for that much certainty about 2 points (*needed*).
    """)
    return


@app.cell
def _(clw, workspace):
    clw.power(workspace).select("name", "required", "margin", "n", "power", "smallest_detectable", "needed")
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## A model's scores

    By slice, with 95 % intervals. An answer that was cut off counts as it stands; how answers ended is said below.
    """)
    return


@app.cell
def _(MODEL, SUITE, clw, suites, workspace):
    serves = clw.status(workspace).champion
    scored = clw.evaluate(workspace, MODEL or serves, SUITE or suites.measured[0])
    scored
    return scored, serves


@app.cell
def _(scored):
    scored.report().plot()
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## Is a slice worse, or only small?

    Where intervals are wide, the slice is small. Where they do not reach the others, look at its examples, the worst
    first. What was answered stands side by side in `07_compare_and_release`.
    """)
    return


@app.cell
def _(scored):
    worst = scored.scores.drop_nulls("score").sort("score", "example_id").head(10)
    worst.select("example_id", "slices", "scorer", "score", "termination", "n_output_tokens")
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## What to do next

    - Hold a challenger against the model that serves, and look at wins and losses side by side:
      `07_compare_and_release`.
    - A suite is too small, or none is of production: freeze more examples with `clw suite NAME FILE`, or draw one from
      traffic with `clw suite draw NAME`, whose scores then estimate production.
    - Better only on the newest traffic? Draw two suites, `clw suite draw week --newest 7d` and `clw suite draw older
      --before DATE`; `clw recency MODEL` holds the gain on the one against the loss on the other, and
      `clw.recency(workspace, MODEL)` draws it.
    - Another scorer, several repetitions, longer answers: `[evals]` in `clw.toml`. Gates that are edited after scores
      were seen are a finding.
    - Scored elsewhere (Inspect, lm-evaluation-harness, tau2-bench): `clw scores import FILE`.
    """)
    return


if __name__ == "__main__":
    app.run()
