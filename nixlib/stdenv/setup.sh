# The build environment of nixlib: sourced by every stdenv build as `$stdenv/setup`.
#
# Variables arrive from the derivation's attributes, as environment variables or (structured
# attributes) as shell variables and arrays. Above this text stands a generated head that sets
# initialPath, defaultNativeBuildInputs, shell and hostLocale.

set -eo pipefail
shopt -s nullglob 2>/dev/null && shopt -u nullglob

if [[ -n "${NIX_ATTRS_SH_FILE:-}" && -e "$NIX_ATTRS_SH_FILE" ]]; then
    # shellcheck disable=SC1090
    source "$NIX_ATTRS_SH_FILE"
    for _output in "${!outputs[@]}"; do
        export "$_output=${outputs[$_output]}"
    done
fi

# Functions have locals called `name`; this one stays.
_buildName=${name:-this derivation}

# ---------------------------------------------------------------- small things

# _words NAME ARRAY: append the words of variable NAME, a list or a text, to ARRAY.
_words() {
    local _declared
    _declared=$(declare -p "$1" 2>/dev/null) || return 0
    local -n _into=$2
    if [[ $_declared =~ ^declare\ -[a-zA-Z]*a ]]; then
        local -n _from=$1
        _into+=("${_from[@]}")
    else
        local - && set -f
        # shellcheck disable=SC2206
        _into+=(${!1})
    fi
}

# Names of all outputs, `out` first if there is one.
_outputNames() {
    if [[ -n "${NIX_ATTRS_SH_FILE:-}" && -e "${NIX_ATTRS_SH_FILE:-}" ]]; then
        local _name _sorted
        _sorted=$(printf '%s\n' "${!outputs[@]}" | sort)
        [[ -n "${outputs[out]:-}" ]] && echo out
        for _name in $_sorted; do [[ $_name == out ]] || echo "$_name"; done
    else
        local _name
        for _name in ${outputs:-out}; do echo "$_name"; done
    fi
}

getAllOutputNames() { _outputNames | tr '\n' ' '; }

nixLog() { echo "$*" >&2; }
nixErrorLog() { echo "error: $*" >&2; }

# A program that no input brings: say so, and how to get it.
command_not_found_handle() {
    echo "error: the program '$1' is in no input of this build." >&2
    echo "       Add the package that has it to nativeBuildInputs; if nixlib left it out because it is" >&2
    echo "       not on this machine, install it there (on Debian: apt install $1)." >&2
    return 127
}

isELF() {
    local magic
    IFS= LC_ALL=C read -r -N 4 magic <"$1" 2>/dev/null || return 1
    [[ $magic == $'\x7fELF' ]]
}

isScript() {
    local magic
    IFS= LC_ALL=C read -r -N 2 magic <"$1" 2>/dev/null || return 1
    [[ $magic == '#!' ]]
}

isExecutable() { [[ -f $1 && -x $1 ]]; }

# stripHash PATH: the file name without store hash.
stripHash() {
    local name
    name=$(basename -- "$1")
    if [[ $name =~ ^[0-9a-z]{32}- ]]; then name=${name:33}; fi
    echo "$name"
}

appendToVar() {
    local name=$1 declared
    shift
    declared=$(declare -p "$name" 2>/dev/null) || declared=
    if [[ $declared =~ ^declare\ -[a-zA-Z]*a || -n "${__structuredAttrs:-}" ]]; then
        local -n array=$name
        array+=("$@")
    else
        export "$name=${!name:+${!name} }$*"
    fi
}

prependToVar() {
    local name=$1 declared
    shift
    declared=$(declare -p "$name" 2>/dev/null) || declared=
    if [[ $declared =~ ^declare\ -[a-zA-Z]*a || -n "${__structuredAttrs:-}" ]]; then
        local -n array=$name
        array=("$@" "${array[@]}")
    else
        export "$name=$*${!name:+ ${!name}}"
    fi
}

