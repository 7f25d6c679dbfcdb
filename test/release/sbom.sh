#!/usr/bin/env bash
# Writes the bill of materials of one binary in the CycloneDX format: sbom.sh BINARY DOCUMENT.
# It has the time of the commit, and no random serial number: the same binary gives the same document.
set -euo pipefail
cyclonedx-gomod bin -json -noserial -output "$2.tmp" "$1"
when=$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)
sed -E "s/\"timestamp\": \"[^\"]*\"/\"timestamp\": \"$when\"/" "$2.tmp" >"$2"
rm "$2.tmp"
