"""One block of equations per kind of asset, each with a power port; the only model definition there is."""
