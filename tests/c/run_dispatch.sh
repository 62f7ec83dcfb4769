#!/usr/bin/env bash
# Builds csrc/dispatch with warnings as errors, AddressSanitizer and UndefinedBehaviorSanitizer,
# and runs the tests of what goes through it with that in place of the extension.
#
#   tests/c/run_dispatch.sh [PYTHON]
set -euo pipefail
cd "$(dirname "$0")/../.."

python=${1:-python}
extension=pyautodl/_dispatch.abi3.so
include=$("$python" -c 'import sysconfig; print(sysconfig.get_paths()["include"])')
sanitizers=$(for each in asan ubsan; do gcc -print-file-name=lib$each.so; done | xargs)

mv "$extension" "$extension.kept"
trap 'mv "$extension.kept" "$extension"' EXIT
gcc -shared -fPIC -std=c11 -O1 -g -fno-omit-frame-pointer -fvisibility=hidden \
    -fsanitize=address,undefined -fno-sanitize-recover=all \
    -Wall -Wextra -Wshadow -Wconversion -Werror -DPy_LIMITED_API=0x030b0000 \
    -Icsrc -isystem "$include" csrc/dispatch/*.c -o "$extension"
# Python keeps what it interns to the end: no leaks are looked for, and malloc is asked for each
# object, so that one that is used after its end is seen
env LD_PRELOAD="$sanitizers" ASAN_OPTIONS=detect_leaks=0 PYTHONMALLOC=malloc \
    "$python" -m pytest -q -p no:cacheprovider \
    tests/test_dispatch.py tests/test_line.py tests/test_backward.py tests/test_views.py \
    tests/test_optim_state.py
