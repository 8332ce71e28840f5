"""Talks to a board as MCP clients do, by the official SDK: sessions.py COMMAND ARGUMENTS...

The command is the bridge. The board holds a small model. Ends with status 0 and "all sessions: ok" if everything is as it must be.
"""

import base64
import json
import subprocess
import sys
import time
import warnings
from contextlib import contextmanager

import anyio
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp.shared.exceptions import MCPDeprecationWarning, MCPError

MODERN = "2026-07-28"
LEGACY = "2025-11-25"
TOOLS = ["generate", "chat", "tokenize", "detokenize", "score", "benchmark", "system_status", "models"]
RESOURCES = {
    "pi://model/card": "llama family",
    "pi://model/tensors": "blk.0.ffn_gate.weight",
    "pi://memory/map": "arena",
    "pi://boot/log": "MIDR",
    "pi://log": "mcp: a client",
    "pi://faults": "no faults",
    "pi://metrics": "kernel_heap_peak_bytes",
}
DEVICE_TREE = "pi://dtb"
PROMPTS = {"chat_template", "summarise", "rewrite", "extract"}
# Longer than any test waits for it.
ENDLESS = {"prompt": "Once", "max_tokens": 60000, "deadline_ms": 600000}
PATIENCE_S = 240

# Older revisions have ping; it is used only there.
warnings.simplefilter("ignore", MCPDeprecationWarning)


@contextmanager
def step(name):
    start = time.monotonic()
    print(f"  {name} ...", end=" ", flush=True)
    yield
    print(f"ok, {time.monotonic() - start:.1f} s", flush=True)


def client(mode, **options):
    bridge = StdioServerParameters(command=sys.argv[1], args=sys.argv[2:])
    return Client(bridge, mode=mode, read_timeout_seconds=PATIENCE_S, **options)


async def structured(session, tool, arguments, **options):
    result = await session.call_tool(tool, arguments, **options)
    assert not result.is_error, result.content
    return result.structured_content


async def wait_until_ready(session):
    """The model may still be on its way into memory."""
    with anyio.fail_after(PATIENCE_S):
        while (await structured(session, "system_status", {}))["engine"] != "ready":
            await anyio.sleep(1)


async def check_lists(session):
    assert [tool.name for tool in (await session.list_tools()).tools] == TOOLS
    assert {*RESOURCES, DEVICE_TREE} == {str(resource.uri) for resource in (await session.list_resources()).resources}
    templates = await session.list_resource_templates()
    assert [template.uri_template for template in templates.resource_templates] == ["pi://memory/{region}"]
    assert {prompt.name for prompt in (await session.list_prompts()).prompts} == PROMPTS


async def check_streaming(session):
    progress = []

    async def note(done, total, message):
        progress.append((done, total, message))

    arguments = {"prompt": "Once upon a time", "max_tokens": 24, "deadline_ms": 0}
    result = await structured(session, "generate", arguments, progress_callback=note)
    assert result["generated_tokens"] > 0 and not result["truncated"], result
    assert result["stop_reason"] in ("max_tokens", "end"), result
    counts = [done for done, _, _ in progress]
    assert counts == sorted(set(counts)) and counts, counts
    streamed = "".join(message for done, _, message in progress if message and done > 0)
    assert streamed and result["text"].startswith(streamed), (progress, result["text"])
    again = await structured(session, "generate", arguments)
    assert again["text"] == result["text"], (again, result)
    progress.clear()
    # Longer than a chunk of the prompt: the parts are told, with what is still to come.
    arguments = {"prompt": "the other day " * 60, "max_tokens": 1, "deadline_ms": 0}
    await structured(session, "generate", arguments, progress_callback=note)
    before = [(done, total) for done, total, message in progress if not message]
    assert before and all(total and done < total for done, total in before), progress
    answer = await structured(session, "chat", {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4, "deadline_ms": 0})
    assert answer["generated_tokens"] <= 4


async def check_tokens(session):
    tokens = await structured(session, "tokenize", {"text": "Hello \"there\"\n"})
    assert tokens["count"] == len(tokens["tokens"]) > 0
    text = await structured(session, "detokenize", {"tokens": tokens["tokens"]})
    assert "Hello \"there\"\n" in text["text"], text
    score = await structured(session, "score", {"prompt": "Hello", "steps": 2, "top": 3, "deadline_ms": 0})
    assert [len(entry["top"]) for entry in score["steps"]] == [3, 3], score


