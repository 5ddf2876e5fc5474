"""Generate from prompts and keep everything that happened to memory in a trace file."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from pagedviz.commands.options import (
    add_engine_arguments,
    add_json_argument,
    loading,
    make_engine,
    print_json,
    show,
    show_memory,
    warn,
)
from pagedviz.files import check_writable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pagedviz.engine import RequestOutput
    from pagedviz.trace import Trace

SAMPLES_TEMPERATURE = 0.8
"""For several samples of a prompt: at 0 they would all be the same text."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("prompt", nargs="+", help="a prompt; several run at the same time")
    parser.add_argument(
        "--chat", action="store_true", help="put each prompt as a user's message, by the model's chat template"
    )
    parser.add_argument(
        "--out", default="run.pvtrace", help="the trace file, packed with gzip; one that is there is replaced"
    )
    parser.add_argument("--max-tokens", type=int, default=64, help="tokens to generate per sample, at most")
    parser.add_argument(
        "--temperature",
        type=float,
        help=f"0 takes the likeliest token (default: 0, or {SAMPLES_TEMPERATURE} when -n is 2 or more)",
    )
    parser.add_argument("-n", type=int, default=1, help="samples per prompt")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same samples")
    add_engine_arguments(parser)
    add_json_argument(parser)


def run(arguments: argparse.Namespace) -> None:
    """Generate, save, print."""
    from pagedviz.trace import last_step_in_use, record

    check_writable(arguments.out, "trace")
    temperature = arguments.temperature
    if temperature is None:
        temperature = SAMPLES_TEMPERATURE if arguments.n > 1 else 0.0
    with loading():
        from pagedviz.engine import SamplingParams

        # A bad value is told before a model is loaded for it.
        params = SamplingParams(
            max_tokens=arguments.max_tokens, temperature=temperature, n=arguments.n, seed=arguments.seed
        )
        if params.n > 1 and params.greedy:
            warn(f"n={params.n} with temperature={temperature:g}: the samples of a prompt are all the same text")
        engine = make_engine(arguments)
    with record(engine) as recording:
        outputs = engine.generate([_as_asked(text, chat=arguments.chat) for text in arguments.prompt], params)
    trace = recording.trace
    trace.save(arguments.out)
    _tell_cut(trace, outputs, arguments.max_tokens)
    if arguments.json:
        texts = [[sample.text for sample in output.outputs] for output in outputs]
        print_json({"trace": arguments.out, "steps": trace.num_steps, "events": trace.num_events, "texts": texts})
        return
    between = "\n" if arguments.chat else ""  # an answer is no continuation of the question's last line
    for prompt, output in zip(arguments.prompt, outputs, strict=True):
        for sample in output.outputs:
            show(prompt + between, sample.text, "\n", bold=1)
    show_memory(trace.state_at(last_step_in_use(trace)), trace)
    show(f"{trace.num_events:,} events of {trace.num_steps:,} steps: {arguments.out}")


def _tell_cut(trace: Trace, outputs: Iterable[RequestOutput], asked: int) -> None:
    """Say which answers ended only because the pool holds no more, and what would give them room."""
    info = trace.info
    holds = info.num_device_blocks // len(info.groups or (None,)) * info.block_size
    requests = trace.state_at(trace.last_step).requests
    for output in outputs:
        request = requests[output.request_id]
        cut = request.max_tokens < asked and "length" in {sample.finish_reason for sample in output.outputs}
        # The last token that is drawn needs no slot.
        if cut and request.num_prompt + request.max_tokens > holds:
            warn(
                f"{request.name} ended after {request.max_tokens} of {asked} tokens: the pool holds {holds} in "
                f"all, and the prompt has {request.num_prompt}; raise --num-device-blocks"
            )


def _as_asked(text: str, *, chat: bool) -> str | list[dict[str, str]]:
    return [{"role": "user", "content": text}] if chat else text
