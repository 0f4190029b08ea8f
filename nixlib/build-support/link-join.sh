# joinInto SOURCE TARGET: links to everything of SOURCE in the directory TARGET. Directories that
# several sources have are real directories; otherwise one link stands for a whole directory.
#
# With `strict` set, two different files of one name are refused.

joinFile() {
    local source=$1 target=$2
    if [[ -e $target || -L $target ]]; then
        if [[ -n ${strict:-} && -z ${ignoreCollisions:-} ]]; then
            if [[ -n ${checkCollisionContents:-} ]] && cmp -s "$source" "$target"; then return 0; fi
            [[ $(readlink -f "$source") != "$(readlink -f "$target")" ]] || return 0
            echo "error: two paths have '${target#"$out"}':" >&2
            echo "       $(readlink -f "$target")" >&2
            echo "       $(readlink -f "$source")" >&2
            echo "       Leave one out, or set ignoreCollisions = true." >&2
            exit 1
        fi
        return 0
    fi
    ln -s "$source" "$target"
}

joinInto() {
    local source=$1 target=$2 entry name linked
    if [[ ! -d $source ]]; then
        echo "error: $source is not a directory" >&2
        exit 1
    fi
    for entry in "$source"/* "$source"/.[!.]* "$source"/..?*; do
        [[ -e $entry || -L $entry ]] || continue
        name=${entry##*/}
        # Records of one build mean nothing for a union, except what it propagates.
        [[ -z ${strict:-} || $name != nix-support ]] || continue
        if [[ -d $entry ]]; then
            if [[ -L $target/$name && -d $target/$name ]]; then
                # A second source: open the link up.
                linked=$(readlink -f "$target/$name")
                rm "$target/$name"
                mkdir "$target/$name"
                joinInto "$linked" "$target/$name"
                joinInto "$entry" "$target/$name"
            elif [[ -d $target/$name ]]; then
                joinInto "$entry" "$target/$name"
            else
                joinFile "$entry" "$target/$name"
            fi
        else
            joinFile "$entry" "$target/$name"
        fi
    done
}
