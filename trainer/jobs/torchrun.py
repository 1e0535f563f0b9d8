"""torchrun in a pod of a training: it takes torchrun's words, and ends as its first process that fails does.

torchrun itself ends with status 1 whatever has happened. The status is all that Kubernetes tells the trainer:
that a process was killed, most likely for want of memory, would stand in the log of the pod alone.
"""

from collections.abc import Sequence
from typing import Any

from torch.distributed import DistError, run
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

from steadyline.errors import Transient
from steadyline.service import EXIT_OK
from steadyline.telemetry.logs import get_logger

log = get_logger(__name__)

_torchrun: Any = run
SIGNALLED = 128  # added to the number of the signal, as a shell and Kubernetes do


class PodsApart(Transient):
    """The pods of a training did not find each other in time."""

    reason = "pods_apart"


def run_processes(words: Sequence[str]) -> int:
    """Start the processes of this pod as torchrun does, and wait; return how the first that failed has ended.

    Raises PodsApart when the other pods do not come within the patience that the words name.
    """
    try:
        _torchrun.run(_torchrun.parse_args(list(words)))
    except ChildFailedError as error:
        rank, first = error.get_first_failure()
        log.error("process_of_training_ended", rank=rank, status=first.exitcode)
        return SIGNALLED - first.exitcode if first.exitcode < 0 else first.exitcode
    except SignalException as error:
        return SIGNALLED + error.sigval
    except DistError as error:
        raise PodsApart(f"the pods of the training did not find each other: {error}") from error
    return EXIT_OK
