import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="From exports to one table")


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    # From exports to one table

    Traces stand in one tool, chat logs in another, what users said in a third, and each calls the same thing by
    another name. This notebook drops a folder of such exports into a workspace and looks at what became of every
    record: what is new, what was known, what was left out and why, and what the export itself had lost.

    **Reads** the folder of exports named below; where none is named, made-up ones that come with the package
    (synthetic: the shop, its visitors and its model do not exist). **Writes** into the workspace named below, which
    is made where there is none. It takes seconds, and running it again adds nothing.
    """)
    return


@app.cell
def _():
    WORKSPACE = "exports"  # a folder; made where there is none
    FOLDER = ""  # your own exports; the made-up ones when empty
    LATER = ""  # what was said about them later, where that is a file of its own
    return FOLDER, LATER, WORKSPACE


@app.cell
def _():
    import marimo as mo

    import clworkbench as clw
    from clworkbench.demo.exports import exports, open_exports

    return clw, exports, mo, open_exports


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## What is there, and what became of it

    Nobody says what a file is: its first records show the format, and the report says by what. Every record ends as
    one of four: *new*, *known*, *skipped* (left out on purpose, with the reason) or *quarantined* (it could not be
    read; place and reason are kept, never its bytes). The four add up. E-mail addresses and the like are replaced
    before anything is written.
    """)
    return


@app.cell
def _(FOLDER, LATER, WORKSPACE, clw, exports, open_exports):
    given = exports(FOLDER, LATER)
    workspace = open_exports(WORKSPACE, given)
    report = clw.ingest(workspace, given.traffic)
    report
    return given, report, workspace


@app.cell
def _(report):
    report.plot()
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    The report's last table is each file's *fidelity*: what could not be carried over in full, because the source had
    cut it (metadata at 200 characters), never had it (an answer without its question), or because it had to be guessed
    (a price of 0 where there were tokens is rarely a price). None of this is an error, and all of it is worth knowing
    before a model learns from it.

    ## One table for all of them

    Model calls, tool calls, agent steps and retrievals are rows of one table, each with its parent, whichever tool
    reported them.
    """)
    return


@app.cell
def _(workspace):
    rows = workspace.read("interactions")
    rows.group_by("source", "operation").len("rows").sort("source", "operation")
    return (rows,)


@app.cell
def _(rows):
    rows.select("source", "operation", "conversation_id", "model", "started_at", "n_input_tokens", "cost_usd", "error")
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## The same files again

    A file is known by its content, and not even parsed a second time. Of one that has grown only what is new is read.
    """)
    return


@app.cell
def _(clw, given, report, workspace):
    again = clw.ingest(workspace, given.traffic) if report else None
    again
    return (again,)


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## What visitors said days later

    Thumbs come when they come: late, twice, or before the answer that they are about. They join it all the same. What
    was known at a moment can be asked for, and a training set built *as of* that moment sees no more than that. Below,
    the model's answers as known on 4 March, and four days later.
    """)
    return


@app.cell
def _(again, clw, given, workspace):
    later = clw.ingest(workspace, given.later, given.source_of_later) if again else None
    later
    return (later,)


@app.cell
def _(later, workspace):
    said = ["source", "text", "answer", "feedback_names", "improvement_text", "outcome"] if later else []
    workspace.signals(as_of="2026-03-04", event_time=True).select(said)
    return (said,)


@app.cell
def _(said, workspace):
    workspace.signals(as_of="2026-03-08", event_time=True).select(said)
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## A table of your own

    For a table of your own there is no format. A mapping says which column is which field, and a first one is guessed
    from names and values, with what speaks for each line.
    """)
    return


@app.cell
def _(clw, given):
    clw.draft_mapping(given.table)
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## What to do next

    - Set `FOLDER` above to a folder of your own exports. `clw ingest FOLDER` does the same in a terminal, and
      `--dry-run` shows the first records without writing anything.
    - Put the drafted mapping into `clw.toml` of the workspace, mend it, and ingest the table under its name.
    - Point an OpenTelemetry exporter at `clw capture`, and traces come in by themselves: `docs/how-to/capture-live.md`.
    - Look at what came in: `notebooks/00_the_loop.py` with `WORKSPACE` set to this one.
    """)
    return


if __name__ == "__main__":
    app.run()
