"""Prompts that share beginnings, engines driven to their end with audits, and what transformers finds."""

import torch

SIZE = 4
COUNT = 12
TIE = 1e-4
GREEDY = {"temperature": 0.0, "max_tokens": COUNT, "ignore_eos": True}
SYSTEM = [5, 17, 101, 3, 77, 42, 9, 150, 33, 8, 61, 12, 90, 4]
PROMPTS = [
    (*SYSTEM, 20, 21, 22),
    (7, 9),
    (*SYSTEM, 20, 99),
    tuple(range(30, 55)),
    (*SYSTEM, 20, 21, 22),
    tuple(range(30, 46)),
    SYSTEM[:13],
    (64, 65, 66, 67, 68),
]
"""Some share a beginning, one comes twice."""


def of(events, kind):
    return [event for event in events if isinstance(event, kind)]


def drive(engine, ids, most=2000, call=None):
    """Step until these are done, with an audit after every step; their outputs, and how many steps it took.

    ``call`` is called before every step with the number of steps so far.
    """
    last, steps = {}, 0
    while engine.has_unfinished_requests():
        if call is not None:
            call(steps)
        for output in engine.step():
            last[output.request_id] = output
        engine.audit()
        steps += 1
        assert steps < most, "they never finish"
    return [last[name] for name in ids], steps


def run(engine, prompt, count=1, **params):
    """One request to its end; its tokens."""
    name = engine.add_request(list(prompt), **{**GREEDY, "max_tokens": count, **params})
    return list(drive(engine, [name])[0][0].outputs[0].token_ids)


def same(found, model, prompt, reference):
    """Equal to what transformers generates, or until two tokens were equally likely."""
    expected, leads = reference(model, list(prompt), len(found))
    for own, other, lead in zip(found, expected, leads, strict=True):
        if own != other:
            return lead <= TIE
    return True


def beams_of_transformers(model, prompt, *, width, max_tokens, eos=(), **options):
    """Tokens, scores and beam indices of the beams that transformers finds, best first."""
    ids = torch.tensor([prompt])
    with torch.inference_mode():
        out = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            num_beams=width,
            num_return_sequences=width,
            max_new_tokens=max_tokens,
            do_sample=False,
            eos_token_id=list(eos) or None,
            pad_token_id=0,
            output_scores=True,
            return_dict_in_generate=True,
            **options,
        )
    paths = [tuple(at for at in row if at >= 0) for row in out.beam_indices.tolist()]
    tokens = [
        tuple(row[: len(path)]) for row, path in zip(out.sequences[:, len(prompt) :].tolist(), paths, strict=True)
    ]
    return tokens, out.sequences_scores.tolist(), paths


def contents(outputs):
    """What a caller sees of each sample."""
    return [[(sample.token_ids, sample.text, sample.finish_reason) for sample in o.outputs] for o in outputs]
