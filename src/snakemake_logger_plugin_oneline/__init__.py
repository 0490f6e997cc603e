"""A Snakemake logger of one line: jobs done, time gone and left, and what runs now.

``snakemake --logger oneline`` keeps the line at the bottom of a terminal; where the output goes to
a file or a CI log, each finished job adds a line. Errors stand above it, each with the job's whole
log. The dry run and ``--quiet`` look as they do without it. Snakemake's own log file, in
``.snakemake/log``, still holds everything.
"""

import logging
import sys
from collections.abc import Mapping
from datetime import timedelta

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text
from snakemake.logging import ColorizingTextHandler, show_logs
from snakemake.settings.enums import Quietness
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from snakemake_logger_plugin_oneline.pace import Pace

CHATTER = (
    *("Assuming ", "Building DAG", "Using shell", "Conda environments: ", "Singularity "),
    *("Complete log", "Elapsed time", "Adding ", "Loading script", "Loading wrapper"),
)
"""How begins what Snakemake says of each run and of each file of a report."""


class LogHandler(LogHandlerBase):
    """Shows how far a run is."""

    writes_to_stream = True
    writes_to_file = False
    has_filter = False
    has_formatter = False
    needs_rulegraph = False

    def __post_init__(self) -> None:
        settings = self.common_settings
        stream = sys.stdout if settings.stdout else sys.stderr
        self.as_without_plugin = settings.dryrun or bool(
            {Quietness.RULES, Quietness.PROGRESS} & set(settings.quiet or ())
        )
        self.plain = ColorizingTextHandler(settings.nocolor, stream)
        self.console = Console(file=stream, no_color=settings.nocolor)
        self.pace: Pace | None = None
        self.messages: dict[int, str] = {}

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self.plain.formatter = self.formatter
            if self.as_without_plugin:
                self.plain.emit(record)
            else:
                self.show(record)
        except Exception:
            self.handleError(record)

    def show(self, record: logging.LogRecord) -> None:
        """Take one of Snakemake's messages into the line, print it, or pass over it."""
        match getattr(record, "event", None):
            case LogEvent.RUN_INFO:
                self.planned({rule: n for rule, n in record.stats.items() if rule != "total"})
            case LogEvent.JOB_INFO:
                self.pace.start(record.jobid, record.rule_name)
                self.messages[record.jobid] = record.rule_msg or record.rule_name
            case LogEvent.JOB_FINISHED:
                self.finished(record.job_id)
            case LogEvent.JOB_ERROR:
                self.failed(record)
            case None | LogEvent.ERROR:
                text = self.format(record)
                said = self.pace is None and not text.startswith(CHATTER)
                if text and (said or record.levelno >= logging.WARNING):
                    self.say(text, "red" if record.levelno >= logging.ERROR else "")

    def planned(self, jobs: Mapping[str, int]) -> None:
        """Begin to count, and show the line on a terminal."""
        self.pace = Pace(jobs)
        self.live = Live(
            console=self.console,
            get_renderable=self.line,
            refresh_per_second=2,
            transient=True,
            # What a hook prints stands above the line on a terminal; a file gets it unchanged.
            redirect_stdout=sys.stdout.isatty(),
        )
        if self.console.file.isatty() and not self.console.is_dumb_terminal:
            self.live.start()

    def finished(self, job: int) -> None:
        """Count a job; say so where there is no line that does."""
        seconds = self.pace.finish(job)
        message = self.messages.pop(job)
        if not self.live.is_started:
            self.say(f"{self.state()}: {message} ({duration(seconds)})")
        if self.pace.done == self.pace.total:
            self.end()

    def failed(self, record: logging.LogRecord) -> None:
        """Say which job failed, with its whole log."""
        self.pace.fail(record.jobid)
        self.say(f"Error in rule {record.rule_name}: {self.messages.pop(record.jobid)}", "red")
        about = {"message": record.rule_msg, "shell": record.shellcmd, **record.aux}
        for name, value in about.items():
            if value:
                self.say(f"    {name}: {value}")
        if self.common_settings.show_failed_logs:
            self.say("\n".join(show_logs(record.log)))
        elif record.log:
            self.say(f"    log: {', '.join(record.log)}")

    def state(self) -> str:
        """Jobs done and failed, time gone and left, in words."""
        left = self.pace.left()
        return ", ".join(
            [
                f"{self.pace.done} of {self.pace.total} jobs",
                *([f"{self.pace.failed} failed"] if self.pace.failed else []),
                duration(self.pace.elapsed),
                *([f"about {duration(left)} left"] if left and left >= 0.5 else []),
            ]
        )

    def line(self) -> Table:
        """The line at the bottom of a terminal."""
        running = [rule + (f" x{n}" if n > 1 else "") for rule, n in self.pace.running.items()]
        text = Text(": ".join(filter(None, [self.state(), ", ".join(running)])))
        line = Table.grid(padding=(0, 1), expand=True)
        line.add_column(width=12)
        line.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        line.add_row(ProgressBar(self.pace.total, self.pace.done), text)
        return line

    def say(self, text: str, style: str = "") -> None:
        """Print some text as it is, above the line."""
        self.console.print(Text(text, style), soft_wrap=True)

    def end(self) -> None:
        """Take the line away and say how the run ended."""
        failed = f", {self.pace.failed} failed" if self.pace.failed else ""
        self.live.stop()
        self.say(
            f"{self.pace.done} of {self.pace.total} jobs done in "
            f"{duration(self.pace.elapsed)}{failed}."
        )
        self.pace = None

    def close(self) -> None:
        if self.pace is not None:
            self.end()
        super().close()


def duration(seconds: float) -> str:
    """Seconds as hours, minutes and seconds: 0:01:05."""
    return str(timedelta(seconds=round(seconds)))
