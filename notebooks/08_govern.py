import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="What may be learned, and the proof of it")


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    # What may be learned, and the proof of it

    Not everything that production says should become training data, and whoever trains on it must be able to show what
    did. This notebook looks at one policy: what it keeps out and why, how well redaction works on these very texts, and
    what happens when a customer asks to be forgotten.

    **Reads** the workspace named below; where there is none, one is made with made-up traffic (synthetic: the desk, its
    customers and every answer are invented). **Writes** into that workspace: a training set, and a customer is
    forgotten for good, another one each time the notebook runs. It takes under a minute.
    """)
    return


@app.cell
def _():
    WORKSPACE = "governed"  # a folder; made where there is none
    PLANTED = 200  # texts into which values are planted, to measure redaction
    return PLANTED, WORKSPACE


@app.cell
def _():
    import marimo as mo

    import clworkbench as clw
    from clworkbench.demo.governed import open_governed, somebody

    return clw, mo, open_governed, somebody


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## The policy, before it acts

    The policy stands in `clw.toml`, and its hash in every artefact. Each rule says how many signals it holds in by
    itself (*alone*), and how many it *takes* from a training set built now, after the rules before it. Customers who
    gave no consent, the desk's own staff, contracts, a sample of one region, a dozen strangers who agree within
    minutes, answers that give orders to a model: each has its line.
    """)
    return


@app.cell
def _(WORKSPACE, clw, open_governed):
    workspace = open_governed(WORKSPACE)
    policy = clw.explain_policy(workspace)
    policy
    return policy, workspace


@app.cell
def _(policy):
    policy.plot()
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## How well redaction works on these texts

    E-mail addresses, phone numbers, cards, keys and the like are replaced before anything is written, and what leaves
    for annotators and training is looked at again. How much is missed? Invented values are planted into the workspace's
    own texts, in many spellings, and it is counted which are found. Where none of *n* is missed, at most 3/*n* of such
    values are missed in truth (95 %): the rule of three.
    """)
    return


@app.cell
def _(PLANTED, clw, workspace):
    measured = clw.measure_redaction(workspace, PLANTED)
    measured
    return (measured,)


@app.cell
def _(measured):
    measured.plot()
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## What was learned, proved

    A training set is built under the policy, and then audited: every rule is derived again from the set itself, not
    from what the build said of it. One byte changed in the set or in its manifest would be found.
    """)
    return


@app.cell
def _(clw, measured, workspace):
    built = clw.build(workspace) if measured else None
    built
    return (built,)


@app.cell
def _(built, clw, workspace):
    clw.audited(workspace, built.id)
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## A customer asks to be forgotten

    First what it would mean: rows, the artefacts made of them, and every run and release that learned from them.
    """)
    return


@app.cell
def _(built, clw, somebody, workspace):
    customer = somebody(workspace, built.built.frame)
    planned = clw.plan_forget(workspace, user=customer)
    planned
    return customer, planned


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    Then the deed. Rows leave every table and file, physically; the training set is made again without them; what was
    forgotten stays out, whatever export is read again. The certificate holds counts and hashes, nothing personal, and
    is chained to the one before it.
    """)
    return


@app.cell
def _(clw, customer, planned, workspace):
    forgotten = clw.forget(workspace, user=customer) if planned else None
    forgotten
    return (forgotten,)


@app.cell
def _(clw, forgotten, workspace):
    clw.audited(workspace, forgotten.certificate)
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## What it may cost

    Budgets are limits by month and kind of work. Training, evaluation and labelling stop where nothing is left.
    """)
    return


@app.cell
def _(clw, forgotten, workspace):
    budget = clw.spent(workspace) if forgotten else None
    budget
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## What to do next

    - Write the rules of your own workspace into `[policy]` of its `clw.toml`; `clw policy` shows what they would do,
      and `clw policy --measure 2000` how well redaction works on your texts. `docs/privacy.md` has every key.
    - `clw audit NAME` proves a training set, a run or a release; `clw audit certificates/0001.json` a certificate,
      also offline, by somebody who has nothing but the certificates.
    - `clw forget --user NAME --dry-run`, then without `--dry-run`: `docs/how-to/forget.md`.
    """)
    return


if __name__ == "__main__":
    app.run()
