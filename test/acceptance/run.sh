#!/usr/bin/env bash
# Runs every line of lines.txt: what must be seen of hybridge, each with the command that shows it. A line that passed on
# this commit is not run again, so that an interrupted run goes on; --again forgets them. ISSUE... takes those alone.
# The output of each line is in the directory that the last line names.
set -uo pipefail
cd "$(dirname "$0")/../.."
commit=$(git rev-parse --short=12 HEAD)
logs=${ACCEPTANCE_DIR:-${TMPDIR:-/tmp}/hybridge-acceptance}/$commit
[ "${1:-}" = --again ] && { rm -rf "$logs"; shift; }
mkdir -p "$logs"
export CI=true
passed=0 failed=0 number=0
while IFS=$'\t' read -r issue what command; do
	case $issue in '' | '#'*) continue ;; esac
	number=$((number + 1))
	[ $# -gt 0 ] && [[ " $* " != *" $issue "* ]] && continue
	name=$(printf '%03d-issue-%s' "$number" "$issue")
	if [ -e "$logs/$name.passed" ]; then
		passed=$((passed + 1))
		printf 'passed before   %-3s %s\n' "$issue" "$what"
		continue
	fi
	began=$SECONDS
	{ echo "\$ $command"; } >"$logs/$name.log"
	if timeout --kill-after=1m 3h bash -euo pipefail -c "$command" </dev/null >>"$logs/$name.log" 2>&1; then
		touch "$logs/$name.passed"
		passed=$((passed + 1))
		printf 'passed %5d s  %-3s %s\n' $((SECONDS - began)) "$issue" "$what"
	else
		failed=$((failed + 1))
		printf 'FAILED %5d s  %-3s %s\n                    see %s\n' $((SECONDS - began)) "$issue" "$what" "$logs/$name.log"
	fi
done <"$(dirname "$0")/lines.txt"
echo "$passed passed, $failed failed on $commit; output in $logs"
[ $failed = 0 ]
