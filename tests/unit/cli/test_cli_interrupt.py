"""Ctrl-C while a thread waits for ever: the command still ends, with its last words."""

import signal
import subprocess
import sys

SCRIPT = """
import threading
from concurrent.futures import ThreadPoolExecutor
from stocktake.cli import _interrupt, _main
_interrupt.GRACE_S = 0.2
def stuck(args, out):
    with ThreadPoolExecutor() as pool:  # leaving it waits for the thread
        silent = pool.submit(threading.Event().wait)
        print("ready", flush=True)
        silent.result()
_main.run_command = stuck
_main.main()
"""


def interrupted(number):
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        _, err = process.communicate(timeout=30)
    return process.returncode, err


def test_ctrl_c_ends_a_command_whose_thread_never_does():
    code, err = interrupted(signal.SIGINT)
    assert code == 130
    assert err.startswith("error: interrupted; everything finished is kept\n")


def test_termination_ends_it_too():
    assert interrupted(signal.SIGTERM) == (143, "")
