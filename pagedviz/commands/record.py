"""Generate from prompts and keep everything that happened to memory in a trace file."""

from __future__ import annotations

import argparse

from pagedviz.commands.options import add_engine_arguments, add_json_argument, make_engine, print_json, show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("prompt", nargs="+", help="a prompt; several run at the same time")
    parser.add_argument("--out", default="run.pvtrace", help="the trace file; a name in .gz is compressed")
    parser.add_argument("--max-tokens", type=int, default=64)
    parser.add_argument("--temperature", type=float, default=0.0)
    parser.add_argument("-n", type=int, default=1, help="samples per prompt")
    parser.add_argument("--seed", type=int, default=0)
    add_engine_arguments(parser)
    add_json_argument(parser)


def run(arguments: argparse.Namespace) -> None:
    """Generate, save, print."""
    from pagedviz.figures import memory_summary
    from pagedviz.trace import last_step_in_use, record

    engine = make_engine(arguments)
    with record(engine) as recording:
        outputs = engine.generate(
            arguments.prompt,
            max_tokens=arguments.max_tokens,
            temperature=arguments.temperature,
            n=arguments.n,
            seed=arguments.seed,
        )
    trace = recording.trace
    trace.save(arguments.out)
    if arguments.json:
        texts = [[sample.text for sample in output.outputs] for output in outputs]
        print_json({"trace": arguments.out, "steps": trace.num_steps, "events": trace.num_events, "texts": texts})
        return
    for output in outputs:
        for sample in output.outputs:
            show(output.prompt or "", sample.text, "\n", bold=1)
    show(memory_summary(trace.state_at(last_step_in_use(trace)), trace.info))
    show(f"{trace.num_events:,} events of {trace.num_steps:,} steps: {arguments.out}")
