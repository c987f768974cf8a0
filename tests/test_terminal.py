"""Commands on a terminal: Ctrl-C, and characters that it lacks."""

import os
import signal
import subprocess
import sys

import pytest
from builders import write_records
from commands import module, run, started, wait_until
from translations import write_translations

from data_prep import __main__ as data_prep
from mt_ls import terminal

ASCII = {**os.environ, "PYTHONIOENCODING": "ascii"}
"""The variables of a terminal without UTF-8."""
C_LOCALE = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
"""The variables of a process for which names of files and text are ASCII, too."""


def _interrupted(arguments, log, event, **options):
    """(Status, lines of output) of a command that Ctrl-C ends after an event."""
    with started(arguments, log, **options) as process:
        wait_until(event, process, log=log)
        process.send_signal(signal.SIGINT)
        return process.wait(60), log.read_text().splitlines()


def test_ctrl_c_is_one_line_in_any_module(tmp_path):
    """While modules are imported, too: the hook needs no more than its own."""
    code = "from mt_ls.terminal import prepare; prepare('cmd'); print('ready', flush=True); import time; time.sleep(60)"
    log = tmp_path / "log"
    status, lines = _interrupted([sys.executable, "-c", code], log, lambda: "ready" in log.read_text())
    assert status == terminal.INTERRUPTED == 130 and lines == ["ready", "cmd: interrupted: the same command goes on"]


def test_of_several_workers_the_first_one_says_it(monkeypatch, capsys):
    monkeypatch.setenv("RANK", "1")
    assert terminal.interrupted("cmd") == 130 and not capsys.readouterr().err
    monkeypatch.setenv("RANK", "0")
    assert terminal.interrupted("cmd") == 130 and capsys.readouterr().err


def test_other_errors_keep_their_traceback():
    process = run([sys.executable, "-c", "from mt_ls.terminal import prepare; prepare('cmd'); 1 / 0"])
    assert process.returncode == 1 and "ZeroDivisionError" in process.stderr and "Traceback" in process.stderr


@pytest.mark.parametrize("buffered", [True, False])
def test_output_that_is_not_read_is_no_error(buffered):
    """As that of a command before ``| head``. What is buffered is printed when the process ends."""
    code = "from mt_ls.terminal import prepare; prepare('cmd'); input(); print('a line')"
    flags = [] if buffered else ["-u"]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(
        [sys.executable, *flags, "-c", code], env={**os.environ, "PYTHONUNBUFFERED": ""}, **pipes
    ) as p:
        p.stdout.close()
        p.stdin.write(b"\n")
        p.stdin.close()
        assert p.stderr.read() == b"" and p.wait(60) == (0 if buffered else terminal.UNREAD)


def test_a_measurement_that_is_interrupted_is_one_line(data, checkpoint, tmp_path):
    """In the middle of its forced pass, after which no half-written file is left."""
    records, log = tmp_path / "out" / "records.jsonl", tmp_path / "log"
    arguments = module("mt_ls.measure", data, "--path", checkpoint, "--records", records, "--cpu", "--batch-size", 1)
    fitted = records.with_name("fitted_temperature.json")
    status, lines = _interrupted(arguments, log, fitted.exists)
    assert status == 130 and lines[-1] == "mt_ls.measure: interrupted: the same command goes on"
    assert not [line for line in lines if "Traceback" in line]
    assert not [path.name for path in records.parent.iterdir() if path.name.startswith(".")]


def test_preparing_data_that_is_interrupted_is_one_line(tmp_path, monkeypatch, capsys):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(data_prep.text, "prepare", interrupt)
    assert data_prep.main(["synthetic", "--out", str(tmp_path / "out")]) == 130
    assert capsys.readouterr().err == "data_prep: interrupted: the same command goes on\n"


@pytest.mark.parametrize(
    ("command", "environment", "printed"),
    [
        ("mt_ls.measure_text", C_LOCALE, "gr????e: 2 sentences"),
        ("mt_ls.audit", C_LOCALE, "gr____e"),
    ],
)
def test_names_beyond_ascii_are_printed_on_any_terminal(tmp_path, command, environment, printed):
    folder = write_translations(tmp_path / "größe")
    out = ("--records", tmp_path / "r.jsonl") if command == "mt_ls.measure_text" else ("--out", tmp_path / "out")
    process = run(module(command, folder, *out), env=environment)
    assert process.returncode == 0 and printed in process.stdout, process.stderr


def test_reports_are_printed_on_any_terminal(tmp_path):
    for environment, name in ((ASCII, "größe"), (C_LOCALE, "ascii")):
        write_records(tmp_path / name)
        records = tmp_path / name / "records.jsonl"
        records.write_text(records.read_text().replace('"run": "toy', '"run": "größe'), encoding="utf-8")
        process = run(
            module("analysis.report", tmp_path / name, "--by", "run", "--out", tmp_path / "out" / name), env=environment
        )
        assert process.returncode == 0 and "?" in process.stdout, process.stderr
        assert "größe" in (tmp_path / "out" / name / "report.html").read_text(encoding="utf-8")


def test_a_measurement_is_printed_on_any_terminal(data, checkpoint, tmp_path):
    fixed = ("--cpu", "--modes", "forced", "--run", "größe", "--records", tmp_path / "records.jsonl")
    process = run(module("mt_ls.measure", data, "--path", checkpoint, *fixed), env=ASCII)
    assert process.returncode == 0 and "gr??e on test: 211 of 211 sentences" in process.stdout, process.stderr
