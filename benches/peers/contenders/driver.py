"""What contenders in Python have in common: the protocol of benches/README.md."""

import os
import resource
import sys
import threading


class Job:
    """Which volumes an item of work is about."""

    def __init__(self, parent, first, count, threads):
        self.parent = parent
        self.numbers = range(int(first), int(first) + int(count))
        self.count = int(count)
        self.threads = int(threads)

    def volume(self, number):
        return f"{self.parent}/v{number:06}"

    def volumes(self):
        return [self.volume(number) for number in self.numbers]

    def snapshot(self, number, name):
        return f"{self.volume(number)}@{name}"

    def snapshots(self, name):
        return [self.snapshot(number, name) for number in self.numbers]

    def each(self, work):
        """Calls work with the number of each volume, one after the other."""
        for number in self.numbers:
            work(number)
        return self.count

    def each_at_once(self, work):
        """The same from several threads."""
        numbers = iter(self.numbers)
        lock = threading.Lock()
        failed = []

        def run():
            try:
                while True:
                    with lock:
                        number = next(numbers, None)
                    if number is None:
                        return
                    work(number)
            except Exception as error:
                failed.append(error)

        threads = [threading.Thread(target=run) for _ in range(self.threads)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failed:
            raise failed[0]
        return self.count


def stream(mode):
    """Opens where a stream goes, or comes from, in an item that is about one."""
    return open(os.environ["ZFSVOL_BENCH_STREAM"], mode, buffering=0)


def contend(items):
    """The whole program: says what it can do, or does one item of it."""
    arguments = sys.argv[1:]
    if arguments == ["items"]:
        print(*items, sep="\n")
        return
    if len(arguments) != 5 or arguments[0] not in items:
        sys.exit("arguments: ITEM PARENT FIRST COUNT THREADS, or items")
    job = Job(*arguments[1:])
    before = largest_started()
    print("ready", flush=True)
    # Not sys.stdin, which would take memory for itself.
    os.read(0, 16)
    done = items[arguments[0]](job)
    started = largest_started()
    print("done", done, started if started > before else 0, flush=True)
    while os.read(0, 16):
        pass


def largest_started():
    """Of the processes that were started and have ended, in KiB: packages start some when
    they are imported, to find a library."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
