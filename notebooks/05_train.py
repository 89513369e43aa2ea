import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Train")


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    # Train

    From a training set to an adapter: what it will cost before it costs it, the loss while it falls, and what the run
    learned from, back to the signals. The same inputs are the same run: run this again, and nothing is trained twice;
    a run that was killed goes on.

    **Reads** the workspace named below; where there is none, the demo is played into it, which takes about a quarter
    of an hour on two CPU cores (the same as `make demo`; its desk, customers and operators are simulated). **Writes**
    into that workspace: a run, and what it cost into the ledger.
    """)
    return


@app.cell
def _():
    WORKSPACE = "demo"  # a folder, or your own workspace
    SEED = 0  # of the demo, where it has to be played first
    SET = None  # name, or name@version; that of the release that shipped last when None. The method follows its kind
    STEPS = 20
    PARENT = None  # a run or a release to go on from; the base model when None
    return PARENT, SEED, SET, STEPS, WORKSPACE


@app.cell
def _():
    import marimo as mo

    import clworkbench as clw
    from clworkbench.demo.opening import open_desk

    return clw, mo, open_desk


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## What it will cost

    A few steps are timed and thrown away; the rest is arithmetic. The limits stand in `[budget]` of `clw.toml`, for one
    run and for a month. A run that would go above is refused, and one that turns out to be slower stops with a
    checkpoint.
    """)
    return


@app.cell
def _(PARENT, SEED, SET, STEPS, WORKSPACE, clw, open_desk):
    workspace = open_desk(WORKSPACE, seed=SEED)
    training_set = SET or clw.turns(workspace).focus.waterfall.id
    clw.forecast(workspace, training_set, steps=STEPS, parent=PARENT)
    return training_set, workspace


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## Train

    The curve grows while the run trains, and stays when it is done.
    """)
    return


@app.cell
def _(PARENT, STEPS, clw, training_set, workspace):
    run = clw.train(workspace, training_set, steps=STEPS, parent=PARENT)
    return (run,)


@app.cell
def _(run):
    run
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## Beside the other runs

    A falling loss says that a run learned what it was shown, not that this was worth learning: that is the gate's
    question. Runs from a parent begin lower, since they know much of it already.
    """)
    return


@app.cell
def _(clw, run, workspace):
    losses = clw.losses(workspace) if run else None
    losses.plot()
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## What it cost, and what is left
    """)
    return


@app.cell
def _(clw, run, workspace):
    spent = clw.spent(workspace) if run else None
    spent
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## What it learned from

    Every weight has its rows, every row its signals, every signal the file in which production reported it. Upwards:
    the evaluations, gates and releases that rest on this run.
    """)
    return


@app.cell
def _(clw, run, workspace):
    clw.trace(workspace, run.id)
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## What to do next

    - Measure it on a frozen suite: `clw.evaluate(workspace, run.id, SUITE)`, then hold it against the model that
      serves: `clw.gate(workspace, run.id)`.
    - Set a budget: `run = { hours = 2 }` in `[budget]`; `clw train NAME --estimate` says the same in a terminal, and
      exits with 1 where the run would go above.
    - Another method on another kind of set (`04_training_set`): DPO on pairs, KTO on thumbs, GRPO with a verifier, each
      from a parent: `clw train NAME --method dpo --parent RUN`.
    - Take it elsewhere: `clw export RUN FOLDER` writes the merged model.
    """)
    return


if __name__ == "__main__":
    app.run()
