#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The format of the sources and the grammar of the scripts, as a test.
cd "$(dirname "$0")/../.." || exit 1
echo 1..2
if output=$(tools/sources | xargs clang-format --dry-run --Werror 2>&1); then
	echo "ok 1 - clang-format agrees with every source"
else
	printf '%s\n' "$output" | grep error: | head -n 40 | sed 's/^/# /'
	echo "not ok 1 - clang-format agrees with every source"
fi
python='import ast, sys
for name in sys.argv[1:]:
    with open(name) as f:
        ast.parse(f.read(), name)'
# The files whose first line is like that; the corpus of fuzz targets has hundreds, and none of them is a script.
scripts() {
	find tools tests .ci examples -path tests/corpus -prune -o -type f -exec \
		awk -v first="$1" 'FNR == 1 && $0 ~ first { print FILENAME } { nextfile }' {} +
}
parse() {
	scripts '^#!/bin/(ba)?sh$' | xargs -n 1 bash -n
	scripts 'python3$' | xargs python3 -c "$python"
}
output=$(parse 2>&1)
if [ -z "$output" ]; then
	echo 'ok 2 - every script can be parsed'
else
	printf '%s\n' "$output" | sed 's/^/# /'
	echo 'not ok 2 - every script can be parsed'
fi
