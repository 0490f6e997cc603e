"""How long the jobs of each rule take, and what that means for the rest of a run."""

import time
from collections import Counter
from collections.abc import Callable, Mapping


class Pace:
    """Counts the jobs of a run by rule and times them.

    One thread may write while another reads.

    Args:
        jobs: how many jobs will run, by rule.
        clock: gives the time in seconds.
    """

    def __init__(self, jobs: Mapping[str, int], clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._begun = clock()
        self._waiting = Counter(jobs)
        self._running: dict[int, tuple[str, float]] = {}
        self._finished: list[tuple[str, float]] = []
        self.failed = 0

    @property
    def done(self) -> int:
        """How many jobs ended well."""
        return len(self._finished)

    @property
    def total(self) -> int:
        """How many jobs there are; a failed one still waits."""
        return self.done + len(self._running) + self._waiting.total()

    @property
    def elapsed(self) -> float:
        """Seconds since the jobs were planned."""
        return self._clock() - self._begun

    @property
    def running(self) -> Counter[str]:
        """How many jobs run now, by rule; the rule whose job runs longest comes first."""
        return Counter(rule for rule, _ in list(self._running.values()))

    def start(self, job: int, rule: str) -> None:
        """Note that a job begins."""
        self._waiting[rule] -= 1
        self._running[job] = (rule, self._clock())

    def finish(self, job: int) -> float:
        """Note that a job ended well; give the seconds that it took."""
        rule, begun = self._running.pop(job)
        self._finished.append((rule, self._clock() - begun))
        return self._finished[-1][1]

    def fail(self, job: int) -> None:
        """Note that a job failed; it may be tried again."""
        rule, _ = self._running.pop(job)
        self._waiting[rule] += 1
        self.failed += 1

    def left(self) -> float | None:
        """Seconds that the rest will take; None while no job has finished.

        A job is expected to take as long as its rule's jobs did on average, or all jobs while none
        of its rule has finished. As many run side by side as did on average so far.
        """
        finished, running = list(self._finished), list(self._running.values())
        if not finished:
            return None
        now, elapsed = self._clock(), self.elapsed

        def expected(rule: str) -> float:
            seconds = [each for of, each in finished if of == rule] or [s for _, s in finished]
            return sum(seconds) / len(seconds)

        rest = [max(expected(rule) - (now - begun), 0) for rule, begun in running]
        waiting = [expected(rule) * count for rule, count in dict(self._waiting).items() if count]
        spent = sum(seconds for _, seconds in finished) + sum(now - begun for _, begun in running)
        side_by_side = max(spent / elapsed, 1) if elapsed else 1
        return max((sum(rest) + sum(waiting)) / side_by_side, *rest, 0)
