# A service that is a shell script: no compiler, only host packages.
{ pkgs ? import <nixpkgs> { } }:

pkgs.writeShellApplication {
  name = "greeter";
  runtimeInputs = [ pkgs.coreutils pkgs.python3 ];
  text = ''
    port=''${1:-8081}
    site=$(mktemp -d)
    echo "hello from greeter, a script on bash $BASH_VERSION" > "$site/index.html"
    exec python3 -m http.server --directory "$site" "$port"
  '';
}
