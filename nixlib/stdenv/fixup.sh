# The last phase, and the frame that runs all phases. Follows setup.sh in `$stdenv/setup`.

# _regularFiles DIRECTORY…: regular files, NUL separated, sorted.
_regularFiles() { find "$@" -type f -print0 | LC_ALL=C sort -z; }

_moveToShare() {
    local dir
    for dir in man doc info; do
        [[ -d $prefix/$dir && ! -L $prefix/$dir ]] || continue
        mkdir -p "$prefix/share"
        if [[ -d $prefix/share/$dir ]]; then
            cp -a "$prefix/$dir/." "$prefix/share/$dir/"
            rm -rf "${prefix:?}/$dir"
        else
            mv "$prefix/$dir" "$prefix/share/$dir"
        fi
    done
    if [[ -d $prefix/share/info ]]; then rm -f "$prefix/share/info/dir"; fi
}

_compressManPages() {
    [[ -z "${dontGzipMan:-}" && -d $prefix/share/man ]] || return 0
    local file
    while IFS= read -r -d '' file; do
        [[ $file != *.gz && $file != *.xz && $file != *.bz2 ]] || continue
        gzip -9 -n -c "$file" >"$file.gz"
        rm "$file"
    done < <(_regularFiles "$prefix/share/man")
    while IFS= read -r -d '' file; do
        local target
        target=$(readlink "$file")
        if [[ ! -e $file && -e $(dirname "$file")/$target.gz ]]; then
            ln -s "$target.gz" "$file.gz" && rm "$file"
        fi
    done < <(find "$prefix/share/man" -type l -print0)
}

_isArchive() {
    local magic
    IFS= LC_ALL=C read -r -N 7 magic <"$1" 2>/dev/null || return 1
    [[ $magic == '!<arch>' ]]
}

