"""Watches one guest from its start to its end and says how it went."""

import collections
import os
import re
import selectors
import signal
import subprocess
import time

# Lines that mean the kernel cannot be trusted any more.  OpenZFS writes
# "VERIFY" and "PANIC at" when one of its own assertions fails.
FATAL = re.compile(
    rb"Kernel panic|BUG:|Oops:|general protection|VERIFY\S* .*failed|PANIC at|"
    rb"blocked for more than|UML ran out of memory|zfsvol: boot failed"
)
# How long a guest may go on after a fatal line, to finish its report of it.
LAST_WORDS_S = 2
# How much of the kernel log is shown when a guest fails.
LOG_TAIL_LINES = 60

Channels = collections.namedtuple("Channels", "log out err")


class Supervisor:
    """Runs a guest's process; afterwards its fields say what happened."""

    def __init__(self, timeout_s, kill_after_s, kill_at, log_file):
        self.timed_out = False
        self.killed = False
        self.fatal = False
        self.log_tail = collections.deque(maxlen=LOG_TAIL_LINES)
        self._deadlines = {}
        self._timeout_s = timeout_s
        self._kill_after_s = kill_after_s
        self._kill_at = kill_at
        self._log_file = log_file
        self._log_line = b""
        self._out_line = b""
        self._process = None

    def run(self, command_for, environment):
        """Starts `command_for(channels)` and returns when the guest is gone."""
        pipes = Channels(*(os.pipe() for _ in Channels._fields))
        writers = Channels(*(write for _, write in pipes))
        try:
            self._process = subprocess.Popen(
                command_for(writers),
                stdin=subprocess.DEVNULL,
                stdout=writers.log,
                stderr=writers.log,
                pass_fds=writers,
                env={**os.environ, **environment},
                start_new_session=True,
            )
        finally:
            for writer in writers:
                os.close(writer)
        try:
            self._watch(Channels(*(read for read, _ in pipes)))
        finally:
            self._kill()
            for read, _ in pipes:
                os.close(read)

    def _watch(self, readers):
        self._set_deadline("timeout", self._timeout_s)
        self._set_deadline("kill", self._kill_after_s)
        handlers = Channels(self._on_log, self._on_out, self._on_err)
        with selectors.DefaultSelector() as selector:
            for reader, handler in zip(readers, handlers):
                selector.register(reader, selectors.EVENT_READ, handler)
            while selector.get_map() and not self._is_over():
                for key, _ in selector.select(timeout=0.1):
                    data = os.read(key.fd, 1 << 16)
                    if data:
                        key.data(data)
                    else:
                        selector.unregister(key.fd)

    def _set_deadline(self, name, seconds):
        if seconds is not None:
            self._deadlines.setdefault(name, time.monotonic() + seconds)

    def _is_over(self):
        now = time.monotonic()
        due = [name for name, at in self._deadlines.items() if at <= now]
        self.timed_out = "timeout" in due and not self.fatal
        self.killed = self.killed or "kill" in due
        return bool(due) or self.killed

    def _on_log(self, data):
        self._log_file.write(data)
        *lines, self._log_line = (self._log_line + data).split(b"\n")
        for line in lines:
            self.log_tail.append(line.rstrip(b"\r"))
            if FATAL.search(line):
                self.fatal = True
                self._set_deadline("last words", LAST_WORDS_S)

    def _on_out(self, data):
        _write_all(1, data)
        if self._kill_at:
            lines = self._out_line + data
            self.killed = self.killed or self._kill_at in lines
            self._out_line = lines[lines.rfind(b"\n") + 1 :]

    @staticmethod
    def _on_err(data):
        _write_all(2, data)

    def _kill(self):
        """Ends the guest and the helper processes that it may have left."""
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except (AttributeError, ProcessLookupError):
            pass
        if self._process:
            self._process.wait()


def _write_all(descriptor, data):
    while data:
        data = data[os.write(descriptor, data) :]
