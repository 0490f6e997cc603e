import os

import pytest
import slurm as cluster


@pytest.fixture(scope="session")
def slurm_installed():
    """Slurm, installed if need be; only where that was asked for."""
    if os.environ.get("REG2ST_TEST_CLUSTER") != "1":
        pytest.skip("installs Slurm and starts its daemons as root: make test-cluster")
    if (reason := cluster.missing()) is not None:
        pytest.fail(reason)


@pytest.fixture(scope="session")
def slurm(slurm_installed):
    """A running one-node Slurm, ended with the tests whatever becomes of them."""
    with cluster.Slurm() as running:
        yield running
