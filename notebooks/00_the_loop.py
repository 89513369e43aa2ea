import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="The loop, step by step")


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    # The loop, step by step

    A small language model answers a support desk's messages. One day a policy changes, and what was right is wrong
    now. This notebook walks through what the loop made of that: what came in, what was selected, what was learned,
    on what evidence it shipped, and where one customer's message went.

    **Reads** the workspace named below. **Writes** nothing, except where there is no workspace yet: then the demo is
    played into it, which takes about a quarter of an hour on two CPU cores (the same as `make demo`). Desk, customers
    and operators of the demo are simulated; the model and its answers are real. Your own workspace works as well.
    """)
    return


@app.cell
def _():
    WORKSPACE = "demo"  # a folder, or your own workspace
    SEED = 0  # of the demo, where it has to be played first
    TEXTS = True  # whether cells show what customers and models wrote
    return SEED, TEXTS, WORKSPACE


@app.cell
def _():
    import marimo as mo

    import clworkbench as clw
    from clworkbench.demo.opening import open_desk

    return clw, mo, open_desk


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## Where things stand

    A workspace is a folder: tables of signals, training sets, runs, suites and releases, and a catalog that knows
    what counts. `clw status` says the same in a terminal.
    """)
    return


@app.cell
def _(SEED, WORKSPACE, clw, open_desk):
    workspace = open_desk(WORKSPACE, seed=SEED)
    clw.status(workspace)
    return (workspace,)


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## What came in

    A *signal* is one answer of the model, with all that was said about it later: an operator's edit, a reopened
    ticket, a thumb. Its *outcome* is good, bad, or pending; only settled ones count, since young tickets have not had
    the time to go wrong.
    """)
    return


@app.cell
def _(clw, workspace):
    clw.look(workspace, by="week")
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## Where it went wrong

    The slice that the gates are about, day by day: the share of its settled signals with a good outcome, each with
    its Wilson interval and the number behind it, and underneath the slice's share of the traffic. A dotted line marks
    the first answer of a new release.
    """)
    return


@app.cell
def _(clw, workspace):
    target = workspace.settings.gates.target
    daily = clw.look(workspace, target, by="day")
    daily.plot()
    return (target,)


@app.cell
def _(clw, target, workspace):
    clw.look(workspace, target, by="week")
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## What was selected, and why

    Nobody reads all signals. Candidates are those that deserve a person's attention: failures, answers that somebody
    overrode, answers that the model was not sure of, and a random share, so that what nobody suspects is seen too.
    Every candidate carries its reasons.
    """)
    return


@app.cell
def _(TEXTS, clw, workspace):
    clw.selected(workspace, texts=TEXTS)
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## What was learned

    Each turn of the loop builds a training set, trains a challenger from the model that serves, and holds the two
    against each other.
    """)
    return


@app.cell
def _(clw, workspace):
    turns = clw.turns(workspace)
    turns
    return (turns,)


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    Here is the training set of the turn that shipped (of the last one, where none did), from all signals down to its
    rows. Corrections teach the better answer and accepted answers what to keep. The same text is learned once, what
    stands in a suite never, and of what the champion has learned before only as much is replayed as keeps it from
    forgetting.
    """)
    return


@app.cell
def _(turns):
    turns.focus.waterfall
    return


@app.cell
def _(turns):
    turns.focus.waterfall.plot()
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    And the losses of all runs, step by step. A falling loss says that a run learned what it was shown, not that this
    was worth learning: that is the gate's question.
    """)
    return


@app.cell
def _(clw, workspace):
    clw.losses(workspace).plot()
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## What the gate said

    Champion and challenger answer the same frozen suite, which no model ever trained on; scores are paired by
    example. *Required* gates must be met for a release, *guards* can only block it. Each states its n, its interval,
    and the smallest difference that so many examples could have shown.
    """)
    return


@app.cell
def _(turns):
    turns.focus.report
    return


@app.cell
def _(turns):
    turns.focus.report.plot()
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    And the gate of the last turn. In the demo this is a challenger that learned from a spoiled reviewers' sheet, and
    nobody should ship it.
    """)
    return


@app.cell
def _(turns):
    turns.all[-1].report
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## What shipped

    A release carries its card: what it is, what it learned, on what evidence it shipped, and what nobody knows. Where
    nothing shipped, there is none.
    """)
    return


@app.cell
def _(turns):
    turns.focus.card
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## One signal's way into the release

    Every id leads back to the file in which production reported it, and on to the releases that learned from it.
    """)
    return


@app.cell
def _(TEXTS, clw, turns, workspace):
    clw.lesson(workspace, turns.focus, texts=TEXTS)
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## What to do next

    - Set `WORKSPACE` above to a workspace of your own: `clw init DIR`, declare your sources in its `clw.toml`, then
      `clw cycle` goes as far as it can without a person, and says what it waits for.
    - Ask what your suites could show before you train anything: `clw gate --plan`.
    - Follow any id, both ways: `clw lineage ID`.
    - Keep this page as a record that others can run again: `clw record notebooks/00_the_loop.py --workspace DIR`.
    """)
    return


if __name__ == "__main__":
    app.run()
