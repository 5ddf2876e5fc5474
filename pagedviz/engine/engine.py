"""The engine as its users meet it: prompts in, texts out, and a subscription to everything that happens.

Checks what comes in and hands it to ``core``; how a step works is decided there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any, ClassVar

import torch

from pagedviz.chat import Messages, Template, conversations
from pagedviz.engine.audit import Auditor
from pagedviz.engine.config import EngineConfig
from pagedviz.engine.core import EngineCore
from pagedviz.engine.delivery import Delivery
from pagedviz.engine.facts import engine_info, engine_stats
from pagedviz.engine.forks import Turn
from pagedviz.engine.keywords import check_keywords
from pagedviz.engine.metrics import MetricsServer
from pagedviz.engine.outputs import RequestOutput
from pagedviz.engine.prompts import Prompt, Prompts, as_list, new_request
from pagedviz.engine.request import Request
from pagedviz.engine.request_ids import RequestIds
from pagedviz.engine.runner import Runner
from pagedviz.engine.sampling.defaults import defaults_of
from pagedviz.engine.sampling.sampler import Sampler
from pagedviz.engine.schedule.preview import FORETOLD, Preview, look_ahead
from pagedviz.errors import ConfigError, RequestError
from pagedviz.events import EventBus, Subscriber
from pagedviz.events.codec import EngineInfo
from pagedviz.memory import EvictionPolicy
from pagedviz.models import PagedModel, load
from pagedviz.models.devices import find_device, find_dtype
from pagedviz.trace.state import State
from pagedviz.values import whole


class Engine:
    """A causal transformers model that keeps its K and V in paged memory.

    Calls from several threads take turns, a step at a time. In a notebook let a ``pagedviz.Session`` run it.
    The model is only read: it can be used, trained, and given to other engines at the same time.

    Args:
        model: a transformers causal model, also compiled, a ``PeftModel`` or offloaded by accelerate.
        tokenizer: its tokenizer; without one, prompts are token ids and outputs have no text.
        options: see ``EngineConfig``.

    Raises:
        ConfigError: an option is unknown or out of range.
        ModelError: the model needs something that paged attention here lacks; the message names it.
        BackendUnavailable: the attention backend cannot run where the model is.
        SessionError: this process is a fork of one in which an engine was made; so do its methods then.

    Attributes:
        foretells: the kinds of events that ``preview`` tells before they happen.
    """

    foretells: ClassVar[tuple[str, ...]] = FORETOLD

    def __init__(self, model: Any, tokenizer: Any = None, **options: Any) -> None:
        check_keywords("Engine", options, [field.name for field in fields(EngineConfig)], ConfigError)
        self.config = EngineConfig(**options)
        self._turn = Turn()
        self.model = model
        self.tokenizer = tokenizer
        self._paged = PagedModel(model)
        self._bus = EventBus()
        runner = Runner(self._paged, self.config)
        sampler = Sampler(
            tokenizer, self._paged.spec.eos_token_ids, defaults_of(model, self._paged.spec.eos_token_ids)
        )
        self._core = EngineCore(runner, sampler, self.config, self._bus)
        self._auditor = Auditor(
            self.config.block_size,
            {"device": self.config.num_device_blocks, "host": self.config.num_host_blocks},
        )
        self._bus.subscribe(self._auditor)
        self._ids = RequestIds()
        self._delivery = Delivery(self._core, self._turn)

    @classmethod
    def from_pretrained(
        cls,
        name: str | os.PathLike[str],
        *,
        device: str | torch.device = "auto",
        dtype: str | torch.dtype = "auto",
        **options: Any,
    ) -> Engine:
        """Load a model and make its engine.

        Args:
            name: an alias (``smollm2-135m``), a Hugging Face id, a model folder or a .gguf file.
            device: ``"auto"`` takes an accelerator where there is one.
            dtype: a torch dtype or its name; ``"auto"`` is what the weights are stored in.
            options: see ``EngineConfig``.

        Raises:
            ModelError: there is no such model, or it cannot be loaded.
            ConfigError: an option is unknown or out of range.
        """
        valid = [*(field.name for field in fields(EngineConfig)), "device", "dtype"]
        check_keywords("Engine.from_pretrained", options, valid, ConfigError)
        EngineConfig(**options)  # a bad option is told before a model is loaded for it
        where = find_device(device)
        model, tokenizer = load(name, find_dtype(dtype))
        return cls(model.to(where), tokenizer, **options)

    # -- generating --------------------------------------------------------------------------------------------

    def generate(self, prompts: Prompts, params: Any = None, **sampling: Any) -> list[RequestOutput]:
        """Answer prompts, all at once, and return when the last one is finished.

        Args:
            prompts: a text, a list of token ids or a list of messages (see ``chat``), or a list of those.
            params: a ``SamplingParams`` for all, or a list with one for each.
            sampling: or its fields as keywords.

        Returns:
            One output per prompt, in their order.

        Raises:
            RequestError: a prompt or a parameter is at fault; then none of them was begun.
        """
        begun = self._begin(prompts, params, sampling)
        for _ in self._delivery.drive(begun):
            pass
        return [request.output() for request, _ in begun]

    def chat(
        self,
        messages: Messages | Sequence[Messages],
        params: Any = None,
        *,
        chat_template: str | None = None,
        add_generation_prompt: bool = True,
        continue_final_message: bool = False,
        chat_template_kwargs: Mapping[str, Any] | None = None,
        **sampling: Any,
    ) -> list[RequestOutput]:
        """Answer messages, put as the model was trained to read them: by its chat template.

            engine.chat([{"role": "user", "content": "Why is the sky blue?"}], max_tokens=64)

        Wherever else a prompt is taken, a list of messages is one too, put by the tokenizer's template.

        Args:
            messages: a list of messages, or a list of those.
            params: a ``SamplingParams`` for all, or a list with one for each.
            chat_template: a Jinja template instead of the tokenizer's.
            add_generation_prompt: end the prompt with the words that begin an answer.
            continue_final_message: let the model go on with the last message. Give ``add_generation_prompt=False``.
            chat_template_kwargs: what else the template asks for, such as ``{"enable_thinking": False}``.
            sampling: the fields of ``SamplingParams``, instead of ``params``.

        Returns:
            One output for each list of messages. ``prompt`` of it is the text that the template made.

        Raises:
            RequestError: there is no template, or messages or a parameter are at fault; then none was begun.
        """
        template = Template(chat_template, add_generation_prompt, continue_final_message, chat_template_kwargs)
        prompts = [template.prompt(self.tokenizer, item) for item in conversations(messages)]
        return self.generate(prompts, params, **sampling)

    def stream(self, prompts: Prompts, params: Any = None, **sampling: Any) -> Iterator[RequestOutput]:
        """Like ``generate``, but yields every request that got a token, after each step.

        The requests join the queue when the loop begins. A loop that is left early aborts what it began.
        """
        return self._delivery.drive(self._begin(prompts, params, sampling))

    def _begin(
        self, prompts: Prompts, params: Any, sampling: dict[str, Any]
    ) -> list[tuple[Request, tuple[str, ...]]]:
        prompts = as_list(prompts)
        many = list(params) if isinstance(params, (list, tuple)) else [params] * len(prompts)
        if len(many) != len(prompts):
            raise RequestError(f"{len(many)} sampling parameters for {len(prompts)} prompts: give one, or one each")
        with self._turn:
            return [self._request(prompt, own, sampling, None) for prompt, own in zip(prompts, many, strict=True)]

    # -- one step at a time ------------------------------------------------------------------------------------

    def add_request(
        self, prompt: Prompt, params: Any = None, *, request_id: str | None = None, **sampling: Any
    ) -> str:
        """Put a request in the queue; returns its id.

        Raises:
            RequestError: the prompt or a parameter is at fault, or the id is taken.
        """
        with self._turn:
            request, texts = self._request(prompt, params, sampling, request_id)
            self._core.add(request, texts)
        return request.id

    def step(self) -> list[RequestOutput]:
        """Run one step; returns the requests that got a token since the last call."""
        with self._turn:
            self._delivery.step()
            return self._delivery.take_all()

    def preview(self) -> Preview:
        """What the next step would do to memory: it is planned, and not taken.

        Changes nothing, but that the prefix cache of a model that was changed is given up, as a step does first.

        Raises:
            PolicyError: a policy raised, chose what it must not, or is a plug-in that cannot be copied.
        """
        with self._turn:
            if not self._core.requests:  # a policy that cannot be copied need not be told of: there is no decision
                return Preview(self._core.steps + 1)
            self._core.follow_model()
            return look_ahead(self._core, self.config)

    def has_unfinished_requests(self) -> bool:
        """True while ``step`` has something to return."""
        return bool(self._core.requests or self._delivery)

    def unfinished_request_ids(self) -> list[str]:
        """Ids of the requests that run or wait, in the order in which they came."""
        return list(self._core.requests)

    def abort(self, request_id: str) -> bool:
        """End a request and free its blocks; False if there is no such unfinished request."""
        with self._turn:
            request = self._core.requests.get(request_id)
            if request is not None:
                self._delivery.drop(request_id)
                self._core.abort([request])
        return request is not None

    def _request(
        self, prompt: Prompt, params: Any, sampling: dict[str, Any], request_id: str | None
    ) -> tuple[Request, tuple[str, ...]]:
        request, texts = new_request(
            prompt,
            params,
            sampling,
            request_id=self._ids.free(request_id),
            first_sequence=self._core.next_sequence,
            tokenizer=self.tokenizer,
            spec=self._paged.spec,
            config=self.config,
        )
        self._core.new_sequences(len(request.sequences))
        self._ids.take(request.id)
        return request, texts

    # -- watching ----------------------------------------------------------------------------------------------

    def subscribe(self, callback: Subscriber) -> Callable[[], None]:
        """Call ``callback(batch)`` with the events of each step, and of each call between two steps.

        Returns the function that ends the subscription.
        """
        return self._bus.subscribe(callback)

    def audit(self) -> None:
        """Prove that block tables, reference counts and the state rebuilt from the events are the same.

        Raises:
            AuditError: they are not: a defect in pagedviz.
        """
        with self._turn:
            self._auditor.check(self._core.requests.values(), self._core.manager)

    def snapshot(self) -> State:
        """What the events so far say about memory, without requests that have finished."""
        with self._turn:
            return self._auditor.state()

    def reset_prefix_cache(self) -> int:
        """Give up every cached block, in both tiers, and look at the model anew. Running requests keep theirs.

        A step does so by itself when it sees that weights, modules or adapters were changed. It does not see writes
        through ``parameter.data``, nor other attributes of modules: call this after them.

        Returns:
            how many cached blocks there were.

        Raises:
            ModelError: the engine cannot run what the model has become.
        """
        with self._turn:
            self._paged.renew()
            return self._core.reset_cache("it was asked for")

    def change_eviction(self, eviction: str | EvictionPolicy) -> None:
        """Let another policy decide from now on which cached device block goes first.

        Args:
            eviction: as the option of that name; the host tier keeps its policy.

        Raises:
            ConfigError: there is no such policy, the object lacks a method or has it with other arguments, or
                ``prefix_caching`` is off.
        """
        with self._turn:
            self._core.change_eviction(eviction)

    @property
    def next_seq(self) -> int:
        """Number of the next event."""
        return self._bus.next_seq

    @property
    def info(self) -> EngineInfo:
        """What a trace's header says of the engine."""
        return engine_info(self.model, self._core, self.config)

    def stats(self) -> dict[str, float]:
        """Counters and gauges, named as vLLM's or SGLang's metrics where they have one; see ``engine/metrics``."""
        with self._turn:
            return engine_stats(self._core, self._auditor.told)

    def serve_metrics(self, port: int = 0) -> MetricsServer:
        """Offer the numbers of ``stats`` to Prometheus, on this machine only, until the result is closed.

        Args:
            port: 0 takes a free one; ``url`` of the result says which.

        Raises:
            ConfigError: nothing can listen there.
        """
        port = whole("port", port, 0, 65535)
        try:
            return MetricsServer(self.stats, self.info.name, port)
        except OSError as error:
            raise ConfigError(f"port={port}: cannot listen there ({error.strerror})") from error

    def __repr__(self) -> str:
        """One line: the model and its pool."""
        info = self.info
        return f"Engine({info.model}, {info.num_device_blocks} blocks x {info.block_size} tokens, {info.attention})"