concatTo() {
    local -n concatTarget=$1
    local spec name default
    shift
    for spec in "$@"; do
        name=${spec%%=*}
        default=
        [[ $spec == *=* ]] && default=${spec#*=}
        local before=${#concatTarget[@]}
        _words "$name" "${!concatTarget}"
        [[ ${#concatTarget[@]} == "$before" && -n $default ]] && concatTarget+=("$default")
    done
    return 0
}

# addToSearchPath VARIABLE DIRECTORY: append an existing directory, joined by ':'.
addToSearchPathWithCustomDelimiter() {
    local delimiter=$1 name=$2 dir=$3
    if [[ -d $dir && $delimiter${!name}$delimiter != *"$delimiter$dir$delimiter"* ]]; then
        export "$name=${!name:+${!name}$delimiter}$dir"
    fi
}
addToSearchPath() { addToSearchPathWithCustomDelimiter ":" "$@"; }

# ---------------------------------------------------------------- hooks

# One implicit hook: a function of that name, else a variable with shell text, else nothing.
_callImplicitHook() {
    local default=$1 name=$2
    if declare -F "$name" >/dev/null; then
        "$name"
    elif [[ -n "${!name:-}" ]]; then
        eval "${!name}"
    else
        return "$default"
    fi
}

# runHook NAME [ARGUMENTS]: the implicit hook, then every element of ${NAME}Hooks.
runHook() {
    local name=$1 hook
    shift
    local -n _hooks="${name%Hook}Hooks"
    _callImplicitHook 0 "$name" "$@"
    for hook in "${_hooks[@]}"; do
        if declare -F "$hook" >/dev/null; then "$hook" "$@"; else eval "$hook"; fi
    done
    return 0
}

runOneHook() {
    local name=$1 hook
    shift
    local -n _hooks="${name%Hook}Hooks"
    for hook in "$name" "${_hooks[@]}"; do
        if declare -F "$hook" >/dev/null && "$hook" "$@"; then return 0; fi
    done
    return 1
}

# addEnvHooks OFFSET FUNCTION…: functions called with every input.
envHooks=()
addEnvHooks() {
    shift
    envHooks+=("$@")
}

# ---------------------------------------------------------------- environment

export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-315532800}
export TZ=UTC
export ZERO_AR_DATE=1
# The place of the locale has to be known before its name.
if [[ -n "${hostLocale:-}" ]]; then
    if [[ -z "${LOCPATH:-}" ]]; then
        # The C library of this very shell looks LOCPATH up in the environment it was started with.
        export LOCPATH=$hostLocale/lib/locale
        { export LC_ALL=C.UTF-8; } 2>/dev/null
        [[ $0 != */*-builder.sh ]] || exec "$shell" -e "$0"
    fi
    export LC_ALL=C.UTF-8
else
    export LC_ALL=C
fi
export NIX_BUILD_CORES=${NIX_BUILD_CORES:-1}
if ((NIX_BUILD_CORES < 1)); then
    NIX_BUILD_CORES=$(nproc 2>/dev/null || echo 1)
fi
export CONFIG_SHELL=$shell SHELL=$shell
export NIX_STORE=${NIX_STORE:-/nix/store}
: "${NIX_BUILD_TOP:=$PWD}"
export NIX_BUILD_TOP

PATH=
for _dir in $initialPath; do
    addToSearchPath PATH "$_dir/bin"
    addToSearchPath PATH "$_dir/sbin"
done
export PATH
_initialPATH=$PATH
PATH=

# Everything below works on this variable, so that inputs come before the initial path.
pkgsSeen=()
declare -A _seen=()

_addInput() {
    local pkg=$1 file dep
    [[ -n $pkg && -z "${_seen[$pkg]:-}" ]] || return 0
    _seen[$pkg]=1
    if [[ ! -e $pkg ]]; then
        nixErrorLog "the build input $pkg does not exist"
        exit 1
    fi
    pkgsSeen+=("$pkg")
    for file in propagated-build-inputs propagated-native-build-inputs; do
        if [[ -f $pkg/nix-support/$file ]]; then
            for dep in $(<"$pkg/nix-support/$file"); do _addInput "$dep" "$2"; done
        fi
    done
    if [[ $2 == native || -z "${strictDeps:-}" ]]; then
        addToSearchPath PATH "$pkg/bin"
    fi
}

_allInputs=()
for _name in depsBuildBuild nativeBuildInputs depsBuildTarget defaultNativeBuildInputs \
    depsBuildBuildPropagated propagatedNativeBuildInputs depsBuildTargetPropagated; do
    _list=()
    _words "$_name" _list
    for _pkg in "${_list[@]}"; do _addInput "$_pkg" native; done
done
for _name in depsHostHost buildInputs depsTargetTarget \
    depsHostHostPropagated propagatedBuildInputs depsTargetTargetPropagated; do
    _list=()
    _words "$_name" _list
    for _pkg in "${_list[@]}"; do _addInput "$_pkg" host; done
done

PATH=${PATH:+$PATH:}$_initialPATH
export HOST_PATH=$PATH

_addFlags() {
    local pkg=$1
    if [[ -d $pkg/include ]]; then
        export NIX_CFLAGS_COMPILE="${NIX_CFLAGS_COMPILE:+$NIX_CFLAGS_COMPILE }-isystem $pkg/include"
    fi
    local dir
    for dir in lib lib64; do
        if [[ -d $pkg/$dir && ! -L $pkg/$dir ]]; then
            export NIX_LDFLAGS="${NIX_LDFLAGS:+$NIX_LDFLAGS }-L$pkg/$dir"
        fi
    done
    addToSearchPath PKG_CONFIG_PATH "$pkg/lib/pkgconfig"
    addToSearchPath PKG_CONFIG_PATH "$pkg/share/pkgconfig"
    addToSearchPath CMAKE_PREFIX_PATH "$pkg"
    addToSearchPath ACLOCAL_PATH "$pkg/share/aclocal"
    addToSearchPath XDG_DATA_DIRS "$pkg/share"
}

# Setup hooks first: they may register functions that are to see every input.
for _pkg in "${pkgsSeen[@]}"; do
    if [[ -f $_pkg ]]; then
        # shellcheck disable=SC1090
        source "$_pkg"
    elif [[ -f $_pkg/nix-support/setup-hook ]]; then
        # shellcheck disable=SC1091
        source "$_pkg/nix-support/setup-hook"
    fi
done
for _pkg in "${pkgsSeen[@]}"; do
    [[ -d $_pkg ]] || continue
    _addFlags "$_pkg"
    for _hook in "${envHooks[@]}"; do "$_hook" "$_pkg"; done
done

# ---------------------------------------------------------------- outputs

# _assignOutput VARIABLE CANDIDATE…: the first candidate that is an output.
_assignOutput() {
    local variable=$1 candidate
    shift
    [[ -z "${!variable:-}" ]] || return 0
    for candidate in "$@"; do
        if [[ -n "${!candidate:-}" && " $_outputList " == *" $candidate "* ]]; then
            export "$variable=$candidate"
            return 0
        fi
    done
    export "$variable=${_outputList%% *}"
}

_outputList=$(getAllOutputNames)
_outputList=${_outputList% }
_assignOutput outputBin bin out
_assignOutput outputLib lib out
_assignOutput outputDev dev out
_assignOutput outputInclude "$outputDev" dev out
_assignOutput outputDoc doc out
_assignOutput outputDevdoc devdoc doc out
_assignOutput outputMan man "$outputBin"
_assignOutput outputInfo info "$outputBin"
_firstOutput=${_outputList%% *}
: "${prefix:=${!_firstOutput:-}}"
export prefix

# moveToOutput GLOB OUTPUT: move matching files of all other outputs there.
moveToOutput() {
    local pattern=$1 target=${!2:-$2} name source path relative
    for name in $_outputList; do
        source=${!name}
        [[ $source != "$target" ]] || continue
        for path in $source/$pattern; do
            [[ -e $path || -L $path ]] || continue
            relative=${path#"$source"/}
            if [[ $2 == REMOVE ]]; then
                rm -rf "$path"
                continue
            fi
            nixLog "moving $path to $target/$relative"
            if [[ -d $target/$relative && -d $path ]]; then
                cp -a "$path/." "$target/$relative/"
                rm -rf "$path"
            else
                mkdir -p "$(dirname "$target/$relative")"
                mv "$path" "$target/$relative"
            fi
            rmdir --ignore-fail-on-non-empty -p "$(dirname "$path")" 2>/dev/null || true
        done
    done
}

_moveOutputs() {
    [[ $_outputList == *" "* ]] || return 0
    if [[ $outputDev != "$_firstOutput" ]]; then
        moveToOutput include "$outputInclude"
        moveToOutput lib/pkgconfig "$outputDev"
        moveToOutput share/pkgconfig "$outputDev"
        moveToOutput lib/cmake "$outputDev"
        moveToOutput share/aclocal "$outputDev"
        moveToOutput 'lib/*.la' "$outputDev"
        moveToOutput 'bin/*-config' "$outputDev"
    fi
    [[ $outputBin == "$_firstOutput" ]] || { moveToOutput bin "$outputBin" && moveToOutput sbin "$outputBin"; }
    [[ $outputLib == "$_firstOutput" ]] || { moveToOutput 'lib/*.so*' "$outputLib" && moveToOutput 'lib/*.a' "$outputLib"; }
    [[ $outputMan == "$_firstOutput" ]] || moveToOutput share/man "$outputMan"
    [[ $outputInfo == "$_firstOutput" ]] || moveToOutput share/info "$outputInfo"
    [[ $outputDoc == "$_firstOutput" ]] || moveToOutput share/doc "$outputDoc"
    [[ $outputDevdoc == "$_firstOutput" ]] || moveToOutput share/gtk-doc "$outputDevdoc"
}

# ---------------------------------------------------------------- text substitution

# substituteStream VARIABLE DESCRIPTION OPTIONS…: edit the text in VARIABLE.
substituteStream() {
    local variable=$1 description=$2
    shift 2
    while (($#)); do
        local pattern replacement mode=warn
        case $1 in
        --replace | --replace-fail | --replace-warn | --replace-quiet)
            [[ $1 == --replace ]] || mode=${1#--replace-}
            pattern=$2 replacement=$3
            shift 3
            ;;
        --subst-var)
            if [[ -z "${!2+set}" ]]; then
                nixErrorLog "substitute: the variable $2 is not set"
                return 1
            fi
            pattern="@$2@" replacement=${!2} mode=quiet
            shift 2
            ;;
        --subst-var-by)
            pattern="@$2@" replacement=$3 mode=quiet
            shift 3
            ;;
        *)
            nixErrorLog "substitute: the option '$1' is not known"
            return 1
            ;;
        esac
        if [[ -z $pattern ]]; then
            nixErrorLog "substitute: the pattern is empty"
            return 1
        fi
        if [[ ${!variable} != *"$pattern"* ]]; then
            case $mode in
            fail)
                nixErrorLog "substitute: $description does not contain '$pattern'"
                return 1
                ;;
            warn) nixLog "warning: substitute: $description does not contain '$pattern'" ;;
            esac
            continue
        fi
        printf -v "$variable" '%s' "${!variable//"$pattern"/"$replacement"}"
    done
}

substitute() {
    local input=$1 output=$2 _text=
    shift 2
    if [[ ! -f $input ]]; then
        nixErrorLog "substitute: the file '$input' does not exist"
        return 1
    fi
    IFS= LC_ALL=C read -r -d '' _text <"$input" || true
    substituteStream _text "the file '$input'" "$@" || return 1
    [[ ! -e $output ]] || chmod +w "$output"
    printf '%s' "$_text" >"$output"
}

substituteInPlace() {
    local files=() file
    while (($#)) && [[ $1 != --* ]]; do
        files+=("$1")
        shift
    done
    for file in "${files[@]}"; do substitute "$file" "$file" "$@" || return 1; done
}

# _allSubstitutions: fills the array `args` with one --subst-var for each exported variable whose
# name begins with a small letter.
_allSubstitutions() {
    local name
    while read -r name; do
        [[ $name =~ ^[a-z][a-zA-Z0-9_]*$ ]] && args+=(--subst-var "$name")
    done < <(compgen -e)
    return 0
}
substituteAll() {
    local args=()
    _allSubstitutions
    substitute "$1" "$2" "${args[@]}"
}
substituteAllInPlace() {
    local file=$1
    shift
    substituteAll "$file" "$file" "$@"
}

# ---------------------------------------------------------------- scripts

# patchShebangs [--build|--host|--update] PATH…: let scripts name interpreters in the store.
patchShebangs() {
    local update=
    while [[ ${1:-} == --* ]]; do
        [[ $1 == --update ]] && update=1
        shift
    done
    local file line rest interpreter program new text
    while IFS= read -r -d '' file; do
        isScript "$file" || continue
        IFS= read -r line <"$file" || true
        read -r interpreter rest <<<"${line:2}"
        [[ -n $interpreter ]] || continue
        [[ $interpreter != "$NIX_STORE"/* || -n $update ]] || continue
        if [[ $interpreter == */env ]]; then
            while [[ ${rest%% *} == -* || ${rest%% *} == *=* ]]; do
                [[ $rest == *" "* ]] || break
                rest=${rest#* }
            done
            read -r program rest <<<"$rest"
        else
            program=${interpreter##*/}
        fi
        new=$(PATH=$HOST_PATH type -P "$program" || true)
        if [[ -z $new ]]; then
            nixLog "patchShebangs: $file: no input has '$program'"
            continue
        fi
        new="#!$new${rest:+ $rest}"
        [[ $new != "$line" ]] || continue
        nixLog "patchShebangs: $file: ${line} -> ${new}"
        local writable=1
        [[ -w $file ]] || writable=
        [[ -n $writable ]] || chmod u+w "$file"
        text=$(mktemp "$NIX_BUILD_TOP/shebang.XXXXXX")
        { echo "$new" && tail -n +2 "$file"; } >"$text"
        touch -r "$file" "$text"
        cat "$text" >"$file"
        touch -r "$text" "$file"
        rm "$text"
        [[ -n $writable ]] || chmod u-w "$file"
    done < <(find "$@" -type f -perm -0100 -print0)
}

# makeWrapper EXECUTABLE WRAPPER OPTIONS…: a script that sets the environment, then runs.
makeWrapper() {
    local original=$1 wrapper=$2 flagsBefore=() flagsAfter=() argv0=
    shift 2
    if [[ ! -x $original || -d $original ]]; then
        nixErrorLog "makeWrapper: '$original' is not an executable file"
        return 1
    fi
    mkdir -p "$(dirname "$wrapper")"
    local lines="#!$shell -e"$'\n'
    while (($#)); do
        case $1 in
        --set) lines+="export $2=$(_quote "$3")"$'\n' && shift 3 ;;
        --set-default) lines+="export $2=\${$2-$(_quote "$3")}"$'\n' && shift 3 ;;
        --unset) lines+="unset $2"$'\n' && shift 2 ;;
        --chdir) lines+="cd $(_quote "$2")"$'\n' && shift 2 ;;
        --run) lines+="$2"$'\n' && shift 2 ;;
        --prefix) lines+="export $2=$(_quote "$4")\${$2:+$(_quote "$3")\$$2}"$'\n' && shift 4 ;;
        --suffix) lines+="export $2=\${$2:+\$$2$(_quote "$3")}$(_quote "$4")"$'\n' && shift 4 ;;
        --prefix-each | --suffix-each)
            local kind=${1%-each} name=$2 separator=$3 value
            for value in $4; do
                if [[ $kind == --prefix ]]; then
                    lines+="export $name=$(_quote "$value")\${$name:+$(_quote "$separator")\$$name}"$'\n'
                else
                    lines+="export $name=\${$name:+\$$name$(_quote "$separator")}$(_quote "$value")"$'\n'
                fi
            done
            shift 4
            ;;
        --add-flags | --add-flag) flagsBefore+=("$([[ $1 == --add-flag ]] && _quote "$2" || echo "$2")") && shift 2 ;;
        --append-flags | --append-flag) flagsAfter+=("$([[ $1 == --append-flag ]] && _quote "$2" || echo "$2")") && shift 2 ;;
        --argv0) argv0="-a $(_quote "$2") " && shift 2 ;;
        --inherit-argv0) argv0='-a "$0" ' && shift ;;
        --resolve-argv0) shift ;;
        *)
            nixErrorLog "makeWrapper: the option '$1' is not known"
            return 1
            ;;
        esac
    done
    lines+="exec $argv0\"$original\" ${flagsBefore[*]:+${flagsBefore[*]} }\"\$@\"${flagsAfter[*]:+ ${flagsAfter[*]}}"
    rm -f "$wrapper"
    printf '%s\n' "$lines" >"$wrapper"
    chmod +x "$wrapper"
}
makeShellWrapper() { makeWrapper "$@"; }

