"""An engine that a session runs can be asked, and even used, from other threads."""

import threading

import pagedviz as pv


def test_audit_and_recording_see_whole_steps_while_a_session_runs(engine):
    with pv.Session(engine) as session:
        session.submit([1, 2, 3], max_tokens=300, n=2)
        session.start()
        recordings = []
        while session.status.state == "running":
            engine.audit()
            with pv.record(engine) as recording:
                engine.stats()
            recordings.append(recording.trace)
        assert session.status.state == "finished"
    for trace in recordings:
        trace.state_at(trace.last_step)


def test_generate_beside_a_session_gives_the_tokens_that_it_gives_alone(engine):
    prompt = [5, 6, 7, 8]
    alone = engine.generate(prompt, max_tokens=40, temperature=0)[0].outputs[0].token_ids
    with pv.Session(engine) as session:
        name = session.submit([1, 2, 3], max_tokens=400)
        session.start()
        beside = engine.generate(prompt, max_tokens=40, temperature=0)[0].outputs[0].token_ids
        session.run(60)
        assert session.outputs[name].finished
    assert beside == alone


def test_many_threads_generate_at_once(engine):
    results = {}

    def work(number):
        results[number] = engine.generate([number + 1] * 5, max_tokens=30, temperature=0)[0].outputs[0].token_ids

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    for number in range(4):
        assert (
            results[number]
            == engine.generate([number + 1] * 5, max_tokens=30, temperature=0)[0].outputs[0].token_ids
        )
