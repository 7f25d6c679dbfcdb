#!/usr/bin/env bash
# unreachable.sh: functions that neither hybridge nor a program in test/ can reach. tools/unreachable.txt lists the
# exceptions, one a line: a package or package.function, then the reason. Test helpers in test/ do not count.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -x bin/deadcode ] || { echo "bin/deadcode is missing; make bin/deadcode builds it" >&2; exit 1; }
all=$(bin/deadcode -f '{{range .Funcs}}{{println $.Path "." .Name " " .Position}}{{end}}' ./cmd/hybridge ./test/...)
found=$(sed -E 's/ \. /./; s/^github.com\/hybridge-cli\/hybridge\///' <<<"$all" | grep -v '^test/' || true)
bad=0
while read -r name position; do
	[ -z "$name" ] && continue
	package=${name%%.*}
	if ! awk -v n="$name" -v p="$package" '$1 == n || $1 == p || ($1 ~ /\*$/ && index(n, substr($1, 1, length($1)-1)) == 1) { ok = 1 } END { exit !ok }' tools/unreachable.txt; then
		echo "$position: $name is not reachable: use it, delete it, or list it with a reason in tools/unreachable.txt"
		bad=1
	fi
done <<<"$found"
exit $bad