_quote() { printf "'%s'" "${1//\'/\'\\\'\'}"; }

wrapProgram() {
    local program=$1 hidden
    shift
    if [[ ! -x $program || -d $program ]]; then
        nixErrorLog "wrapProgram: '$program' is not an executable file"
        return 1
    fi
    hidden=$(dirname "$program")/.$(basename "$program")-wrapped
    while [[ -e $hidden ]]; do hidden+=_; done
    mv "$program" "$hidden"
    makeWrapper "$hidden" "$program" --inherit-argv0 "$@"
}
wrapProgramShell() { wrapProgram "$@"; }

# ---------------------------------------------------------------- unpack

unpackCmdHooks=()

_unpackTree() {
    [[ -d $1 ]] || return 1
    cp -r --no-preserve=ownership --preserve=mode,timestamps -- "$1" "$(stripHash "$1")"
}
_unpackArchive() {
    case $1 in
    *.tar | *.tar.gz | *.tgz | *.tar.bz2 | *.tbz2 | *.tbz | *.tar.xz | *.txz | *.tar.zst | *.tar.lz)
        # Decompressors are found by tar itself; odd owners and modes of archives are not ours.
        tar xf "$1" --no-same-owner --mode=u+rwX --warning=no-timestamp
        ;;
    *.zip | *.jar) unzip -qq "$1" ;;
    *.gz) gzip -dc "$1" >"$(basename "$(stripHash "$1")" .gz)" ;;
    *) return 1 ;;
    esac
}
unpackCmdHooks+=(_unpackTree _unpackArchive)

