# A service that is a shell script: no compiler is needed for it, only the shell.
{ pkgs ? import <nixpkgs> { } }:

let
  # A shell cannot listen on a port; the server starts the script for every connection.
  server = import ../server { inherit pkgs; };

  answer = pkgs.writeShellScript "answer" ''
    while read -r line && [ "$line" != $'\r' ]; do :; done
    text="hello from greeter, a script on bash $BASH_VERSION"
    printf 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n' $((''${#text} + 1))
    printf 'Connection: close\r\n\r\n%s\n' "$text"
  '';
in
pkgs.writeShellApplication {
  name = "greeter";
  text = ''
    exec ${server}/bin/server "''${1:-8081}" ${answer}
  '';
}
