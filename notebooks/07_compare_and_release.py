import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Compare and release")


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    # Compare and release

    May this challenger ship? Two averages compared by eye do not answer that. Here both models' answers stand side by
    side, the gates say what is shown and what is not, what more data would settle, and whether they would have noticed
    a regression at all. Then somebody decides.

    **Reads** the workspace named below; where there is none, the demo is played into it, which takes about a quarter
    of an hour on two CPU cores (the same as `make demo`; its desk, customers and operators are simulated). **Writes**
    into that workspace: the gate's report and, where `RELEASE` is set to `True`, a release.
    """)
    return


@app.cell
def _():
    WORKSPACE = "demo"  # a folder, or your own workspace
    SEED = 0  # of the demo, where it has to be played first
    CHALLENGER = None  # run:ID; the last turn's when None
    AGAINST = None  # the champion; the one that the last turn was held against when None
    TEXTS = True  # whether cells show what was asked and answered
    RELEASE = False  # True ships the challenger, if its gate against the model that serves says so
    return AGAINST, CHALLENGER, RELEASE, SEED, TEXTS, WORKSPACE


@app.cell
def _():
    import marimo as mo

    import clworkbench as clw
    from clworkbench.demo.opening import open_desk

    return clw, mo, open_desk


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## Who is held against whom
    """)
    return


@app.cell
def _(AGAINST, CHALLENGER, SEED, WORKSPACE, clw, open_desk):
    workspace = open_desk(WORKSPACE, seed=SEED)
    turns = clw.turns(workspace)
    challenger = CHALLENGER or turns.last.report.challenger
    champion = AGAINST or turns.last.report.champion
    turns
    return challenger, champion, turns, workspace


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## Wins and losses, side by side

    The same examples, answered by both. Losses come first: read some before you read any mean. A click opens what was
    asked, what was expected, and what each model said.
    """)
    return


@app.cell
def _(TEXTS, challenger, champion, clw, workspace):
    pairs = clw.compare(workspace, challenger, against=champion, texts=TEXTS)
    pairs
    return (pairs,)


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    Slice by slice: the mean difference with its 90 % interval. A dot is shown better, a square shown worse, and a ring
    neither yet.
    """)
    return


@app.cell
def _(pairs):
    pairs.plot()
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## What the gates say

    *Required* gates must be met, *guards* can only block. Block comes before promote, promote before hold. An open gate
    says how many examples more would settle it.
    """)
    return


@app.cell
def _(challenger, champion, clw, workspace):
    held = clw.gate(workspace, challenger, against=champion)
    held
    return (held,)


@app.cell
def _(held):
    held.report.plot()
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## What more data would settle

    What each gate could have shown with the examples there are, and how many it would take for a challenger that is
    truly 2 points better. Plan the suite from the gates, not the other way round.
    """)
    return


@app.cell
def _(clw, held, workspace):
    planned = clw.power(workspace) if held else None
    planned.select("name", "required", "n", "power", "smallest_detectable", "needed")
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## Would they have noticed?

    Regressions are planted into the champion's own scores, more and more, until the gates block them. A gate that never
    blocks is unproven: mend the suite or the gate before you trust it.
    """)
    return


@app.cell
def _(champion, clw, held, workspace):
    drilled = clw.drill(workspace, champion) if held else None
    drilled
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## Release

    `RELEASE = True` in the settings ships the challenger where its gate against the model that serves, on all suites
    and by today's gates, says promote; anything else is refused in words. The way back is one command and takes
    seconds: `clw rollback`, or `clw.rollback(workspace)`. It is recorded, and what was rolled back ships again only
    when a person asks for it.
    """)
    return


@app.cell
def _(RELEASE, challenger, clw, held, workspace):
    outcome = clw.release(workspace, challenger) if RELEASE else held.report.reason()
    outcome
    return (outcome,)


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## How it went out

    `clw release RUN --staged` sends a release a growing share of the traffic: shadow, then 5 %, 25 %, 95 % of the
    conversations. Both models answer at the same time; above, their rates of good outcomes, below, the difference. The
    bands hold at every look, so looking often costs no certainty. Each stage ends by what its traffic showed.
    """)
    return


@app.cell
def _(clw, outcome, workspace):
    rollouts = clw.rollouts(workspace) if outcome else None
    rollouts
    return (rollouts,)


@app.cell
def _(rollouts):
    rollouts.plot()
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## The card of the release that shipped last

    What it is, what it learned, on what evidence it shipped, and what nobody knows. Where nothing shipped, there is
    none.
    """)
    return


@app.cell
def _(outcome, turns):
    card = turns.focus.card if outcome else None
    card
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## What the challenger came from

    Down to the files in which production reported it, up to what rests on it.
    """)
    return


@app.cell
def _(challenger, clw, outcome, workspace):
    way = clw.trace(workspace, challenger) if outcome else None
    way
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## What to do next

    - Mail the report: `clw report RUN` writes one HTML file, without texts unless `--texts` is given.
    - Let every change of `clw.toml` or of the model pass these gates before it is merged: `docs/how-to/ci.md`.
    - Put the gates into words of your own: `[gates]` in `clw.toml`, see `docs/gates.md`.
    - Go on from what it lost: `02_explore_and_select` on that slice, then label and train again.
    """)
    return


if __name__ == "__main__":
    app.run()