unpackFile() {
    local curSrc=$1
    nixLog "unpacking source archive $curSrc"
    if [[ -n "${unpackCmd:-}" ]]; then
        eval "$unpackCmd"
        return
    fi
    if ! runOneHook unpackCmd "$curSrc"; then
        nixErrorLog "do not know how to unpack '$curSrc'; set unpackCmd, or dontUnpack"
        exit 1
    fi
}

unpackPhase() {
    runHook preUnpack
    local sources=()
    _words srcs sources
    ((${#sources[@]})) || _words src sources
    if ((${#sources[@]} == 0)); then
        nixErrorLog "neither src nor srcs is set; set one, or dontUnpack = true"
        exit 1
    fi
    local before=" " dir
    for dir in *; do [[ -d $dir ]] && before+="$dir "; done
    local source
    for source in "${sources[@]}"; do unpackFile "$source"; done
    : "${sourceRoot=}"
    if [[ -n "${setSourceRoot:-}" ]]; then
        runOneHook setSourceRoot || eval "$setSourceRoot"
    elif [[ -z $sourceRoot ]]; then
        for dir in *; do
            [[ -d $dir && $before != *" $dir "* ]] || continue
            if [[ -n $sourceRoot ]]; then
                nixErrorLog "the sources unpack to several directories ('$sourceRoot', '$dir'); set sourceRoot"
                exit 1
            fi
            sourceRoot=$dir
        done
    fi
    if [[ -z $sourceRoot ]]; then
        nixErrorLog "unpacking made no directory; set sourceRoot (to . for a single file)"
        exit 1
    fi
    nixLog "source root is $sourceRoot"
    [[ -n "${dontMakeSourcesWritable:-}" ]] || chmod -R u+w -- "$sourceRoot"
    runHook postUnpack
}

# ---------------------------------------------------------------- patch, configure, build

patchPhase() {
    runHook prePatch
    local all=() flags=() file
    _words patches all
    _words patchFlags flags
    ((${#flags[@]})) || flags=(-p1)
    for file in "${all[@]}"; do
        nixLog "applying patch $file"
        case $file in
        *.gz) gzip -dc "$file" ;;
        *.bz2) bzip2 -dc "$file" ;;
        *.xz) xz -dc "$file" ;;
        *) cat "$file" ;;
        esac | patch "${flags[@]}"
    done
    runHook postPatch
}

configurePhase() {
    runHook preConfigure
    local script=() flags=()
    _words configureScript script
    if ((${#script[@]} == 0)) && [[ -x ./configure ]]; then script=(./configure); fi
    if ((${#script[@]} == 0)); then
        nixLog "no configure script, doing nothing"
        runHook postConfigure
        return
    fi
    local file=${script[0]} line=
    if [[ -f $file ]]; then
        # The sandbox need not have a /bin/sh.
        IFS= read -r line <"$file" || true
        [[ $line =~ ^\#!.*sh($|[[:space:]]) ]] && script=("$shell" "${script[@]}")
    fi
    if [[ -z "${dontAddPrefix:-}" && -n "$prefix" ]]; then
        local key=${prefixKey:---prefix=}
        if [[ $key == *" " ]]; then flags+=("${key% }" "$prefix"); else flags+=("$key$prefix"); fi
    fi
    if [[ $_outputList == *" "* && -f $file && -z "${dontSetOutputDirs:-}" ]] && grep -q -e '--libdir' "$file"; then
        flags+=("--bindir=${!outputBin}/bin" "--sbindir=${!outputBin}/sbin"
            "--includedir=${!outputInclude}/include" "--libdir=${!outputLib}/lib"
            "--libexecdir=${!outputLib}/libexec" "--mandir=${!outputMan}/share/man"
            "--infodir=${!outputInfo}/share/info" "--docdir=${!outputDoc}/share/doc/${pname:-$name}"
            "--localedir=${!outputLib}/share/locale")
    fi
    if [[ -f $file && -z "${dontAddDisableDepTrack:-}" ]] && grep -q dependency-tracking "$file"; then
        flags+=(--disable-dependency-tracking)
    fi
    if [[ -f $file && -z "${dontDisableStatic:-}" ]] && grep -q enable-static "$file"; then
        flags+=(--disable-static)
    fi
    _words configureFlags flags
    flags+=("${configureFlagsArray[@]}")
    nixLog "configure flags: ${flags[*]}"
    if ! "${script[@]}" "${flags[@]}"; then
        [[ -f config.log ]] && tail -n 40 config.log >&2
        exit 1
    fi
    runHook postConfigure
}

# _make KIND FLAGS…: make with the flags of all phases and those of one.
_make() {
    local flags=()
    [[ -n "${makefile:-}" ]] && flags+=(-f "$makefile")
    [[ -n "${_parallel:-}" ]] && flags+=("-j$NIX_BUILD_CORES")
    flags+=("SHELL=$shell")
    _words makeFlags flags
    flags+=("${makeFlagsArray[@]}" "$@")
    nixLog "make ${flags[*]}"
    make "${flags[@]}"
}
_hasMakefile() { [[ -n "${makefile:-}" || -e Makefile || -e makefile || -e GNUmakefile ]]; }

buildPhase() {
    runHook preBuild
    if ! _hasMakefile && [[ -z "${makeFlags:-}" ]]; then
        nixLog "no Makefile, doing nothing"
    else
        local flags=() _parallel=${enableParallelBuilding:-}
        _words buildFlags flags
        _make "${flags[@]}" "${buildFlagsArray[@]}"
    fi
    runHook postBuild
}

checkPhase() {
    runHook preCheck
    local targets=() flags=() target _parallel=${enableParallelChecking-${enableParallelBuilding:-}}
    _words checkTarget targets
    if ((${#targets[@]} == 0)) && _hasMakefile; then
        for target in check test; do
            if make ${makefile:+-f "$makefile"} -n "$target" >/dev/null 2>&1; then
                targets=("$target")
                break
            fi
        done
    fi
    if ((${#targets[@]} == 0)); then
        nixLog "no check target in the Makefile, doing nothing"
    else
        _words checkFlags flags
        ((${#flags[@]})) || flags=(VERBOSE=y)
        _make "${flags[@]}" "${checkFlagsArray[@]}" "${targets[@]}"
    fi
    runHook postCheck
}

installPhase() {
    runHook preInstall
    if ! _hasMakefile && [[ -z "${makeFlags:-}" ]]; then
        nixLog "no Makefile, nothing to install; set installPhase"
    else
        local flags=() targets=() _parallel=${enableParallelInstalling-${enableParallelBuilding:-}}
        [[ -n "$prefix" ]] && mkdir -p "$prefix"
        _words installFlags flags
        _words installTargets targets
        ((${#targets[@]})) || targets=(install)
        _make "${flags[@]}" "${installFlagsArray[@]}" "${targets[@]}"
    fi
    runHook postInstall
}

installCheckPhase() {
    runHook preInstallCheck
    local targets=()
    _words installCheckTarget targets
    if ((${#targets[@]} == 0)) && _hasMakefile && make ${makefile:+-f "$makefile"} -n installcheck >/dev/null 2>&1; then
        targets=(installcheck)
    fi
    if ((${#targets[@]} == 0)); then
        nixLog "no installcheck target in the Makefile, doing nothing"
    else
        local flags=()
        _words installCheckFlags flags
        _make "${flags[@]}" "${targets[@]}"
    fi
    runHook postInstallCheck
}

distPhase() {
    runHook preDist
    local flags=()
    _words distFlags flags
    _make "${flags[@]}" "${distTarget:-dist}"
    if [[ -z "${dontCopyDist:-}" ]]; then
        mkdir -p "$out/tarballs"
        # shellcheck disable=SC2086
        cp -pd ${tarballs:-*.tar.gz} "$out/tarballs"
    fi
    runHook postDist
}

# Helpers of recipes: installBin FILE…, installManPage FILE…
installBin() {
    local file
    for file in "$@"; do install -Dm755 -T "$file" "${!outputBin}/bin/$(basename "$file")"; done
}
installManPage() {
    local file section
    for file in "$@"; do
        section=${file%.gz}
        section=${section##*.}
        install -Dm644 -T "$file" "${!outputMan}/share/man/man$section/$(basename "$file")"
    done
}
