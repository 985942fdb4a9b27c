#!/bin/sh
# Fetch the third-party files that pages need, into book/_static/vendor, and check them against vendor.sha256.
# usage: book/_static/vendor.sh           fetch and check
#        book/_static/vendor.sh --record  fetch and write vendor.sha256 (after changing a version)
# Needs npm. Only what pages ask for is kept; licenses/requirejs.txt is written by hand, as its package has none.
# The files there are replaced when the new ones are whole and checked; until then they stay.
set -eu
ANYWIDGET=0.11.0 # as in constraints.txt: a widget's state names the version of the script that shows it
HTML_MANAGER=1.0.15
MATHJAX=3.2.2
REQUIREJS=2.3.8

here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work" "$here/vendor.new"' EXIT
cd "$work"
npm init -y >/dev/null 2>&1
npm install --no-audit --no-fund --ignore-scripts "mathjax@$MATHJAX" "requirejs@$REQUIREJS" \
  "@jupyter-widgets/html-manager@$HTML_MANAGER" "anywidget@$ANYWIDGET" >/dev/null

# formulas: what `mathjax_path` in _config.yml can ask for
from=node_modules/mathjax
to=$work/vendor/mathjax
mkdir -p "$to/output/chtml/fonts" "$to/input/tex"
cp "$from/LICENSE" "$from/es5/tex-mml-chtml.js" "$to/"
cp -r "$from/es5/output/chtml/fonts/woff-v2" "$to/output/chtml/fonts/"
cp -r "$from/es5/input/tex/extensions" "$to/input/tex/"

# widgets: `nb_ipywidgets_js` in _config.yml; the module of a widget is looked for in amd/
manager=node_modules/@jupyter-widgets/html-manager/dist
to=$work/vendor/widgets
mkdir -p "$to/amd" "$to/licenses"
cp node_modules/requirejs/require.js "$manager/embed-amd.js" "$to/"
# icons of widgets, solid and regular, looked for beside the script that asks: the manager's own and that of core widgets
for fonts in "$to/amd/@jupyter-widgets" "$to/amd/@jupyter-widgets/html-manager/dist"; do
  mkdir -p "$fonts"
  cp "$manager/1551f4f60c37af51121f.woff2" "$manager/7a3337626410ca2f4071.woff2" "$fonts/"
done
cp node_modules/anywidget/dist/index.js "$to/amd/anywidget.js"
cp node_modules/anywidget/LICENSE "$to/licenses/anywidget.txt"
cp node_modules/@jupyter-widgets/base7/LICENSE "$to/licenses/html-manager.txt"
cp "$manager/embed.js.LICENSE.txt" "$to/licenses/html-manager-bundled.txt"
cp node_modules/@fortawesome/fontawesome-free/LICENSE.txt "$to/licenses/fontawesome.txt"
cp "$here/vendor/widgets/licenses/requirejs.txt" "$to/licenses/"

cd "$work/vendor"
hash() { if command -v sha256sum >/dev/null; then sha256sum "$@"; else shasum -a 256 "$@"; fi; }
if [ "${1:-}" = --record ]; then
  find . -type f | LC_ALL=C sort | while read -r file; do hash "$file"; done >../vendor.sha256
else
  hash -c "$here/vendor.sha256" >/dev/null
fi

cp -r "$work/vendor" "$here/vendor.new" # beside the old files, so that taking their place is a renaming
mv "$here/vendor" "$here/vendor.old"
mv "$here/vendor.new" "$here/vendor"
rm -rf "$here/vendor.old"
if [ "${1:-}" = --record ]; then cp "$work/vendor.sha256" "$here/"; fi
du -sh "$here/vendor"
