#!/usr/bin/env bash
# Installs what full testing needs from Debian or Ubuntu: a browser, and a font that has Chinese.
# `make test` calls this when it may (root, apt); what is there already is left alone.
set -euo pipefail

packages=(chromium fonts-noto-cjk)

missing=()
for package in "${packages[@]}"; do
    dpkg-query --show --showformat='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
    exit 0
fi
echo "system packages: installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
