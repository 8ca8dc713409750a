"""The loop in a world of twins: scenarios, controllers side by side, and what came of them."""
