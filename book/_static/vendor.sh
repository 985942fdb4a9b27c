#!/bin/sh
# Fetch the third-party files that pages need, into book/_static/vendor, and check them against vendor.sha256.
# usage: book/_static/vendor.sh           fetch and check
#        book/_static/vendor.sh --record  fetch and write vendor.sha256 (after changing a version)
# Needs npm. MathJax (Apache License 2.0) is pruned to what `mathjax_path` in _config.yml can ask for.
set -eu
MATHJAX=3.2.2

here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null 2>&1
npm install --no-audit --no-fund --ignore-scripts "mathjax@$MATHJAX" >/dev/null

from=node_modules/mathjax
to=$here/vendor/mathjax
rm -rf "$to"
mkdir -p "$to/output/chtml/fonts" "$to/input/tex"
cp "$from/LICENSE" "$from/es5/tex-mml-chtml.js" "$to/"
cp -r "$from/es5/output/chtml/fonts/woff-v2" "$to/output/chtml/fonts/"
cp -r "$from/es5/input/tex/extensions" "$to/input/tex/"

cd "$here/vendor"
hash() { if command -v sha256sum >/dev/null; then sha256sum "$@"; else shasum -a 256 "$@"; fi; }
if [ "${1:-}" = --record ]; then
  find . -type f | LC_ALL=C sort | while read -r file; do hash "$file"; done >../vendor.sha256
else
  hash -c ../vendor.sha256 >/dev/null
fi
du -sh "$here/vendor"