# _stripIn FLAGS DIRECTORY…: strip ELF files and archives, without dates.
_stripIn() {
    local flags=$1 file dirs=() dir
    shift
    for dir in "$@"; do [[ -d $prefix/$dir && ! -L $prefix/$dir ]] && dirs+=("$prefix/$dir"); done
    ((${#dirs[@]})) || return 0
    while IFS= read -r -d '' file; do
        if isELF "$file" || _isArchive "$file"; then
            # shellcheck disable=SC2086
            "${STRIP:-strip}" $flags --enable-deterministic-archives "$file" 2>/dev/null || true
        fi
    done < <(_regularFiles "${dirs[@]}")
}

_stripOutput() {
    [[ -z "${dontStrip:-}" ]] && type -P "${STRIP:-strip}" >/dev/null || return 0
    local debug=() all=() flags=()
    _words stripDebugList debug
    ((${#debug[@]})) || debug=(lib lib32 lib64 libexec bin sbin)
    _words stripAllList all
    _words stripDebugFlags flags
    _stripIn "${flags[*]:--S}" "${debug[@]}"
    if ((${#all[@]})); then _stripIn "-s" "${all[@]}"; fi
}

_patchShebangsOutput() {
    if [[ -z "${dontPatchShebangs:-}" && -e $prefix ]]; then patchShebangs --host "$prefix"; fi
}

fixupOutputHooks+=(_moveToShare _compressManPages _stripOutput _patchShebangsOutput)

_recordPropagated() {
    local dev=${!outputDev:-} list=() native=() name
    [[ -n $dev ]] || return 0
    _words propagatedBuildInputs list
    _words propagatedNativeBuildInputs native
    if [[ $outputDev != "$_firstOutput" ]]; then
        for name in "$_firstOutput" "$outputBin" "$outputLib" "$outputInclude"; do
            if [[ -e ${!name} && ${!name} != "$dev" && " ${list[*]} " != *" ${!name} "* ]]; then
                list+=("${!name}")
            fi
        done
    fi
    if ((${#list[@]})); then
        mkdir -p "$dev/nix-support"
        printf '%s ' "${list[@]}" >"$dev/nix-support/propagated-build-inputs"
    fi
    if ((${#native[@]})); then
        mkdir -p "$dev/nix-support"
        printf '%s ' "${native[@]}" >"$dev/nix-support/propagated-native-build-inputs"
    fi
    if [[ -n "${setupHook:-}" ]]; then
        mkdir -p "$dev/nix-support"
        substituteAll "$setupHook" "$dev/nix-support/setup-hook"
    fi
    local hooks=() hook
    _words setupHooks hooks
    for hook in "${hooks[@]}"; do
        mkdir -p "$dev/nix-support"
        cat "$hook" >>"$dev/nix-support/setup-hook"
    done
    if [[ -n "${propagatedUserEnvPkgs:-}" && -n "${!outputBin}" ]]; then
        mkdir -p "${!outputBin}/nix-support"
        local packages=()
        _words propagatedUserEnvPkgs packages
        printf '%s ' "${packages[@]}" >"${!outputBin}/nix-support/propagated-user-env-packages"
    fi
}

# ---------------------------------------------------------------- nothing of the host

# _numbers SIZE OFFSET COUNT FILE: COUNT little-endian numbers of SIZE bytes into the array `numbers`.
_numbers() {
    mapfile -t numbers < <(od -An -v "-tu$1" "-w$1" -j "$2" -N "$(($1 * $3))" -- "$4")
    local i
    for i in "${!numbers[@]}"; do numbers[i]=${numbers[i]// /}; done
}
# _textAt OFFSET FILE: prints the text up to the next NUL.
_textAt() {
    local text=
    IFS= LC_ALL=C read -r -d '' text < <(tail -c "+$(($1 + 1))" -- "$2" 2>/dev/null) || true
    printf '%s' "$text"
}

# _readElf FILE: sets elfLoader, elfRunPath, elfNeeded. Fails for files it does not understand.
_readElf() {
    local file=$1 numbers i headers dynamicAt=0 dynamicSize=0 loads=() strings=-1 offsets=() runPathAt=-1
    elfLoader= elfRunPath= elfNeeded=()
    _numbers 1 4 2 "$file"
    [[ ${numbers[0]} == 2 && ${numbers[1]} == 1 ]] || return 1
    _numbers 8 32 1 "$file"
    local at=${numbers[0]}
    _numbers 2 54 2 "$file"
    headers=${numbers[1]}
    [[ ${numbers[0]} == 56 ]] || { [[ $headers == 0 ]] && return 0; return 1; }
    _numbers 8 "$at" $((headers * 7)) "$file"
    for ((i = 0; i < headers * 7; i += 7)); do
        case $((numbers[i] & 0xffffffff)) in
        1) loads+=("${numbers[i + 2]} ${numbers[i + 4]} ${numbers[i + 1]}") ;;
        2) dynamicAt=${numbers[i + 1]} dynamicSize=${numbers[i + 4]} ;;
        3) elfLoader=$(_textAt "${numbers[i + 1]}" "$file") ;;
        esac
    done
    ((dynamicSize)) || return 0
    _numbers 8 "$dynamicAt" $((dynamicSize / 8)) "$file"
    for ((i = 0; i + 1 < ${#numbers[@]}; i += 2)); do
        case ${numbers[i]} in
        0) break ;;
        1) offsets+=("${numbers[i + 1]}") ;;
        5) strings=${numbers[i + 1]} ;;
        15 | 29) runPathAt=${numbers[i + 1]} ;;
        esac
    done
    local load start size offset
    for load in "${loads[@]}"; do
        read -r start size offset <<<"$load"
        if ((strings >= start && strings < start + size)); then
            strings=$((strings - start + offset))
            break
        fi
    done
    for offset in "${offsets[@]}"; do elfNeeded+=("$(_textAt $((strings + offset)) "$file")"); done
    ((runPathAt < 0)) || elfRunPath=$(_textAt $((strings + runPathAt)) "$file")
    return 0
}

_inStore() { [[ $1 == "$NIX_STORE"/* ]]; }

_refuse() {
    nixErrorLog "$1"
    nixLog "       $2"
    nixLog "       Remedy: $3"
    _refused=1
}

_checkElf() {
    local file=$1 dir needed found dirs=() origin
    _readElf "$file" || return 0
    origin=$(dirname "$file")
    if [[ -n $elfLoader ]] && ! _inStore "$elfLoader"; then
        _refuse "$file needs a file of this machine" "its interpreter (PT_INTERP) is $elfLoader" \
            "link it with the compiler of stdenv, or copy it with host.program"
    fi
    local IFS=:
    for dir in $elfRunPath; do
        dir=${dir//'${ORIGIN}'/$origin}
        dir=${dir//'$ORIGIN'/$origin}
        dirs+=("$dir")
        if ! _inStore "$dir"; then
            _refuse "$file looks for libraries on this machine" "its run path (DT_RUNPATH) has $dir" \
                "drop that -rpath from the link command"
        fi
    done
    unset IFS
    for needed in "${elfNeeded[@]}"; do
        [[ $needed != ld-linux* ]] || continue
        found=
        for dir in "${dirs[@]}"; do
            if _inStore "$dir" && [[ -e $dir/$needed ]]; then
                found=1
                break
            fi
        done
        [[ -n $found ]] || _refuse "$file needs a library that no store object of its run path has" \
            "its entry (DT_NEEDED) is $needed" \
            "add the package that has it to buildInputs (for a library of this machine: host.library \"$needed\")"
    done
}

# Reads every ELF file and every first line of scripts of the outputs.
checkHostReferences() {
    local name file line interpreter _refused= elfLoader elfRunPath elfNeeded
    for name in $_outputList; do
        [[ -e ${!name} ]] || continue
        while IFS= read -r -d '' file; do
            if isELF "$file"; then
                # Object files and kernels have nothing that a loader reads.
                [[ $file == *.o ]] || _checkElf "$file"
            elif [[ -x $file ]] && isScript "$file"; then
                IFS= read -r line <"$file" || true
                read -r interpreter _ <<<"${line:2}"
                if ! _inStore "$interpreter"; then
                    _refuse "$file needs a file of this machine" "its first line is $line" \
                        "add the package that has this program to buildInputs, so that patchShebangs finds it"
                fi
            fi
        done < <(_regularFiles "${!name}")
    done
    if [[ -n $_refused ]]; then
        nixLog "(dontCheckHostReferences = true allows such outputs)"
        exit 1
    fi
}

fixupPhase() {
    local name prefix
    for name in $_outputList; do
        [[ -e ${!name} ]] && chmod -R u+w,u-s,g-s -- "${!name}"
    done
    runHook preFixup
    _moveOutputs
    for name in $_outputList; do
        prefix=${!name}
        [[ -e $prefix ]] || continue
        runHook fixupOutput
    done
    _recordPropagated
    runHook postFixup
    [[ -n "${dontCheckHostReferences:-}" ]] || checkHostReferences
}

# ---------------------------------------------------------------- the frame

showPhaseHeader() { nixLog "Running phase: $1"; }

runPhase() {
    local curPhase=$1 switch
    case $curPhase in
    checkPhase) [[ -n "${doCheck:-}" ]] || return 0 ;;
    installCheckPhase) [[ -n "${doInstallCheck:-}" ]] || return 0 ;;
    distPhase) [[ -n "${doDist:-}" ]] || return 0 ;;
    *Phase)
        switch=${curPhase%Phase}
        switch=dont${switch^}
        [[ -z "${!switch:-}" ]] || return 0
        ;;
    esac
    if [[ -n "${NIX_LOG_FD:-}" ]]; then
        echo "@nix { \"action\": \"setPhase\", \"phase\": \"$curPhase\" }" >&"$NIX_LOG_FD"
    fi
    showPhaseHeader "$curPhase"
    if [[ -n "${!curPhase:-}" ]]; then eval "${!curPhase}"; else "$curPhase"; fi
    if [[ $curPhase == unpackPhase ]]; then
        [[ -n "${sourceRoot:-}" ]] && cd -- "$sourceRoot"
    fi
    return 0
}

definePhases() {
    _phaseList=()
    _words phases _phaseList
    if ((${#_phaseList[@]} == 0)); then
        local name
        for name in prePhases unpackPhase patchPhase preConfigurePhases configurePhase preBuildPhases \
            buildPhase checkPhase preInstallPhases installPhase preFixupPhases fixupPhase \
            installCheckPhase preDistPhases distPhase postPhases; do
            if [[ $name == *Phases ]]; then _words "$name" _phaseList; else _phaseList+=("$name"); fi
        done
    fi
}

_exitHandler() {
    local code=$?
    trap - EXIT
    if ((code != 0)); then
        runHook failureHook || true
        nixLog "the build of $_buildName failed with exit code $code"
    else
        runHook exitHook
    fi
    exit "$code"
}

genericBuild() {
    trap _exitHandler EXIT
    if [[ -n "${buildCommandPath:-}" && -f "${buildCommandPath:-}" ]]; then
        # shellcheck disable=SC1090
        source "$buildCommandPath"
    elif [[ -n "${buildCommand:-}" ]]; then
        eval "$buildCommand"
    else
        definePhases
        local _phase
        for _phase in "${_phaseList[@]}"; do runPhase "$_phase"; done
    fi
}

if [[ -n "${postHook:-}" ]]; then runHook postHook; fi
