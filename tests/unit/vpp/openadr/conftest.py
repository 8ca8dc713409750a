"""What tests of the wire share."""

from __future__ import annotations

import pytest

from tests.unit.vpp.openadr.papers import Papers, new_papers


@pytest.fixture(scope="session")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    """Certificates, made once."""
    return new_papers(tmp_path_factory.mktemp("papers"))
