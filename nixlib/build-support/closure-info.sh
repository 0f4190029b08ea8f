# Writes what is known about a closure, from the structured attributes of the build.
export PATH=/no-path
source "$NIX_ATTRS_SH_FILE"
export PATH=$coreutils/bin:$sed/bin
out=${outputs[out]}
mkdir -p "$out"

# One object a line; the names and values of these objects hold no commas or braces.
text=$(tr -d '\n' <"$NIX_ATTRS_JSON_FILE" | sed -e 's/.*"closure":\[{/{/' -e 's/}\].*/}/' -e 's/},{/}\n{/g')
total=0
registration() {
    local line path hash size references
    while IFS= read -r line; do
        [[ $line =~ \"path\":\"([^\"]*)\" ]] || continue
        path=${BASH_REMATCH[1]}
        [[ $line =~ \"narHash\":\"([^\"]*)\" ]] && hash=${BASH_REMATCH[1]}
        [[ $line =~ \"narSize\":([0-9]+) ]] && size=${BASH_REMATCH[1]}
        [[ $line =~ \"references\":\[([^]]*)\] ]] && references=${BASH_REMATCH[1]}
        references=${references//\"/}
        references=${references//,/ }
        read -ra references <<<"$references"
        printf '%s\n%s\n%s\n\n%s\n' "$path" "$hash" "$size" "${#references[@]}"
        ((${#references[@]} == 0)) || printf '%s\n' "${references[@]}"
        total=$((total + size))
        echo "$path" >>"$out/unsorted"
    done <<<"$text"
    echo "$total" >"$out/total-nar-size"
}
: >"$out/unsorted"
registration >"$out/registration"
LC_ALL=C sort -u "$out/unsorted" >"$out/store-paths"
rm "$out/unsorted"
