#!/usr/bin/env bash
# Writes what packages carry beside the program into extras/: man pages and shell completions.
set -euo pipefail
cd "$(dirname "$0")/../.."
rm -rf extras && mkdir -p extras/man extras/completions
go test ./cmd/hybridge -run 'TestManPages$' -count=1 -man "$PWD/extras/man" >/dev/null
gzip -n9 extras/man/*.1
binary=$(mktemp -d)/hybridge
go build -o "$binary" ./cmd/hybridge
"$binary" completion bash >extras/completions/hybridge.bash
"$binary" completion zsh >extras/completions/_hybridge
"$binary" completion fish >extras/completions/hybridge.fish
"$binary" completion powershell >extras/completions/hybridge.ps1
rm -r "$(dirname "$binary")"
