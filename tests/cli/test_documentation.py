"""What the pages say is what the program takes, and the recipes run."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from functions.cli.invocation import UsageError
from functions.cli.parser import parse
from functions.gateway.json_text import Json
from functions.gateway.settings import Settings
from functions.local import start
from tests.cli.conftest import Local
from tests.patience import STUCK_SECONDS
from tests.started import measured

ROOT = Path(__file__).parents[2]
PYTHONS = {
    "langgraph": ROOT / ".cache" / "clients" / "bin" / "python",
    "openai-agents": ROOT / ".cache" / "clients_modern" / "bin" / "python",
}
"""The environments that `make clients` makes, by framework: each has the SDK that its framework takes."""
RECIPES = ROOT / "docs" / "recipes.md"


def _blocks(page: Path, language: str) -> list[str]:
    """The code blocks of a page, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def _commands(page: Path) -> list[list[str]]:
    """The words of every `postern` in a page's shell and console blocks, without comments, pipes and redirections."""
    lines = "\n".join(_blocks(page, "sh")).splitlines()
    shown = "\n".join(_blocks(page, "console")).splitlines()
    lines += [line.removeprefix("$ ") for line in shown if line.startswith("$ ")]
    found = [re.search(r"\$\((postern [^)]*)\)|^(postern [^|>]*)", line) for line in lines]
    return [shlex.split(match[1] or match[2], comments=True) for match in found if match]


@pytest.mark.parametrize("page", ["docs/cli.md", "docs/recipes.md", "docs/add-an-integration.md", "README.md"])
def test_every_command_on_a_page_is_one_that_the_program_takes(page: str) -> None:
    commands = _commands(ROOT / page)
    assert len(commands) >= 3
    for words in commands:
        try:
            parse(words[1:])
        except UsageError as error:
            pytest.fail(f"{page}: {shlex.join(words)}: {error}")


def test_the_recipe_without_mcp_answers_both_models_and_waits_out_a_rate_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)]

    def pause(seconds: int) -> None:
        now[0] += timedelta(seconds=seconds)
        pauses.append(seconds)

    pauses: list[int] = []
    environment = {"POSTERN_MEMORY_RATE_LIMIT_PER_MINUTE": "4"}
    with (
        tempfile.TemporaryDirectory() as state_dir,
        start(Settings(state_dir=state_dir), environment, clock=lambda: now[0]) as ready,
    ):
        monkeypatch.setenv("POSTERN_ENDPOINT", ready.base_url)
        monkeypatch.setenv("POSTERN_API_TOKEN", ready.api_token)
        monkeypatch.setenv("POSTERN_ACCOUNT", ready.account_id)
        recipe: dict[str, Any] = {}
        exec(_blocks(RECIPES, "python")[2], recipe)
        now[0] += timedelta(seconds=60)
        messages = [{"role": "user", "content": "I like window seats."}]
        added = {"messages": messages, "user_id": "u1", "infer": False}
        openai = _OpenAi(
            [("create_a_mem_0_memory", added), ("list_all_mem_0_memories", {"filters": {"user_id": "u1"}})]
        )
        assert recipe["ask_openai"](openai, "scripted", "remember", methods="create,list") == "done"
        assert [tool["function"]["name"] for tool in openai.tools][:2] == [
            "list_all_mem_0_memories",
            "create_a_mem_0_memory",
        ]
        [listed] = openai.results[-1]["result"]
        assert listed["memory"] == "I like window seats."
        by_id = [("get_single_mem_0_memory_by_id", {"id": listed["id"]}), ("mem_0_memories_search", {"query": "seats"})]
        anthropic = _Anthropic(by_id)
        assert recipe["ask_anthropic"](anthropic, "scripted", "recall") == "done"
        assert anthropic.results[0]["memory"] == "I like window seats."
        assert anthropic.results[1]["statusCode"] == 400
        assert "filters" in anthropic.results[1]["message"]
        for _ in range(4):
            recipe["call"]("list_all_mem_0_projects", {}, pause)
        assert pauses
        assert all(1 <= seconds <= 60 for seconds in pauses)
        recipe["postern"].close()


