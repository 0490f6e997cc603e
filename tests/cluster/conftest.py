import os

import pytest
import slurm as cluster


@pytest.fixture(scope="session")
def slurm_installed():
    """Slurm, installed if need be; only where that was asked for."""
    if os.environ.get("REG2ST_TEST_CLUSTER") != "1":
        pytest.skip("needs Slurm, which `make test-cluster` installs as root")
    if (reason := cluster.missing()) is not None:
        pytest.fail(reason)


@pytest.fixture(scope="session")
def slurm(slurm_installed):
    """A running one-node Slurm, ended with the tests whatever becomes of them."""
    with cluster.Slurm() as running:
        yield running
