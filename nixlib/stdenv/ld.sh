#!@shell@
# The machine's linker, writing programs that need the store only: loader and run path name store
# objects, and the run path has exactly the directories of which something is needed.
real=@program@
read -ra hostLibraries <<<"@hostLibraries@ ${NIX_HOST_LIBRARIES:-}"
store=${NIX_STORE:-/nix/store}

arguments=()
for argument in "$@"; do
    if [[ $argument == @* && -f ${argument:1} ]]; then
        # A response file: words, quoted like in a shell.
        while IFS= read -r -d '' word; do arguments+=("$word"); done < <(
            "@coreutils@/bin/cat" -- "${argument:1}" | while IFS= read -r line || [[ -n $line ]]; do
                eval "set -- ${line//[\$\`]/\\&}"
                (($#)) && printf '%s\0' "$@"
            done
        )
    else
        arguments+=("$argument")
    fi
done
# shellcheck disable=SC2206
extra=(${NIX_LDFLAGS:-})
all=("${arguments[@]}" "${extra[@]}")

isStatic= isRelocatable= hasOutput=a.out
directories=() libraries=() files=()
for ((i = 0; i < ${#all[@]}; i++)); do
    argument=${all[i]}
    case $argument in
    -static | -static-pie) isStatic=1 ;;
    -r | -Ur | --relocatable | -i) isRelocatable=1 ;;
    -o) hasOutput=${all[++i]} ;;
    --output=*) hasOutput=${argument#*=} ;;
    -L) directories+=("${all[++i]}") ;;
    -L*) directories+=("${argument:2}") ;;
    --library-path=*) directories+=("${argument#*=}") ;;
    -l) libraries+=("${all[++i]}") ;;
    -l*) libraries+=("${argument:2}") ;;
    --library=*) libraries+=("${argument#*=}") ;;
    -dynamic-linker | -plugin | -plugin-opt | -z | -m | -rpath | -soname | -h | -e | -T | -u | -version-script) ((++i)) ;;
    --version | -v | -V | --help) exec "$real" "$@" ;;
    *.so | *.so.*) [[ $argument != -* ]] && files+=("$argument") ;;
    esac
done

if [[ -n $isStatic || -n $isRelocatable ]]; then
    exec "$real" "${arguments[@]}" "${extra[@]}"
fi

candidates=() own=
add() {
    local known
    for known in "${candidates[@]}"; do [[ $known != "$1" ]] || return 0; done
    candidates+=("$1")
}
matches() { compgen -G "$1" >/dev/null; }

add "@libc@/lib"
for file in "${files[@]}"; do
    directory=${file%/*}
    [[ $directory != "$file" ]] || directory=.
    if [[ $directory == "$store"/* ]]; then add "$directory"; else own=1; fi
done
for library in "${libraries[@]}"; do
    name=lib$library.so
    [[ $library != :* ]] || name=${library:1}
    found=
    for directory in "${directories[@]}"; do
        [[ -e $directory/$name ]] || continue
        found=$directory
        break
    done
    if [[ $found == "$store"/* ]]; then
        add "$found"
        continue
    fi
    isHost=
    for directory in "${hostLibraries[@]}"; do
        if [[ -e $directory/$name ]] || matches "$directory/$name.*"; then
            add "$directory"
            isHost=1
            break
        fi
    done
    # Made by this very build, to be installed beside what is linked now.
    if [[ -z $isHost && -n $found ]]; then
        case $found in
        /usr/* | /lib/* | /lib64/*) ;;
        *) own=1 ;;
        esac
    fi
done

flags=()
setFlags() {
    flags=(-dynamic-linker "@loader@")
    local directory
    for directory in "$@"; do flags+=(-rpath "$directory"); done
    if [[ -n $own && -z "${NIX_DONT_SET_RPATH:-}" ]]; then
        local output=${outputLib:-out}
        if [[ -n "${!output:-}" ]]; then flags+=(-rpath "${!output}/lib"); fi
    fi
}

setFlags "${candidates[@]}"
"$real" "${arguments[@]}" "${extra[@]}" --enable-new-dtags "${flags[@]}" || exit $?

# Link again without the directories that turned out to be of no use.
if ((${#candidates[@]} > 1)) && [[ -n "@readelf@" && -e $hasOutput ]]; then
    needed=$("@readelf@" -d -W "$hasOutput" 2>/dev/null) || exit 0
    used=()
    for directory in "${candidates[@]}"; do
        while IFS= read -r line; do
            [[ $line =~ \(NEEDED\).*\[(.*)\] ]] || continue
            if [[ -e $directory/${BASH_REMATCH[1]} ]]; then
                used+=("$directory")
                break
            fi
        done <<<"$needed"
    done
    if ((${#used[@]} < ${#candidates[@]})); then
        setFlags "${used[@]}"
        exec "$real" "${arguments[@]}" "${extra[@]}" --enable-new-dtags "${flags[@]}"
    fi
fi
