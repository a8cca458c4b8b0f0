# Every chore of Splitbed; `make help` lists them. CI calls the same.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
EXTRAS ?= dev,video,otel,speech
TESTED := torch,mininet,vmaf,loadgen,text,spark,ray,slurm# extras that only tests of them need: .pt files, Mininet's links
PROTOS := $(wildcard proto/splitbed/v1/*.proto)
STAMP := $(VENV)/.installed-$(EXTRAS)
OLDER := .venv-tflite-runtime
SUPPLY := .venv-supply# tools that look at the environment, beside it
OPENVINO := .venv-openvino
CLIENT := .venv-triton# a client of ours that is any server's, with the protobuf that it wants
unexport PYTHONDONTWRITEBYTECODE# a sweep starts eight processes: what they import is compiled once

.PHONY: help setup sweep test older openvino client nnc check attack bench codecs mutants proto docs lock release sbom audit clean
help:  ## list the chores
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST)

setup: $(STAMP)  ## environment in .venv with locked dependencies, missing system packages
	@scripts/system-packages

$(STAMP): pyproject.toml $(wildcard requirements*.lock)
	scripts/environment "$(PYTHON)" $(VENV) "$(EXTRAS)"
	@touch $@
	@echo "ready: . $(VENV)/bin/activate puts orchestrate, ue-node, edge-node, netem and splitbed on the path"

sweep: setup  ## does device, split or network win, for a small trained model (3 minutes); ARGS=more options
	$(BIN)/orchestrate sweep --model shapesnet --split 14:30,stage3 --bw 1,5,20 \
		--codec klt-inter:65 --input-codec jpeg:85,444,avc:22,444 --ue-slowdown 1,12 \
		--runs 20 --max-drop 0.03 --no-delivery $(ARGS)

test: $(STAMP)-and-$(TESTED)  ## all tests; sets up what they need beyond that, and says why
	@scripts/system-packages tests
	@$(MAKE) --no-print-directory client || echo "not to be had here: tritonclient; its tests will skip" >&2
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder -m "not measures and not hostile"  # they mostly wait for links
	$(BIN)/python -m pytest -m measures $$(grep -rl --include='test_*.py' 'mark\.measures' tests)  # one after another
	$(BIN)/python -m pytest -n 2 --dist loadfile tests/hostile

$(STAMP)-and-$(TESTED): $(STAMP)
	scripts/environment "$(PYTHON)" $(VENV) "$(EXTRAS)" "$(TESTED)"
	@touch $@

older:  ## the tests of TFLite on tflite-runtime, in an environment of its own (Python 3.11)
	@$(MAKE) --no-print-directory setup VENV=$(OLDER) EXTRAS=dev,tflite-runtime \
		PYTHON=$$(command -v python3.11 || echo $(PYTHON))
	SPLITBED_EXPECTS_RUNTIME=tflite-runtime $(OLDER)/bin/python -m pytest -n 2 --dist loadfile \
		tests/runtime tests/graphs/test_tflite_*.py tests/zoo/test_posenet.py

openvino:  ## the tests of providers on ONNX Runtime with OpenVINO, in an environment of its own
	@$(MAKE) --no-print-directory setup VENV=$(OPENVINO) EXTRAS=dev,openvino
	SPLITBED_EXPECTS_PROVIDER=openvino $(OPENVINO)/bin/python -m pytest \
		tests/runtime/test_provider.py tests/net/test_provider.py

client: $(CLIENT)/.installed  ## tritonclient in an environment of its own, for the tests that ask by it

$(CLIENT)/.installed: requirements-triton.lock
	scripts/environment "$(PYTHON)" $(CLIENT) triton
	@touch $@

nnc: $(STAMP)  ## the model coder nnc: compiles Fraunhofer's nncodec, without what it depends on
	@scripts/system-packages nnc $(BIN)/python
	$(BIN)/python -m pip install --quiet --require-hashes --no-deps --no-build-isolation \
		-r requirements-nnc.lock

attack: $(STAMP)  ## what tests/hostile does to nodes, long (some hours), many graphs; ARGS=some of it
	SPLITBED_ATTACK=long $(BIN)/python -m pytest -p no:cacheprovider tests/hostile \
		tests/graphs/test_random_graphs.py $(ARGS)

check: setup  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup  ## how near the instrument comes to its bars (about 10 minutes); ARGS=some of them
	@scripts/system-packages bench
	$(BIN)/python -m tests.bench $(ARGS)

codecs: setup  ## docs/rate-accuracy.md: codecs on ShapesNet, and on models that it is given; ARGS=speeds these alone
	scripts/codecs $(BIN) $(ARGS)

mutants: setup  ## do tests notice changes of the modules that judge (some hours); ARGS=some of them
	@scripts/environment "$(PYTHON)" $(VENV) "$(EXTRAS)" mutants
	$(BIN)/python -m tests.mutants $(ARGS)

proto: setup  ## generate splitbed/v1 from proto/
	$(BIN)/python -m grpc_tools.protoc -Iproto --python_out=. --grpc_python_out=. \
		--mypy_out=. --mypy_grpc_out=. --plugin=protoc-gen-mypy=$(BIN)/protoc-gen-mypy \
		--plugin=protoc-gen-mypy_grpc=$(BIN)/protoc-gen-mypy_grpc $(PROTOS)

docs: setup  ## docs/rows.md from what the columns declare
	$(BIN)/python -c "from orchestrator.reports.columns_page import columns_page; \
		print(columns_page(), end='')" > docs/rows.md

lock: $(SUPPLY)/.installed  ## pin the newest dependencies, with hashes, in requirements*.lock
	scripts/lock $(SUPPLY)/bin/python

release: setup  ## a sdist and a wheel of it in dist/
	rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist

sbom: setup $(SUPPLY)/.installed  ## build/sbom.json (CycloneDX) of the environment, docs/licences.md
	scripts/bill-of-materials $(BIN)/python $(SUPPLY)/bin

audit: $(SUPPLY)/.installed  ## known holes in what the locks hold
	@failed=0; for lock in requirements*.lock; do echo "$$lock:"; \
		$(SUPPLY)/bin/pip-audit --disable-pip --require-hashes -r $$lock || failed=1; done; \
		exit $$failed

$(SUPPLY)/.installed: requirements-supply.lock
	scripts/environment "$(PYTHON)" $(SUPPLY) supply
	@touch $@

clean:  ## remove the environment and caches; runs/ stays
	rm -rf $(VENV) $(OLDER) $(OPENVINO) $(SUPPLY) $(CLIENT) .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
