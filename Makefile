# What to do with this repository; `make` prints the list. The continuous integration runs these same targets.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

GO ?= go
GOLANGCI_VERSION := v2.15.0
TOOLS := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/gnothi/tools
GOLANGCI := $(TOOLS)/golangci-lint-$(GOLANGCI_VERSION)
FUZZTIME ?= 10s
BENCH ?= .
DATA ?= ../shared/data
# --model replay:dist/recordings.jsonl fits on what `make recordings` recorded, in two minutes.
ASKED ?=
PACKAGES ?= ./...

.PHONY: help
help: ## Print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build everything without a C compiler
	CGO_ENABLED=0 $(GO) build ./...

.PHONY: model
model: ## Fetch the default model, once; the tests that need it are skipped without it
	$(GO) run ./cmd/gnothi model pull smollm2-135m

.PHONY: test
test: ## Run the tests
	$(GO) test -timeout 40m $(PACKAGES)

.PHONY: race
race: ## Run the tests of everything that shares memory under the race detector (needs a C compiler)
	$(GO) test -race -short -timeout 40m $$($(GO) list $(PACKAGES) | grep -vE '/(engine/(internal/kernel|token|gguf)|stats|monitor/likelihood)$$')

.PHONY: noasm
noasm: ## Run the engine's tests with the Go twins of the assembly
	$(GO) test -short -timeout 40m -tags noasm ./engine/...

.PHONY: lint
lint: $(GOLANGCI) ## Check formatting, go vet and the linters
	@unformatted=$$(git ls-files -z '*.go' | xargs -0 gofmt -l); test -z "$$unformatted" || { echo "gofmt -w: $$unformatted"; exit 1; }
	$(GO) vet ./...
	$(GOLANGCI) run

$(GOLANGCI):
	GOBIN=$(TOOLS) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	mv $(TOOLS)/golangci-lint $@

.PHONY: bench
bench: ## Run the benchmarks; BENCH=pattern PACKAGES=./engine/... narrow them
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem $(PACKAGES)

.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME
	@git grep -oE '^func Fuzz[A-Za-z0-9_]+' -- '*_test.go' | while IFS=: read -r file target; do \
		echo "$$file $${target#func }"; \
		$(GO) test -run '^$$' -fuzz "^$${target#func }\$$" -fuzztime $(FUZZTIME) "./$$(dirname "$$file")" </dev/null; \
	done

.PHONY: verify
verify: noasm fuzz upstream llamacpp calibrators ## The heavier checks: Go twins, fuzzing, and committed data made again and compared
	git diff --exit-code -- '*.json'

.PHONY: llamacpp
llamacpp: ## Try the conformance suite of models on a real llama_cpp.server (built from source the first time)
	tests/llamacpp/run

# PYTHON=… names one that has llama-cpp-python and gguf already.
YARDSTICK := dist/llama
PYTHON ?= $(YARDSTICK)/bin/python

.PHONY: yardstick
yardstick: ## Build llama.cpp, ask it about the tiny models of every architecture and format, and compare
	mkdir -p dist/tiny
	test "$(PYTHON)" != "$(YARDSTICK)/bin/python" || bench/engine/venv.sh $(YARDSTICK)
	$(GO) run ./bench/engine/tiny dist/tiny
	$(PYTHON) bench/engine/yardstick.py dist/tiny engine/testdata/yardstick.json
	$(GO) test -run Yardstick -v ./engine

.PHONY: upstream
upstream: ## Run every command of the catalogue on a model behind an OpenAI-compatible server
	GNOTHI_VERIFY=1 $(GO) test ./catalog -run OnAnUpstream -v -timeout 30m

.PHONY: calibrators
calibrators: ## Fit the built-in calibrators again (asks 3,600 questions twice, about 15 minutes) and print their figures
	mkdir -p dist
	rm -f monitor/calibrate/data/local-*.json
	$(GO) run ./cmd/gnothi calibrate $(ASKED) --builtin --policy "self-consistency?n=10" --save-to monitor/calibrate/data --priors $(DATA)
	$(GO) run ./cmd/gnothi calibrate $(ASKED) --builtin --policy auto --save-to monitor/calibrate/data

.PHONY: recordings
recordings: ## Record 40 samples and auto on all 3,613 questions of our own (about 30 minutes, 120 MB) and compare them
	mkdir -p dist
	$(GO) run ./cmd/gnothi compare --policy "self-consistency?n=40" --policy auto --builtin --half all --trace dist/recordings.jsonl

.PHONY: sampling
sampling: ## Compare the rules of sampling on the recordings, question by question
	$(GO) run ./cmd/gnothi compare --model replay:dist/recordings.jsonl --builtin --half all --figure docs/sampling.svg \
		--policy "self-consistency?n=40" --policy auto --policy "auto?price=0.001" --policy "auto?price=0.01" --policy direct \
		--policy "adaptive?conf=0.95&n=40" --policy "adaptive?conf=0.8&n=40" --policy "early-stopping?window=5&n=40" --policy "early-stopping?window=3&n=40" \
		--policy "certified?alpha=0.05&n=40" --policy "self-consistency?n=5" --policy "self-consistency?n=10" --policy "self-consistency?n=20" \
		--policy "self-certainty?n=10" --policy "sharpen?n=10&t=0.7"
