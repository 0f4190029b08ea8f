#!@shell@
# The machine's compiler with the flags of the build; linking goes through the wrapper of `ld`.
export NIX_CC_WRAPPER_ACTIVE=1

before=(-B"@out@/bin/")
after=()
for argument in "$@"; do
    case $argument in
    # Questions about the compiler are answered by it alone.
    -dumpversion | -dumpfullversion | -dumpmachine | --version) exec "@program@" "$@" ;;
    esac
done
if [[ -n "${NIX_BUILD_TOP:-}" && $NIX_BUILD_TOP != / ]]; then
    before+=("-ffile-prefix-map=$NIX_BUILD_TOP=/build")
fi
# shellcheck disable=SC2206
[[ -z "${NIX_CFLAGS_COMPILE_BEFORE:-}" ]] || before+=($NIX_CFLAGS_COMPILE_BEFORE)
# shellcheck disable=SC2206
[[ -z "${NIX_CFLAGS_COMPILE:-}" ]] || after+=($NIX_CFLAGS_COMPILE)
case "@program@" in
*++*)
    # shellcheck disable=SC2206
    [[ -z "${NIX_CXXFLAGS_COMPILE:-}" ]] || after+=($NIX_CXXFLAGS_COMPILE)
    ;;
esac
# shellcheck disable=SC2206
[[ -z "${NIX_CFLAGS_LINK:-}" ]] || after+=($NIX_CFLAGS_LINK)

# Without operands gcc complains by itself; flags alone would change the complaint.
(($#)) || exec "@program@"
exec "@program@" "${before[@]}" "$@" "${after[@]}"
