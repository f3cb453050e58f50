.PHONY: check lint test format bench
check: lint test
lint:
	python3 run.py lint
test:
	python3 run.py test
format:
	.venv/bin/ruff format . && .venv/bin/ruff check --fix .
