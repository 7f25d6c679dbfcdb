# make build | test | lint | vulncheck | bench | converge | diagnosis | peers | docs | pictures | dist | release | release-test | acceptance | builds | fuzz
SHELL := bash
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT := $(shell git rev-parse HEAD 2>/dev/null)
DATE := $(shell TZ=UTC git log -1 --format=%cd --date=format-local:%Y-%m-%dT%H:%M:%SZ 2>/dev/null)
# Functions start at multiples of 16 bytes instead of 32: 0.2 MB less.
LDFLAGS := -s -w -funcalign=16 -X main.version=$(VERSION) -X main.commit=$(COMMIT) -X main.date=$(DATE)
# Calls within hybridge, its modules, and the packages for networks and encodings are not inlined: 2.4 MB less. .goreleaser.yaml
# has the same list; the tests read it here.
GCFLAGS := -gcflags=./...=-l -gcflags=github.com/...=-l -gcflags=golang.org/x/...=-l -gcflags=vendor/...=-l -gcflags=net/...=-l -gcflags=encoding/...=-l
GOBUILD := CGO_ENABLED=0 go build -trimpath $(GCFLAGS) -ldflags '$(LDFLAGS)'

.PHONY: build test race lint vulncheck long-lines bench converge diagnosis peers docs pictures dist release release-test acceptance builds fuzz clean

build:
	$(GOBUILD) -o hybridge ./cmd/hybridge

# The whole suite. Real peers (directory servers, KDC, mail and DNS servers, other people's clients) come from Debian.
# As root on Debian, test installs their packages. What it leaves out it says in one line at the end; CI=true lists it and
# takes it for a failure.
test: peers
	go run ./test/run

race:
	go run ./test/run -race

lint: bin/golangci-lint bin/deadcode
	bin/golangci-lint run ./...
	tools/unreachable.sh

bin/golangci-lint: tools/go.mod tools/go.sum
	cd tools && go build -o ../bin/golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint

bin/deadcode: tools/go.mod tools/go.sum
	cd tools && go build -o ../bin/deadcode golang.org/x/tools/cmd/deadcode

# Known faults of modules that the program reaches. It needs the database of vuln.go.dev.
vulncheck: bin/govulncheck
	bin/govulncheck ./...

bin/govulncheck: tools/go.mod tools/go.sum
	cd tools && go build -o ../bin/govulncheck golang.org/x/vuln/cmd/govulncheck

# Files with lines that are too long, with their number: make long-lines DIRS=pkg/wire. To cut and wrap them:
# cd tools && go run ./longlines -fix ../pkg/wire
long-lines:
	@cd tools && go run ./longlines -summary $(addprefix ../,$(or $(DIRS),pkg cmd wizard test))

# Ratios within the same run: the plan of 50 forests beside that of one, with the remote calls of both, and users streamed beside
# ldapsearch's. BIG=1 takes a million users.
bench: peers
	go run ./test/bench

# Plan, apply, plan, rollback over every state, cloud and number of forests, with each feature by itself and all together. The suite
# takes a part of them, in which every two values meet.
converge:
	CONVERGE=all go test ./test/converge -count=1 -timeout 3h

# How often the planted cause is the first one that is named: every fault of the lab alone, 200 pairs, accounts without rights, health.
# It prints what is taken for what. The suite takes a part.
diagnosis:
	DIAGNOSIS=all go test ./pkg/hybrid/deployment -run TestDiagnosis -count=1 -v -timeout 3h | \
		grep -E 'faults (from outside )?have|pairs have|triples have|taken away|taken for|is number|is first of|panic|^(---|FAIL|ok)'

peers:
	@bash test/peers.sh

# Everything that is generated: the schema, the reference pages and, where the full cmdlet reference lies beside the checkout, the
# catalogue that is taken from it. The order counts: the pages are made from the schema.
docs:
	go test ./pkg/config/answers -run 'TestSchema$$' -count=1 -update
	go test ./pkg/hybrid/snapshot -run 'TestWords$$' -count=1 -update
	go test ./templates -run TestPacked -count=1 -update
	go test ./pkg/config/answers -run 'TestTemplateFiles' -count=1 -update
	@if [ -e ../shared/reference/exchange-cmdlets.json ]; then \
		echo "go test ./pkg/estate/exchange -run TestCatalogueIsCurrent -update"; \
		go test ./pkg/estate/exchange -run TestCatalogueIsCurrent -count=1 -update; \
	fi
	go test ./cmd/hybridge -run 'TestSchemas$$|TestNotices$$' -count=1 -update
	go test ./templates -run TestPacked -count=1 -update
	go run ./cmd/hybridge reference --dir docs

# The pictures of the guide: windows of the program, on the lab.
pictures:
	go test ./test/e2e -run TestPictures -count=1 -update

dist:
	@mkdir -p dist
	@for t in windows/amd64 windows/arm64 linux/amd64 linux/arm64 darwin/amd64 darwin/arm64; do \
		os=$${t%/*}; arch=$${t#*/}; ext=; [ $$os = windows ] && ext=.exe; \
		echo "dist/hybridge-$$os-$$arch$$ext"; \
		GOOS=$$os GOARCH=$$arch $(GOBUILD) -o dist/hybridge-$$os-$$arch$$ext ./cmd/hybridge || exit 1; \
	done
	@large=$$(find dist -name 'hybridge-*' -size +30000000c); [ -z "$$large" ] || { echo "over 30 MB: $$large"; exit 1; }

# What a release consists of, in dist/, without publishing it: archives, packages, manifests, bills of materials, checksums.
release: bin/goreleaser bin/cyclonedx-gomod
	PATH="$(CURDIR)/bin:$$PATH" bin/goreleaser release --snapshot --clean

# Two releases of this commit, compared; the package is installed into a Debian tree, and the archive for Windows runs under Wine.
release-test: bin/goreleaser bin/cyclonedx-gomod
	bash test/release/test.sh

# Not in tools/go.mod: its modules do not go together with those of golangci-lint.
bin/goreleaser:
	GOBIN="$(CURDIR)/bin" go install github.com/goreleaser/goreleaser/v2@v2.15.1

bin/cyclonedx-gomod:
	GOBIN="$(CURDIR)/bin" go install github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0

# All that must be seen of hybridge, line by line; hours. What passed on this commit is not run again.
acceptance: peers
	test/acceptance/run.sh

# New updates of Exchange Server into the table of builds, from Microsoft's page.
builds:
	cd tools && go run ./builds ../pkg/hybrid/fact/build.go

# Ten minutes for each fuzz target: make fuzz FUZZTIME=10m. A target that writes files covers other lines each time: go would
# spend up to a minute on making each of its findings smaller.
FUZZTIME ?= 20s
fuzz:
	@go list ./... | while read -r p; do \
		for f in $$(go test -list '^Fuzz' $$p | grep '^Fuzz'); do \
			echo "$$p $$f"; go test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1s $$p || exit 1; \
		done; \
	done

clean:
	rm -rf dist bin hybridge
