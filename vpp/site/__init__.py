"""A site: what is kept of it, what its rooms and cars may do, and the planning problem that comes of it."""
