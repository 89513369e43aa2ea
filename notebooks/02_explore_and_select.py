import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Look, find, and select")


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    # Look, find, and select

    Among many signals, a few hundred will make the next model better. Which, and why these? This notebook looks at
    rates, lets the machine search for the slices that fare worst and for what changed, filters and reads by hand, and
    keeps what was found as code and as a slice, so that anybody can find the same signals again.

    **Reads** the workspace named below; where there is none, the demo is played into it, which takes about a quarter
    of an hour on two CPU cores (the same as `make demo`; its desk, customers and operators are simulated). **Writes**
    into that workspace: a slice into its `clw.toml`, and a selection of candidates.
    """)
    return


@app.cell
def _():
    WORKSPACE = "demo"  # a folder, or your own workspace
    SEED = 0  # of the demo, where it has to be played first
    TEXTS = True  # whether cells show what customers and models wrote
    CANDIDATES = 40  # how many signals to select
    return CANDIDATES, SEED, TEXTS, WORKSPACE


@app.cell
def _():
    import marimo as mo

    import clworkbench as clw
    from clworkbench.demo.opening import open_desk

    return clw, mo, open_desk


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## Rates, by slice and over time

    The share of settled signals with a good outcome, each with its n and its Wilson interval. Pending signals stand
    apart: they have not had the time to go wrong.
    """)
    return


@app.cell
def _(SEED, WORKSPACE, clw, open_desk):
    workspace = open_desk(WORKSPACE, seed=SEED)
    clw.rates(workspace)
    return (workspace,)


@app.cell
def _(clw, workspace):
    clw.rates(workspace, every="day").plot()
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## Where the model does worst

    All conjunctions of up to three conditions are searched on half of the conversations, and what was found is tested
    on the other half, corrected for how many were tried. Nothing found is an answer, too.
    """)
    return


@app.cell
def _(clw, workspace):
    clw.discover(workspace)
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## What goes wrong again and again

    Texts that are the same but for numbers and a word or so, with how often their answers failed.
    """)
    return


@app.cell
def _(TEXTS, clw, workspace):
    clw.repeated(workspace, texts=TEXTS)
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## What changed, and whether it did harm

    The last days against the last training set, or against the days before. What changed is not yet bad: each part that
    grew is shown with what happened to its settled outcomes, and what to do follows from both.
    """)
    return


@app.cell
def _(clw, workspace):
    clw.drift(workspace)
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## Look for yourself

    Filter, click on a bar, sort, read a conversation with its feedback (Enter opens, Escape closes), and mark signals
    (Space). The map lays out what users said; an area that is drawn on it is one more filter. Buttons below the table
    save the filters as a slice, make candidates of what is marked, and ask annotators about it. It begins with signals
    whose outcome was bad.
    """)
    return


@app.cell
def _(TEXTS, clw, workspace):
    explorer = clw.explore(workspace, where="outcome = false", texts=TEXTS)
    explorer
    return (explorer,)


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    What you did comes back as data. In marimo the next cells run by themselves; in JupyterLab, run them when you are
    done. With nothing marked, `rows` are all signals that the filters find.
    """)
    return


@app.cell
def _(explorer):
    explorer.rows.select("interaction_id", "started_at", "outcome", "n_feedback")
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    And as code: what you clicked together and did, as lines that do the same without a hand.
    """)
    return


@app.cell
def _(explorer):
    explorer.code()
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## Keep it as a slice

    The filters become a line of `[slices]` in `clw.toml`, and a slice means the same everywhere: in rates, drift,
    selection, suites and gates.
    """)
    return


@app.cell
def _(explorer):
    kept = explorer.save("explored", replace=True)
    kept
    return (kept,)


@app.cell
def _(clw, kept, workspace):
    again = clw.Workspace(workspace.folder)  # it reads clw.toml anew
    clw.rates(again, every="week", slice=kept.name)
    return (again,)


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## Select candidates

    What annotators are to look at: failures, overridden and unsure answers, and a random share that keeps the sample
    honest. Every candidate carries its reasons and the probability with which it was drawn.
    """)
    return


@app.cell
def _(CANDIDATES, again, clw):
    chosen = clw.choose(again, CANDIDATES)
    chosen
    return (chosen,)


@app.cell
def _(TEXTS, again, chosen, clw):
    selected = clw.selected(again, texts=TEXTS) if chosen else None
    selected
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## What to do next

    - Mark a few signals above, then `explorer.pick()` makes them candidates as well, and `explorer.push("review")` puts
      them before annotators; `clw.push(workspace)` does so with all candidates (`03_label`).
    - `clw slice`, `clw slice --discover` and `clw select --n 40` do the same from a terminal.
    - Put `explorer.code()` into your own script: it needs no widget.
    """)
    return


if __name__ == "__main__":
    app.run()
