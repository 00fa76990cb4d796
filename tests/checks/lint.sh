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
status=ok
while IFS= read -r -d '' file; do
	case $(head -n 1 "$file" | tr -d '\0') in
	'#!/bin/bash' | '#!/bin/sh') output=$(bash -n "$file" 2>&1) ;;
	*python3) output=$(python3 -c 'import ast, sys; ast.parse(open(sys.argv[1]).read(), sys.argv[1])' "$file" 2>&1) ;;
	*) continue ;;
	esac || { status='not ok' && printf '%s\n' "$output" | sed 's/^/# /'; }
done < <(find tools tests .ci examples -type f -print0 2>/dev/null)
echo "$status 2 - every script can be parsed"
