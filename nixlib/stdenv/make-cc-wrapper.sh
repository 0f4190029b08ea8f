# Builds the compiler wrapper: scripts named like the tools, with paths filled in.
export PATH=$coreutils/bin
mkdir -p "$out/bin" "$out/nix-support"

# fill TEMPLATE TARGET PROGRAM
fill() {
    local text
    IFS= read -r -d '' text <"$1" || true
    text=${text//@shell@/$shell}
    text=${text//@out@/$out}
    text=${text//@program@/$3}
    text=${text//@loader@/$loader}
    text=${text//@libc@/$libc}
    text=${text//@coreutils@/$coreutils}
    text=${text//@hostLibraries@/$hostLibraries}
    text=${text//@readelf@/$readelf}
    printf '%s' "$text" >"$2"
    chmod +x "$2"
}

readelf=
for entry in $utilities; do
    name=${entry%%=*} path=${entry#*=}
    [[ $name == readelf ]] && readelf=$path
    ln -s "$path" "$out/bin/$name"
done
for name in gcc cc; do fill "$ccScript" "$out/bin/$name" "$gcc"; done
if [[ -n $gxx ]]; then
    for name in g++ c++; do fill "$ccScript" "$out/bin/$name" "$gxx"; done
fi
for entry in $linkers; do fill "$ldScript" "$out/bin/${entry%%=*}" "${entry#*=}"; done

fill "$setupHook" "$out/nix-support/setup-hook" ""
chmod -x "$out/nix-support/setup-hook"
