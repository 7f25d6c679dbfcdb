#!/usr/bin/env bash
# Builds the release of this commit twice, in two directories, and compares all files byte for byte. Then it looks into
# them: the package installs into an empty Debian tree and its program runs there, the archive for Windows runs under Wine,
# and no binary is over the limit. --once builds one release only.
set -euo pipefail
cd "$(dirname "$0")/../.."
top=$PWD
export PATH="$top/bin:$PATH"
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
goreleaser check

release() { # DIRECTORY
	git clone --quiet "$top" "$1"
	(cd "$1" && goreleaser release --snapshot --clean >"$1.log" 2>&1) || { tail -40 "$1.log"; exit 1; }
	# The two files that goreleaser writes for itself name the directory and the time.
	# winget's manifest names the day, and its two processors in any sequence.
	(cd "$1/dist" && {
		find . -type f ! -name artifacts.json ! -name metadata.json ! -name config.yaml ! -path './winget/*' -print0 | sort -z |
			xargs -0 sha256sum
		find ./winget -type f | sort | while read -r f; do echo "$(grep -v '^ReleaseDate' "$f" | sort | sha256sum) $f"; done
	}) >"$1.sums"
}
release "$work/one"
if [ "${1:-}" != --once ]; then
	release "$work/a-directory-with-another-name"
	diff "$work/one.sums" "$work/a-directory-with-another-name.sums" || {
		echo "error: two releases of one commit differ" >&2
		exit 1
	}
	echo "two releases of one commit: $(wc -l <"$work/one.sums") files are the same"
fi

dist=$work/one/dist
(cd "$dist" && sha256sum --quiet --check checksums.txt)
for kind in '*.tar.gz' '*.zip' '*.deb' '*.rpm' '*.cdx.json' '*.rb' '*.yaml' 'hybridge.json'; do
	[ -n "$(find "$dist" -name "$kind" -print -quit)" ] || { echo "error: the release has no $kind" >&2; exit 1; }
done
large=$(find "$dist" -name 'hybridge' -type f -size +30000000c -o -name 'hybridge.exe' -size +30000000c)
[ -z "$large" ] || { echo "error: over 30 MB: $large" >&2; exit 1; }

# A Debian tree that has nothing but what the package brings.
deb=$(find "$dist" -name "*_$(go env GOARCH).deb")
tree=$work/tree
mkdir -p "$tree/var/lib/dpkg/info" "$tree/var/lib/dpkg/updates" "$tree/tmp" "$tree/root" "$tree/dev"
touch "$tree/var/lib/dpkg/status" "$tree/var/lib/dpkg/available"
dpkg --root="$tree" --force-not-root --force-script-chrootless --install "$deb" >/dev/null
for f in usr/bin/hybridge usr/share/man/man1/hybridge.1.gz usr/share/bash-completion/completions/hybridge \
	usr/share/doc/hybridge/copyright usr/share/doc/hybridge/NOTICES.txt usr/share/doc/hybridge/docs/tasks.md; do
	[ -s "$tree/$f" ] || { echo "error: the package lacks $f" >&2; exit 1; }
done
man -l "$tree/usr/share/man/man1/hybridge-plan.1.gz" | grep -q scripts || { echo "error: man page" >&2; exit 1; }
if [ "$(id -u)" = 0 ]; then
	mknod -m 666 "$tree/dev/null" c 1 3 2>/dev/null || touch "$tree/dev/null"
	mknod -m 666 "$tree/dev/urandom" c 1 9 2>/dev/null || true
	HOME=/root TMPDIR=/tmp chroot "$tree" /usr/bin/hybridge version
	HOME=/root TMPDIR=/tmp chroot "$tree" /usr/bin/hybridge demo >"$work/demo.txt" 2>"$work/demo.log" || { tail -20 "$work/demo.txt"; exit 1; }
	echo "installed $(basename "$deb") into an empty tree; the demo ran there: $(tail -1 "$work/demo.txt")"
fi
rpm=$(find "$dist" -name '*.rpm' -name '*x86_64*' -o -name '*amd64*.rpm' | head -1)
if command -v rpm >/dev/null; then
	rpm -qlp "$rpm" 2>/dev/null | grep -q '^/usr/bin/hybridge$' || { echo "error: rpm" >&2; exit 1; }
	echo "rpm reads $(basename "$rpm")"
fi
# Wine lacks a library that Go's programs load; test/windows has it.
zip=$(find "$dist" -name '*windows_amd64*.zip')
if [ -x /usr/lib/wine/wine64 ] && command -v x86_64-w64-mingw32-gcc >/dev/null; then
	export WINEPREFIX=$work/prefix WINEDEBUG=-all WINEDLLOVERRIDES='bcryptprimitives=n;mscoree=;mshtml=' HOME=$work
	mkdir "$work/windows" && (cd "$work/windows" && python3 -m zipfile -e "$zip" .)
	/usr/lib/wine/wine64 wineboot --init >/dev/null 2>&1
	x86_64-w64-mingw32-gcc -shared -o "$WINEPREFIX/drive_c/windows/system32/bcryptprimitives.dll" \
		test/windows/testdata/bcryptprimitives.c -ladvapi32
	/usr/lib/wine/wine64 "$work/windows/hybridge.exe" version | tr -d '\r' | tee "$work/version"
	/usr/lib/wine/wineserver64 --kill || true
	grep -q windows/amd64 "$work/version"
	echo "the archive for Windows runs under Wine"
fi
