#!/usr/bin/env bash
# Runs every line of lines.txt: what must be seen of hybridge, each with the command that shows it. A line that passed on
# this commit is not run again, so that an interrupted run goes on; --again forgets them. ISSUE... takes those alone.
# JOBS=N runs N lines side by side; those of the releases and of performance, at the end, run alone.
# The output of each line is in the directory that the last line names.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit
commit=$(git rev-parse --short=12 HEAD)
logs=${ACCEPTANCE_DIR:-${TMPDIR:-/tmp}/hybridge-acceptance}/$commit
[ "${1:-}" = --again ] && { rm -rf "$logs"; shift; }
mkdir -p "$logs"
export CI=true

# run runs one line, and leaves a file where it passed.
run() {
	local name=$1 issue=$2 what=$3 command=$4 began=$SECONDS
	echo "\$ $command" >"$logs/$name.log"
	if timeout --kill-after=1m 3h bash -euo pipefail -c "$command" </dev/null >>"$logs/$name.log" 2>&1; then
		touch "$logs/$name.passed"
		printf 'passed %5d s  %-3s %s\n' $((SECONDS - began)) "$issue" "$what"
	else
		printf 'FAILED %5d s  %-3s %s\n                    see %s\n' $((SECONDS - began)) "$issue" "$what" "$logs/$name.log"
	fi
}

passed=0 number=0 names=()
while IFS=$'\t' read -r issue what command; do
	case $issue in '' | '#'*) continue ;; esac
	number=$((number + 1))
	[ $# -gt 0 ] && [[ " $* " != *" $issue "* ]] && continue
	name=$(printf '%03d-issue-%s' "$number" "$issue")
	names+=("$name")
	if [ -e "$logs/$name.passed" ]; then
		printf 'passed before   %-3s %s\n' "$issue" "$what"
		continue
	fi
	jobs=${JOBS:-1}
	[ "$issue" = 18 ] && jobs=1
	while [ "$(jobs -pr | wc -l)" -ge "$jobs" ]; do wait -n; done
	run "$name" "$issue" "$what" "$command" &
done <"$(dirname "$0")/lines.txt"
wait
for name in "${names[@]}"; do
	[ -e "$logs/$name.passed" ] && passed=$((passed + 1))
done
echo "$passed passed, $((${#names[@]} - passed)) failed on $commit; output in $logs"
[ $passed = ${#names[@]} ]
