import signal
import subprocess
import sys
import threading

import pytest

from keras_retinanet.system.interrupts import interrupts


class EndedError(Exception):
    """What the handler of a program raises."""


def end(number, frame):
    raise EndedError(number)


@pytest.fixture
def handler():
    """A handler for SIGTERM, for the time of a test."""
    before = signal.signal(signal.SIGTERM, end)
    yield end
    signal.signal(signal.SIGTERM, before)


def send(number=signal.SIGTERM):
    signal.raise_signal(number)


def test_a_signal_that_need_not_wait_reaches_its_handler_at_once(handler):
    with pytest.raises(EndedError), interrupts():
        send()
    assert signal.getsignal(signal.SIGTERM) == end


def test_a_signal_waits_until_it_is_delivered_and_the_second_is_deadly(handler):
    with interrupts() as found:
        found.wait = True
        assert not found.received
        send()
        assert found.received
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
        with pytest.raises(EndedError, match=str(int(signal.SIGTERM))):
            found.deliver()
        assert not found.received
        assert signal.getsignal(signal.SIGTERM) == end
        found.deliver()  # nothing is left
    assert signal.getsignal(signal.SIGTERM) == end


def test_a_signal_of_another_process_is_delivered_like_one_of_its_own(handler):
    with interrupts() as found:
        found.wait = True
        found.receive(0)
        assert not found.received and found.number == 0
        found.receive(signal.SIGTERM)
        found.receive(signal.SIGINT)  # one is enough
        assert found.number == signal.SIGTERM
        with pytest.raises(EndedError, match=str(int(signal.SIGTERM))):
            found.deliver()
        found.receive(signal.SIGUSR1)  # there is no handler here
        with pytest.raises(KeyboardInterrupt):
            found.deliver()


def test_a_signal_that_still_waits_is_delivered_at_the_end(handler):
    with pytest.raises(EndedError), interrupts() as found:
        found.wait = True
        send()
    assert signal.getsignal(signal.SIGTERM) == end


def test_an_error_is_not_hidden_by_a_signal(handler):
    with pytest.raises(TypeError), interrupts() as found:
        found.wait = True
        send()
        raise TypeError
    assert signal.getsignal(signal.SIGTERM) == end


def test_what_the_handler_changes_stays(handler):
    def leave(number, frame):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    signal.signal(signal.SIGTERM, leave)
    with interrupts() as found:
        found.wait = True
        send()
        found.deliver()
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interrupts() as found:
            found.wait = True
            send(signal.SIGHUP)
            assert not found.received
    finally:
        signal.signal(signal.SIGHUP, before)


def test_other_threads_change_nothing(handler):
    def work():
        with interrupts():
            assert signal.getsignal(signal.SIGTERM) == end

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


TWICE = """import os, signal
from keras_retinanet.system.interrupts import interrupts
with interrupts() as found:
    found.wait = True
    os.kill(os.getpid(), signal.SIGINT)
    print("waits", flush=True)
    os.kill(os.getpid(), signal.SIGINT)
    print("never")
"""


def test_a_second_signal_ends_the_process():
    done = subprocess.run([sys.executable, "-c", TWICE], capture_output=True, text=True)
    assert done.returncode == -signal.SIGINT
    assert done.stdout == "waits\n"


ONCE = """import os, signal, sys
from keras_retinanet.bin.common import report_errors
from keras_retinanet.system.interrupts import interrupts
@report_errors
def main():
    with interrupts() as found:
        found.wait = True
        os.kill(os.getpid(), int(sys.argv[1]))
        print("saved", flush=True)
        found.deliver()
main()
"""


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [("SIGINT", 130, "interrupted"), ("SIGTERM", 143, "terminated"), ("SIGHUP", 129, "hung up")],
)
def test_a_command_ends_with_the_usual_code_after_its_work_is_saved(name, code, said):
    number = str(int(getattr(signal, name)))
    done = subprocess.run([sys.executable, "-c", ONCE, number], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (code, "saved\n", f"\n{said}\n")
