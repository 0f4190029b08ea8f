# The smallest useful image: a script and the shell that runs it.
{ pkgs ? import <nixpkgs> { } }:

pkgs.dockerTools.buildImage {
  name = "hello";
  tag = "latest";
  config.Cmd = [
    (pkgs.writeShellScript "hello" ''
      echo "Hello from an image without a distribution; bash is $BASH."
    '')
  ];
}
