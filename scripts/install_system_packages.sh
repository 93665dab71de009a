#!/usr/bin/env bash
# Installs what full testing needs from Debian or Ubuntu: a browser, a font that has Chinese, what builds and
# watches our GenTL producer, the Aravis tools and tshark, which judge it and our simulated camera, and an emulator of
# processors that are older than this one.
# `make test` calls this when it may (root, apt); what is there already is left alone.
set -euo pipefail

packages=(chromium fonts-noto-cjk
    gcc libc6-dev make pkg-config libaravis-dev libusb-1.0-0-dev aravis-tools aravis-tools-cli tshark valgrind qemu-user)

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
