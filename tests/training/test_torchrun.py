"""torchrun in a pod: what its processes end with is what the pod ends with."""

from steadyline.servers.ports import free_ports
from steadyline.service import EXIT_OK, EXIT_UNAVAILABLE
from tests.support.trainer_command import trainer

TWO = ("torchrun", "--standalone", "--nproc-per-node=2", "--no-python", "sh", "-c")
OF_THE_SECOND = 'test "$RANK" = 0 && sleep 60; '


def test_processes_that_end_well_end_it_well() -> None:
    done = trainer(*TWO, "exit 0")
    assert done.returncode == EXIT_OK, done.stderr


def test_a_killed_process_ends_the_others_and_its_signal_is_told() -> None:
    done = trainer(*TWO, f"{OF_THE_SECOND}kill -KILL $$$$")
    assert done.returncode == 137, done.stderr
    assert "process_of_training_ended" in done.stdout + done.stderr


def test_the_status_of_the_first_process_that_fails_is_kept() -> None:
    assert trainer(*TWO, f"{OF_THE_SECOND}exit 4").returncode == 4


def test_a_pod_whose_others_never_come_says_so() -> None:
    (port,) = free_ports(1)
    where = ("--rdzv-backend=static", "--master-addr=127.0.0.1", f"--master-port={port}")
    words = ("--nnodes=2", "--node-rank=0", "--rdzv-conf=timeout=1", *where, "--no-python", "true")
    done = trainer("torchrun", *words)
    assert done.returncode == EXIT_UNAVAILABLE, done.stderr
    assert "pods_apart: the pods of the training did not find each other" in done.stderr