async def check_errors(session):
    refused = await session.call_tool("generate", {"prompt": 5})
    assert refused.is_error
    for attempt in [session.call_tool("no_such_tool", {}), session.read_resource("pi://nothing"), session.get_prompt("nothing")]:
        try:
            await attempt
        except MCPError:
            continue
        raise AssertionError("no error")


async def check_cancel(session):
    started = anyio.Event()

    async def note(_done, _total, _message):
        started.set()

    async with anyio.create_task_group() as group:
        group.start_soon(lambda: session.call_tool("generate", ENDLESS, progress_callback=note))
        await started.wait()
        # Answered while the generation runs.
        status = await structured(session, "system_status", {})
        assert status["open_calls"] == 2, status
        await check_lists(session)
        for uri in RESOURCES:
            await session.read_resource(uri)
        group.cancel_scope.cancel()
    with anyio.fail_after(60):
        while (await structured(session, "system_status", {}))["open_calls"] != 1:
            await anyio.sleep(0.2)


async def check_resources_and_prompts(session):
    for uri, expected in RESOURCES.items():
        contents = (await session.read_resource(uri)).contents
        assert len(contents) == 1 and expected in contents[0].text, (uri, contents)
    assert "blk.0.ffn_gate.weight" not in (await session.read_resource("pi://model/card")).contents[0].text
    tree = base64.b64decode((await session.read_resource(DEVICE_TREE)).contents[0].blob)
    assert tree[:4] == b"\xd0\x0d\xfe\xed" and len(tree) == int.from_bytes(tree[4:8]), tree[:16]
    models = await structured(session, "models", {"action": "list"})
    assert [model["is_loaded"] for model in models["models"]] == [True], models
    region = (await session.read_resource("pi://memory/model")).contents[0].text
    assert region, "the region of the model"
    prompt = await session.get_prompt("summarise", {"text": "A long \"story\".", "length": "one sentence"})
    assert "A long \"story\"." in prompt.messages[0].content.text
    template = await session.get_prompt("chat_template", {"message": "What is this?"})
    assert "What is this?" in template.messages[0].content.text


async def check_logging(session, logged):
    """Older revisions get the log as it is written, once they ask for it."""
    logged.clear()
    await session.set_logging_level("warning")
    refused = await session.call_tool("generate", {"prompt": "x " * 4000})
    assert refused.is_error, refused
    with anyio.fail_after(60):
        while not any(entry.level == "warning" and "request refused" in entry.data for entry in logged):
            await anyio.sleep(0.1)
    assert all(entry.level in ("warning", "error") for entry in logged), logged


async def session_of(mode, version):
    print(f"session: {mode}", flush=True)
    logged = []

    async def log(entry):
        logged.append(entry)

    with step("connect"):
        connection = client(mode, logging_callback=log)
        await connection.__aenter__()
    try:
        assert connection.protocol_version == version, connection.protocol_version
        for check in [
            wait_until_ready,
            check_lists,
            check_streaming,
            check_tokens,
            check_errors,
            check_cancel,
            check_resources_and_prompts,
        ]:
            with step(check.__name__):
                await check(connection)
        if version != MODERN:
            with step("ping"):
                await connection.send_ping()
            with step("check_logging"):
                await check_logging(connection, logged)
    finally:
        with step("close"):
            await connection.__aexit__(None, None, None)


def request(number, method, params):
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}).encode() + b"\n"


def killed_host():
    """A host that goes away without a word while the board generates for it."""
    host = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    information = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "killed", "version": "0"}}
    host.stdin.write(request(1, "initialize", information))
    host.stdin.write(json.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"}).encode() + b"\n")
    host.stdin.write(request(2, "tools/call", {"name": "generate", "arguments": ENDLESS, "_meta": {"progressToken": 2}}))
    host.stdin.flush()
    while b"notifications/progress" not in (line := host.stdout.readline()):
        assert line, "the bridge ended"
        answer = json.loads(line)
        assert "result" in answer or "method" in answer, answer
    host.kill()
    host.wait()


async def after_killed_host():
    async with client("auto") as session:
        with anyio.fail_after(60):
            while (await structured(session, "system_status", {}))["open_calls"] != 1:
                await anyio.sleep(0.2)
        await check_streaming(session)


async def main():
    for mode, version in [("legacy", LEGACY), ("auto", MODERN), (MODERN, MODERN)]:
        await session_of(mode, version)
    print("a host that is killed", flush=True)
    with step("kill in mid-call"):
        killed_host()
    with step("the next host"):
        await after_killed_host()
    print("all sessions: ok")


anyio.run(main)
