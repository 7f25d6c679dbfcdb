#!/usr/bin/env bash
# Installs the real peers that the tests run against: directory servers, a KDC, DNS and mail servers, third-party
# clients. Requires root on Debian. Elsewhere it lists what is missing, and the tests that need it are skipped.
set -u
packages=(
	krb5-kdc krb5-admin-server krb5-user python3-gssapi                            # Kerberos: KDC and an independent acceptor
	python3-exchangelib davmail-server libxml2-utils                               # EWS: clients that others wrote; schema validation
	apache2-bin libapache2-mod-auth-gssapi gss-ntlmssp                             # NTLM: a server that others wrote
	samba-ad-dc samba-ad-provision samba-dsdb-modules winbind ldb-tools            # Active Directory
	slapd ldap-utils libsasl2-modules-gssapi-mit libnss-wrapper                    # LDAP at volume; ldapsearch
	bind9 dnsmasq-base unbound knot postfix swaks libnet-ssleay-perl openssl testssl.sh nodejs npm # DNS, SMTP with STARTTLS, TLS, npm packages
	chromium fonts-dejavu-core                                                      # HTML reports
	awscli shellcheck                                                               # Amazon WorkMail
	prometheus-node-exporter python3-prometheus-client                              # metrics
	mandoc rpm                                                                      # man pages, packages
)
# Wine, for the build for Windows on amd64, and a compiler for what Wine lacks.
[ "$(dpkg --print-architecture 2>/dev/null)" = amd64 ] && packages+=(wine64 gcc-mingw-w64-x86-64-win32)
missing=()
for p in "${packages[@]}"; do
	dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'ok installed' && continue
	# Node.js, npm and the AWS CLI may be installed without Debian's packages.
	case $p in
	nodejs | npm) command -v "${p/nodejs/node}" >/dev/null && continue ;;
	awscli) command -v aws >/dev/null && continue ;;
	esac
	missing+=("$p")
done
[ ${#missing[@]} = 0 ] && exit 0
if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
	echo "peers missing, ${#missing[@]} packages; tests that need them are left out. As root on Debian, make peers installs them." >&2
	exit 0
fi
echo "installing peers: ${missing[*]}" >&2
# No installed package may start its own service.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
	printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy && trap 'rm -f $policy' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
echo "postfix postfix/main_mailer_type select No configuration" | debconf-set-selections 2>/dev/null
log=$(mktemp)
if ! { apt-get -o DPkg::Lock::Timeout=300 update && apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 </dev/null; then
	tail -20 "$log" >&2
	echo "PEERS MISSING, the installation failed; tests that need them will be left out" >&2
	[ "${CI:-}" = true ] && exit 1
fi
exit 0
