# One command each. `setup` needs only Python >= 3.11, make and git; everything else comes into .venv.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
# The versions everything was last tested with; `make setup CONSTRAINTS=` takes the newest within the bounds.
CONSTRAINTS ?= constraints.txt
JOBS   ?= 2
# Where `make serve` listens.
PORT   ?= 8080

.DEFAULT_GOAL := help
.PHONY: help setup demo serve test check lint fast full wheel-check bench soak docs constraints clean
PACKAGES := energy forecasting dispatch devices vpp

help: ## what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## .venv with everything, made again only when pyproject.toml changes

$(STAMP): pyproject.toml $(CONSTRAINTS)
	@command -v $(PYTHON) >/dev/null || { \
	  echo "error: $(PYTHON) is not installed" >&2; \
	  echo "  needed: Python 3.11 or newer" >&2; \
	  echo "  try: install python3, or name another one: make setup PYTHON=python3.12" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "error: $$($(PYTHON) --version) is too old" >&2; \
	  echo "  needed: Python 3.11 or newer" >&2; \
	  echo "  try: make setup PYTHON=python3.12" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "error: $(PYTHON) cannot make virtual environments" >&2; \
	  echo "  missing: the modules venv and ensurepip" >&2; \
	  echo "  try: apt-get install python3-venv (Debian, Ubuntu)" >&2; exit 2; }
	@if [ ! -x $(BIN)/python ]; then $(PYTHON) -m venv $(VENV); fi
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	@echo "installing aizu-vpp and its tools into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --editable . --group dev $(if $(CONSTRAINTS),--constraint $(CONSTRAINTS))
	@touch $@

demo: setup ## a week of a real factory, from forecast to coin, with a report at the end
	$(BIN)/vpp demo

serve: setup ## the same factory live and faster than time, with a console for seven kinds of people
	$(BIN)/vpp serve --demo --port $(PORT)

test: ## everything that CI checks; lint and the wheel side by side, then the tests
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target lint wheel-check
	@$(MAKE) --no-print-directory full

check: lint fast ## format, lint, types, floors and the fast tests

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

fast: setup
	$(BIN)/pytest tests/unit tests/arch -n $(JOBS) -m "not e2e and not bench"

full: setup
	$(BIN)/pytest --doctest-modules tests $(PACKAGES) -n $(JOBS) --dist worksteal -m "not bench"

wheel-check: setup ## the wheel, installed elsewhere, finds its command and its scenarios
	.ci/wheel-check $(BIN)/python $(CONSTRAINTS)

# Weeks on which nothing was tuned: docs/explanation/scoreboard.md.
BOARD_WEEKS := 2026-01-12,2026-04-06,2026-07-20,2026-09-07

bench: setup ## ratios and scores, not seconds; nothing else should run beside it
	@echo "== tests marked bench"
	@$(BIN)/pytest tests -m bench -s --quiet || [ $$? -eq 5 ]
	@echo "== a re-solve beside HiGHS alone, Pyomo's own path, warm starts and interior point"
	@$(BIN)/python tests/bench/bench_dispatch.py
	@echo "== instances beside the same as arrays straight into HiGHS"
	@$(BIN)/python tests/bench/bench_instances.py
	@echo "== a year of bills, a season of events, a million entries proved"
	@$(BIN)/python tests/bench/market_speed.py
	@echo "== the service with a thousand sites and a year of half hours, read by 200 while 1,000 values a second come in"
	@$(BIN)/python -m tests.bench.service_speed
	@echo "== the scoreboard: six ways of control, four weeks, twenty seeds (hours; goes on where it was cut off)"
	@$(BIN)/vpp --lang en simulate kitakata --days 5 --seeds 20 --start $(BOARD_WEEKS) --state out
	@echo "== medians, room for errors or a tree of scenarios in the plan: twenty seeds (an hour; goes on as well)"
	@$(BIN)/python -m tests.bench.uncertainty --seeds 20 --days 2
	@echo "== baselines on ordinary days of a real works"
	@$(BIN)/python tests/bench/baseline_errors.py
	@echo "== the next six hours, made now and at the noon before"
	@if [ -n "$$VPP_DATA_DIR" ]; then \
	  $(BIN)/python tests/bench/intraday_scores.py --data "$$VPP_DATA_DIR"; \
	  echo "== what a holiday calendar is worth on the steel works series"; \
	  $(BIN)/python tests/bench/forecast_scores.py --steel "$$VPP_DATA_DIR/factory/steel_industry_15min_2018_jan_sep.csv.gz"; \
	  echo "== our forecast beside strong references on the public cases"; \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]' \
	    $(if $(CONSTRAINTS),--constraint $(CONSTRAINTS)); \
	  $(BIN)/vpp --lang en forecast bench --data "$$VPP_DATA_DIR" --references tests/bench/references.jsonl; \
	  echo "== sites trained and issued in a minute"; \
	  $(BIN)/vpp --lang en forecast bench --data "$$VPP_DATA_DIR" --throughput --sites 1000; \
	else echo "skipped: VPP_DATA_DIR names no folder with factory/steel_industry_15min_2018_jan_sep.csv.gz"; fi

soak: setup ## a thousand varied plans, then four weeks of the factory through the loop, as JSON documents
	@echo "== a thousand varied problems, each planned in time and checked" >&2
	$(BIN)/python tests/bench/soak_plans.py --problems 1000
	@echo "== vpp simulate kitakata --days 28 --compare none,rules,optimal" >&2
	$(BIN)/vpp simulate kitakata --days 28 --compare none,rules,optimal --json
	@echo "== ten thousand half hours under the guard, and a bound that knows nothing of it" >&2
	$(BIN)/python -m tests.soak.guard_soak 10000 >&2
	@echo "== a hundred devices with random faults for two hours of their time, and an observer" >&2
	$(BIN)/python -m tests.soak.device_soak 100 120 1 0.1 >&2
	@echo "== two hundred job runs whose processes are killed at random moments" >&2
	$(BIN)/python -m tests.soak.jobs_soak 200 >&2
	@echo "== everybody of the demonstration opens sixty pages and fills in their forms with nonsense" >&2
	$(BIN)/python -m tests.soak.console_soak 60 >&2

docs: setup ## write the generated reference pages again
	$(BIN)/python docs/generate.py

constraints: setup ## freeze what is installed now as the tested set
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	{ head -n 1 constraints.txt; $(BIN)/python -m pip freeze --exclude-editable; } > constraints.new
	mv constraints.new constraints.txt

clean: ## remove the environment and everything that was built
	rm -rf $(VENV) dist build out .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
