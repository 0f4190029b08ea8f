#!/usr/bin/env bash
# Gets source packages that tests build or run (GNU hello; the language suite of C++ Nix 2.8) from the Debian
# archive that this machine is configured for, into target/upstream. Nothing of them is ever committed.
# The system's own package lists are left alone: a private list of source packages is derived from them.
set -euo pipefail
cd "$(dirname "$0")/.."
up=$PWD/target/upstream
mkdir -p "$up/lists/partial" "$up/apt"
if [ -f /etc/apt/sources.list.d/debian.sources ]; then
  list=$up/src.sources
  sed 's/^Types:.*/Types: deb-src/' /etc/apt/sources.list.d/debian.sources > "$list"
else
  list=$up/src.list
  sed -n 's/^deb /deb-src /p' /etc/apt/sources.list > "$list"
fi
apt=(-qq -o "Dir::Etc::sourcelist=$list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$up/lists"
     -o "Dir::Cache=$up/apt" -o APT::Sandbox::User=root)
apt-get "${apt[@]}" update
cd "$up"
apt-get "${apt[@]}" source --download-only nix=2.8.0-1.1 hello=2.10-3
sha256sum --quiet -c - <<'SUMS'
08b5a0427218de1906bf03004dcbe51d69c55a7b13ccc22c0bbd83ab3f2ed2f6  nix_2.8.0.orig.tar.xz
31e066137a962676e89f69d1b65382de95a7ef7d914b8cb956f41ea72e0f516b  hello_2.10.orig.tar.gz
SUMS
[ -d nix-2.8.0 ] || tar -xf nix_2.8.0.orig.tar.xz
