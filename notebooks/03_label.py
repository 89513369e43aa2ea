import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="What people say, and how far they agree")


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    # What people say, and how far they agree

    Candidates go to people, who accept, rate and correct answers in Argilla; what they say comes back as labels. Before
    a model learns from them: do these people mean the same by "right"? This notebook pushes, watches, pulls, and
    measures their agreement, with its uncertainty.

    **Reads** the workspace named below; where there is none, one is made with made-up traffic (synthetic: the desk, its
    customers and every answer are invented). **Writes** into that workspace: candidates, questions and labels, for
    another selection each time the notebook runs. It **needs** the annotators' server of the workspace and starts it
    where none runs: the first time on a machine it is installed, which takes about a minute. It stays when the notebook
    is closed, until `clw label stop`.

    Unless you say otherwise below, **simulated reviewers** answer: made-up people, one careful, one less so, one in
    haste. The server, their accounts and their way over its API are real; their judgement is drawn by chance.
    """)
    return


@app.cell
def _():
    WORKSPACE = "labelled"  # a folder; made where there is none
    SIMULATED = True  # False: people answer, and you run the cells below again when they have
    TEXTS = True  # whether cells show what customers and models wrote
    WIDTH = 0.3  # how wide an interval of agreement may be
    return SIMULATED, TEXTS, WIDTH, WORKSPACE


@app.cell
def _():
    import marimo as mo

    import clworkbench as clw
    from clworkbench.demo.labelled import open_labelled, right_answers
    from clworkbench.demo.reviewers import review
    from clworkbench.labels.adjudication import enough
    from clworkbench.loop.labels.agreement import decided

    return clw, decided, enough, mo, open_labelled, review, right_answers


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## Where annotators answer

    Argilla runs on this machine, for this workspace, without Docker. Open the address in a browser to see what
    annotators see. A team's own Argilla is used instead where `ARGILLA_API_URL` and `ARGILLA_API_KEY` name one.
    """)
    return


@app.cell
def _(WORKSPACE, clw, open_labelled):
    workspace = open_labelled(WORKSPACE)
    server = clw.annotators(workspace, start=True)
    server
    return server, workspace


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## What they are asked

    The question set stands in `clw.toml`: `[labels.ask.review]` asks to accept or reject an answer, to rate it, to say
    what the customer wants, and to correct the answer; what the model said is filled in. Each record goes to two people
    (`overlap`), every fourth one has an answer that is known (`gold`), unmarked. Pushing twice adds nothing, and a push
    can be undone.
    """)
    return


@app.cell
def _(TEXTS, clw, workspace):
    selection = clw.choose(workspace)
    clw.selected(workspace, texts=TEXTS)
    return (selection,)


@app.cell
def _(clw, selection, server, workspace):
    pushed = clw.push(workspace) if selection and server else None
    pushed
    return (pushed,)


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## They answer

    The simulation knows what each customer meant. A simulated reviewer judges by that, rightly as often as its
    reliability says; the hasty one often leaves what is filled in as it is.
    """)
    return


@app.cell
def _(SIMULATED, pushed, review, right_answers, workspace):
    reviewed = review(workspace, right_answers(workspace)) if SIMULATED and pushed else "people answer"
    reviewed
    return (reviewed,)


@app.cell
def _(clw, reviewed, workspace):
    progress = clw.annotators(workspace) if reviewed else None
    progress.plot()
    return (progress,)


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## What came back

    Submitted, draft and discarded answers are told apart; a changed answer replaces the old one, a withdrawn one
    withdraws its label. Pulling again adds nothing.
    """)
    return


@app.cell
def _(clw, progress, workspace):
    pulled = clw.pull(workspace) if progress else None
    pulled
    return (pulled,)


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## How far they agree

    Krippendorff's alpha is 1 where annotators always agree and 0 where they agree as if by chance. Each comes with its
    95 % interval and the number of records that two or more answered. An untouched suggestion cannot be told from
    agreement, so alpha is also shown without them. People appear by their keys, never by name.
    """)
    return


@app.cell
def _(TEXTS, clw, pulled, workspace):
    report = clw.agreement(workspace, texts=TEXTS) if pulled else None
    report
    return (report,)


@app.cell
def _(report):
    report.plot()
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    The dotted lines are Krippendorff's own customs: data of at least 0.8 count as reliable, from 0.667 on conclusions
    are tentative. Custom is all they are: what you need depends on what a wrong label costs you. A low alpha says that
    the question is unclear, or the guidelines, or that somebody answers without looking. The table against known
    answers tells which, and the disagreements are where to begin to talk.
    """)
    return


@app.cell
def _(report):
    report.talk()
    return


@app.cell
def _(report):
    report.plot_slices("answer")
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## Is that enough?

    The interval narrows with the square root of the number of records. Where it is narrow enough, more overlap buys
    nothing: ask one person a record, and spend the rest on new ones.
    """)
    return


@app.cell
def _(WIDTH, enough, report):
    enough(report, width=WIDTH)
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## What counts in the end

    Where annotators differ, what is known decides, then an expert that `clw.toml` names, then the majority. Ties are
    held back until somebody decides.
    """)
    return


@app.cell
def _(decided, pulled, workspace):
    verdict = decided(workspace) if pulled else None
    verdict
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## What to do next

    - Set `WORKSPACE` above to your own and `SIMULATED` to False, and give your annotators accounts:
      `clw label annotator NAME`. What they are asked stands in `[labels.ask]` of `clw.toml`: `docs/how-to/label.md`.
    - Talk about the disagreements, mend the guidelines, and push again.
    - Train on what was said: `clw build`, or `clw cycle`, which takes the labels in.
    - End the server with `clw label stop --workspace DIR`; what was answered stays.
    """)
    return


if __name__ == "__main__":
    app.run()