class _OpenAi:
    """Stands for openai.OpenAI(): calls the tools it was told to, then says "done"."""

    def __init__(self, calls: list[tuple[str, Json]]) -> None:
        self.chat = SimpleNamespace(completions=SimpleNamespace(create=self._create))
        self.tools: list[Json] = []
        self.results: list[Json] = []
        self._calls = calls

    def _create(self, *, model: str, messages: list[Any], tools: list[Json]) -> SimpleNamespace:
        self.tools = tools
        self.results = [
            json.loads(said["content"]) for said in messages if isinstance(said, dict) and "tool_call_id" in said
        ]
        made = None
        if len(self.results) < len(self._calls):
            name, arguments = self._calls[len(self.results)]
            function = SimpleNamespace(name=name, arguments=json.dumps(arguments))
            made = [SimpleNamespace(id="call_1", function=function)]
        message = SimpleNamespace(content=None if made else "done", tool_calls=made)
        return SimpleNamespace(choices=[SimpleNamespace(message=message)])


class _Anthropic:
    """Stands for anthropic.Anthropic(): the same."""

    def __init__(self, calls: list[tuple[str, Json]]) -> None:
        self.messages = SimpleNamespace(create=self._create)
        self.results: list[Json] = []
        self._calls = calls

    def _create(self, *, model: str, max_tokens: int, messages: list[Json], tools: list[Json]) -> SimpleNamespace:
        assert all(set(tool) == {"name", "description", "input_schema"} for tool in tools)
        answered = [block for said in messages if said["role"] == "user" for block in said["content"]]
        self.results = [json.loads(block["content"]) for block in answered if isinstance(block, dict)]
        if len(self.results) < len(self._calls):
            name, arguments = self._calls[len(self.results)]
            return SimpleNamespace(content=[SimpleNamespace(type="tool_use", id="use_1", name=name, input=arguments)])
        return SimpleNamespace(content=[SimpleNamespace(type="text", text="done")])


def test_the_recipe_for_a_ci_job_uses_a_server_of_its_own(local: Local, tmp_path: Path) -> None:
    [recipe] = [block for block in _blocks(RECIPES, "sh") if block.startswith("url=")]
    shell = shutil.which("bash")
    assert shell is not None
    program = f'postern() {{ "{sys.executable}" -m functions.cli "$@"; }}\nset -e\n{recipe}\necho "$url"\n'
    environment = {
        "PATH": os.environ["PATH"],
        "POSTERN_STATE_DIR": str(tmp_path),
        "POSTERN_ENDPOINT": local.ready.base_url,
        "POSTERN_API_TOKEN": local.ready.api_token,
        "PYTHONPATH": str(ROOT),
        **measured(),
    }
    done = subprocess.run(
        [shell, "-c", program], env=environment, capture_output=True, text=True, timeout=STUCK_SECONDS, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    url = done.stdout.splitlines()[-1]
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    assert httpx.post(url, json=ping, timeout=STUCK_SECONDS, trust_env=False, verify=False).status_code == 200
    assert '"results": []' in done.stdout


@pytest.mark.clients
@pytest.mark.parametrize(
    ("block", "model"),
    [
        (
            0,
            "from tests.frameworks.langgraph_agent import ScriptedChatModel as Chat, ScriptedModel\n"
            "model = Chat(script=ScriptedModel('right_to_be_forgotten'))",
        ),
        (
            1,
            "from tests.frameworks.openai_agent import ScriptedResponses\n"
            "model = ScriptedResponses('right_to_be_forgotten')",
        ),
    ],
    ids=["langgraph", "openai-agents"],
)
def test_the_recipe_for_a_framework_runs(local: Local, block: int, model: str, tmp_path: Path) -> None:
    python = PYTHONS["langgraph" if "langgraph" in model else "openai-agents"]
    assert python.exists(), "the third-party clients are not installed; run `make clients`"
    program = tmp_path / "recipe.py"
    ending = f"\n{model}\nprint('said:', asyncio.run(ask(model, 'forget')))\n"
    program.write_text(_blocks(RECIPES, "python")[block] + ending, encoding="utf-8")
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "POSTERN_MCP_URL": local.ready.mcp_url}
    done = subprocess.run(
        [str(python), str(program)], env=environment, capture_output=True, text=True, timeout=STUCK_SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "said: david.miller@example.com left ; every memory of 8472 is deleted." in done.stdout
