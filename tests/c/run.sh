#!/usr/bin/env bash
# Builds the runtime and the kernel tables with warnings as errors, links every test_*.c here
# against cmocka and runs them. Objects are kept in build/c-tests and reused.
#
#   tests/c/run.sh [--sanitize] [--arm64] [NAME...]
#
# --sanitize  with AddressSanitizer and UndefinedBehaviorSanitizer in the runtime and in the
#             families of kernels that the tests call; the others are built as without
# --arm64     with aarch64-linux-gnu-gcc, run under qemu-aarch64; cmocka comes from
#             dpkg --add-architecture arm64 && apt-get update &&
#             apt-get install libcmocka-dev:arm64
# NAME        test_NAME.c alone
#
# PYAUTODL_BUILD_ISAS=avx512 builds that table alone, as it does for setup.py.
set -euo pipefail
cd "$(dirname "$0")/../.."

variant=$(uname -m)
compiler=${CC:-gcc}
runner=()
# as setup.py has them
flags=(-std=c11 -ffp-contract=off -fno-math-errno -fno-trapping-math -fvisibility=hidden -pthread)
plain=(-O3)
optimise=("${plain[@]}")
# the families, by kernels.def's headings, whose kernels the tests name
called=$(grep -rhoE 'PYAD_ID_[a-z0-9_]+' tests/c/*.c tests/c/*.h | sort -u)
tested=$(awk -v called="$called" '
    BEGIN { split(called, ids); for (i in ids) wanted[ids[i]] }
    /^\/\* ---- / { family = $3 }
    match($0, /^KERNEL\([a-z0-9_]+/) && "PYAD_ID_" substr($0, 8, RLENGTH - 7) in wanted {
        print family
    }' csrc/kernels.def | sort -u)
strict=(-Wall -Wextra -Wshadow -Wconversion -Werror)
link=(-pthread)
tests=()

for argument in "$@"; do
    case $argument in
    --sanitize)
        variant+=-sanitize
        optimise=(-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined
            -fno-sanitize-recover=all)
        link+=(-fsanitize=address,undefined)
        ;;
    --arm64)
        variant=aarch64${variant#"$(uname -m)"}
        if [ "$(uname -m)" != aarch64 ]; then
            library=/usr/lib/aarch64-linux-gnu
            if [ ! -e $library/libcmocka.so ]; then
                echo "$0: --arm64 needs libcmocka-dev:arm64, see the head of this file" >&2
                exit 1
            fi
            compiler=aarch64-linux-gnu-gcc
            link+=(-L$library "-Wl,-rpath,$library")
            # with the libc that cmocka brings; the cross compiler's loader (-L) hangs with it
            runner=(env PYAD_EMULATED=1 qemu-aarch64)
        fi
        ;;
    -*)
        sed -n '2,/^set/p' "$0" | sed '$d; s/^# \{0,1\}//' >&2
        exit 2
        ;;
    *) tests+=("tests/c/test_$argument.c") ;;
    esac
done
[ ${#tests[@]} -gt 0 ] || tests=(tests/c/test_*.c)

case $compiler in ccache*) ;; *) ! command -v ccache >/dev/null || compiler="ccache $compiler" ;; esac
build=build/c-tests/$variant
mkdir -p "$build" "${build%-sanitize}"
commands=$build/commands
: >"$commands"
objects=()

# compile OBJECT SOURCE FLAGS...: a line in $commands, unless OBJECT is newer than all that its
# last compilation read (OBJECT.d, a rule of make)
compile() {
    local object=$build/$1 source=$2 line
    shift 2
    objects+=("$object")
    up_to_date "$object" && return
    printf -v line '%q ' "${flags[@]}" "${optimise[@]}" -MMD -MF "$object.d" -Icsrc "$@" \
        -c "$source" -o "$object"
    printf '%s %s\n' "$compiler" "$line" >>"$commands"
}

# up_to_date OBJECT; a file that is gone counts as changed: find complains of it
up_to_date() {
    [ -e "$1" ] && [ -e "$1.d" ] || return 1
    local read
    read=$(sed 's/^[^ ]*://; s/\\$//' "$1.d")
    # shellcheck disable=SC2086 # a list of names
    [ -z "$(find tests/c/run.sh $read -newer "$1" -print -quit 2>&1)" ]
}

# without_sanitizers compile ...: what it compiles is that of the build without --sanitize
without_sanitizers() {
    local build=${build%-sanitize} optimise=("${plain[@]}")
    "$@"
}

# table ISA FLAGS...: its table and all families of kernels
table() {
    local isa=$1 family name how
    local names=("-DISA=$isa" "-DISA_FILE=\"isa/$isa.h\"")
    shift
    case ,${PYAUTODL_BUILD_ISAS:-$isa}, in *,$isa,*) ;; *) return ;; esac
    built+=("-DPYAD_HAS_${isa^^}=1")
    compile "table-$isa.o" csrc/isa/table.c "${strict[@]}" "${names[@]}" "$@"
    for family in csrc/kernels/*_tpl.h; do
        name=$(basename "$family" _tpl.h)
        how=(without_sanitizers)
        ! grep -qx "$name" <<<"$tested" || how=()
        "${how[@]}" compile "$name-$isa.o" csrc/isa/unit.c "${strict[@]}" \
            "${names[@]}" "-DTEMPLATE=\"${family#csrc/}\"" "$@"
    done
}

built=()
case $variant in
x86_64*)
    table avx512 -mavx512f -mavx512dq -mavx512bw -mavx512vl -mfma -mprefer-vector-width=512
    table avx2 -mavx2 -mfma
    ;;
esac
table base

for source in csrc/runtime/*.c csrc/math/special.c csrc/loss/ctc.c csrc/sort/radix.c; do
    compile "$(basename "$source" .c).o" "$source" "${strict[@]}" '-DPYAD_VERSION="test"' "${built[@]}"
done
library=("${objects[@]}")

for test in "${tests[@]}"; do
    # cmocka's macros convert freely
    compile "$(basename "$test" .c).o" "$test" \
        -D_GNU_SOURCE -Wall -Wextra -Wshadow -Werror
done

# each line is one compiler run; xargs stops at the first that fails
if [ -s "$commands" ]; then
    echo "$(wc -l <"$commands") files to compile ($variant)"
    xargs -d '\n' -P "$(nproc)" -I{} sh -c '{} || exit 255' <"$commands"
fi

failed=()
for test in "${tests[@]}"; do
    program=$build/$(basename "$test" .c)
    $compiler "${link[@]}" "$program.o" "${library[@]}" -lcmocka -lm -o "$program"
    echo "== $(basename "$program") ($variant)"
    timeout -k 10 600 "${runner[@]}" "$program" || failed+=("$(basename "$program")")
done
if [ ${#failed[@]} -gt 0 ]; then
    echo "failed: ${failed[*]}" >&2
    exit 1
fi
echo "all passed ($variant)"
