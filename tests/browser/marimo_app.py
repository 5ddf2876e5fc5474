"""A marimo notebook that shows a live session and a saved trace; ``test_hosts.py`` opens it."""

import marimo

app = marimo.App()


@app.cell
def _():
    import marimo as mo
    from hosted import make, told

    import pagedviz as pv

    session = make()
    mo.plain_text(told(session, 7) + "\n" + told(session, 19))
    return mo, pv, session


@app.cell
def _(mo, pv, session):
    dashboard = mo.ui.anywidget(pv.Dashboard(session))
    dashboard  # noqa: B018 - marimo shows the last line of a cell
    return (dashboard,)


@app.cell
def _(dashboard, pv, session):
    trace = pv.Trace.from_bytes(session.trace.to_bytes())
    if dashboard:
        session.start()
    pv.Dashboard(trace)
    return


if __name__ == "__main__":
    app.run()
