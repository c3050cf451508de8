"""vLLM in the replica: its asynchronous engine with its own OpenAI serving classes on top.

The engine's core runs in a process of its own that vLLM starts and ends; scheduling, sampling,
parallelism and caching are vLLM's. Chat templates, tools, log-probabilities and response formats
are those of its server, because its serving classes answer.
"""

from __future__ import annotations

from argparse import Namespace
from typing import Any, NoReturn

from boute.deployments.engines.arguments import command_line, vllm_arguments
from boute.deployments.engines.base import EngineError
from boute.deployments.engines.settings import EngineSettings
from boute.deployments.engines.vllm_api import HandlersEngine, VLLMHandlers, warm_up
from boute.errors import PlanError

__all__ = ["VLLMEngine", "parse_arguments"]


class VLLMEngine(HandlersEngine):
    """One AsyncLLM and what answers in front of it."""

    who = "vLLM"

    def __init__(self, settings: EngineSettings) -> None:
        super().__init__(settings)
        self._engine: Any = None

    async def start(self) -> None:
        """Load the model, which blocks the event loop, and answer a first request.

        Raise PlanError for arguments that vLLM refuses, EngineError where it does not come up.
        """
        self._set_environment()
        args = parse_arguments(self._settings)
        self._engine = _engine(self._settings, args)
        self._handlers = await _handlers(self._engine, args)
        await warm_up(self, self._settings.model)

    async def check(self) -> None:
        """Raise EngineError unless the core is alive."""
        from vllm.v1.engine.exceptions import EngineDeadError

        if self._engine is None:
            raise EngineError("vLLM is not running")
        try:
            await self._engine.check_health()
        except EngineDeadError as error:
            raise EngineError(f"vLLM is dead: {error}") from error

    def unfinished(self) -> int:
        """Sequences that vLLM is working on or has queued."""
        return 0 if self._engine is None else int(self._engine.get_num_unfinished_requests())

    async def stop(self) -> None:
        """End the core and its workers."""
        engine, self._engine, self._handlers = self._engine, None, None
        if engine is not None:
            engine.shutdown()


def parse_arguments(settings: EngineSettings) -> Namespace:
    """The settings through the parser of vLLM's server; raise PlanError for what it refuses."""
    from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    def refuse(message: str) -> NoReturn:
        raise _refused(settings, message)

    parser = make_arg_parser(FlexibleArgumentParser())
    parser.error = refuse
    args = parser.parse_args(command_line(vllm_arguments(settings)))
    try:
        validate_parsed_serve_args(args)
    except (TypeError, ValueError) as error:
        raise _refused(settings, str(error)) from error
    assert isinstance(args, Namespace)
    return args


def _engine(settings: EngineSettings, args: Namespace) -> Any:
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.usage.usage_lib import UsageContext
    from vllm.v1.engine.async_llm import AsyncLLM

    try:
        return AsyncLLM.from_engine_args(
            AsyncEngineArgs.from_cli_args(args), usage_context=UsageContext.OPENAI_API_SERVER
        )
    except (TypeError, ValueError) as error:
        raise _refused(settings, str(error)) from error
    except (OSError, RuntimeError) as error:
        raise EngineError(f"vLLM does not start: {error}") from error


async def _handlers(engine: Any, args: Namespace) -> VLLMHandlers:
    from starlette.datastructures import State
    from vllm.entrypoints.launchers.api_server.app_state import init_app_state
    from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
    from vllm.entrypoints.openai.completion.protocol import CompletionRequest
    from vllm.reasoning import ReasoningParserManager
    from vllm.tool_parsers import ToolParserManager

    if args.tool_parser_plugin:
        ToolParserManager.import_tool_parser(args.tool_parser_plugin)
    if args.reasoning_parser_plugin:
        ReasoningParserManager.import_reasoning_parser(args.reasoning_parser_plugin)
    state = State()
    await init_app_state(engine, state, args, await engine.get_supported_tasks())
    chat, completion = state.openai_serving_chat, state.openai_serving_completion
    return VLLMHandlers(
        VLLMEngine.who,
        {
            "/v1/chat/completions": (ChatCompletionRequest, chat.create_chat_completion),
            "/v1/completions": (CompletionRequest, completion.create_completion),
        },
    )


def _refused(settings: EngineSettings, message: str) -> PlanError:
    return PlanError(
        f"vLLM does not take its arguments: {message}",
        where=f"models.{settings.model}.served_by.args",
        mend="see `python -m vllm.entrypoints.openai.api_server --help`",
    )
