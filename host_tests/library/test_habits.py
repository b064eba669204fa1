"""What people do who know the websockets package works here as well."""

import inspect
import pydoc

import microws
import pytest
from microws import aio
from websockets.sync.client import connect

from host_tests.library.endpoints import PROGRAMS
from host_tests.support.ports import free_port


def test_a_listener_is_iterated_until_it_is_closed(start, interpreter):
    port = free_port()
    program = start(interpreter.command(PROGRAMS / "habits.py", "blocking", port))
    program.wait_for("listening")
    for message in ("one", "end"):
        with connect(f"ws://127.0.0.1:{port}") as ws:
            ws.send(message)
    program.wait_for("over")
    assert program.wait() == 0
    assert program.lines == ["listening", "over"]


def test_a_server_is_awaited_or_entered_and_serves_for_ever(start, interpreter):
    program = start(interpreter.command(PROGRAMS / "habits.py", "asyncio", free_port()))
    assert program.wait() == 0, program.output
    said = program.output
    # The log of what was raised is asyncio's own; it names the mistake.
    assert "ZeroDivisionError: on purpose" in said
    wanted = [
        "True True",
        "True",
        "300",
        "False",
        "connection closed (1001)",
        "connection lost (1006)",
        "nobody listens",
        "serving",
        "connection closed (1011)",
        "200",
        "cancelled False",
        "echo",
    ]
    assert [line for line in program.lines if line in wanted] == wanted


def test_every_option_is_named_and_an_unknown_one_is_refused():
    for function, more in (
        (microws.connect, ()),
        (microws.listen, ()),
        (aio.connect, ()),
        (aio.serve, (print,)),
    ):
        parameters = inspect.signature(function).parameters.values()
        assert {p.kind for p in parameters} == {inspect.Parameter.POSITIONAL_OR_KEYWORD}
        assert all(p.annotation is not p.empty for p in parameters)
        with pytest.raises(TypeError, match=rf"^{function.__name__}.*max_sise"):
            function("ws://192.0.2.1/", *more, max_sise=5)


def test_help_shows_what_there_is():
    shown = pydoc.plain(pydoc.render_doc(microws))
    for name in microws.__all__:
        assert name in dir(microws)
        assert name in shown
    assert "max_size: 'int | None' = 65536" in shown
