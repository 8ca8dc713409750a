"""The runs that wait or go on, sorted so that thousands of sites can be asked for quickly."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from energy.store import JobRunRow
from vpp.jobs.job import WHOLE, Job, RunState

__all__ = ["OpenRuns"]


class OpenRuns:
    """Open runs by job and subject.

    Parameters
    ----------
    rows : sequence of JobRunRow
        Runs that wait or go on.
    jobs : mapping of str to Job
        Those of this process; a run of another one is waited for by nobody.
    """

    def __init__(self, rows: Sequence[JobRunRow], jobs: Mapping[str, Job]) -> None:
        self._jobs = jobs
        self._of_job: dict[str, list[JobRunRow]] = defaultdict(list)
        self._of_pair: dict[tuple[str, str], list[JobRunRow]] = defaultdict(list)
        for row in rows:
            self._of_job[row.job].append(row)
            self._of_pair[row.job, row.subject].append(row)

    def first(self, job: Job, subject: str) -> JobRunRow | None:
        """A run that comes before those of a job and subject, whenever it was due; None if there is none."""
        for need in job.needs:
            if need not in self._jobs:
                continue
            if subject == WHOLE:
                found = self._of_job.get(need)
            else:
                found = self._of_pair.get((need, subject)) or self._of_pair.get((need, WHOLE))
            if found:
                return found[0]
        return None

    def elsewhere(self, row: JobRunRow, is_lost: Callable[[JobRunRow], bool]) -> bool:
        """Whether a process is at another run of the same job and subject."""
        return any(
            other.key != row.key and other.state == RunState.RUNNING.value and not is_lost(other)
            for other in self._of_pair[row.job, row.subject]
        )
