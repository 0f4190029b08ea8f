# Both services in one image: mini-nix-build image.nix && docker load < result
{ pkgs ? import <nixpkgs> { } }:

let
  server = import ./server { inherit pkgs; };
  greeter = import ./greeter { inherit pkgs; };

  runScript = pkgs.writeShellScript "run-services" ''
    ${server}/bin/server 8080 &
    ${greeter}/bin/greeter 8081 &
    wait -n
  '';
in
pkgs.dockerTools.buildImage {
  name = "services";
  tag = "0.1";
  config = {
    Cmd = runScript;
    ExposedPorts = {
      "8080/tcp" = { };
      "8081/tcp" = { };
    };
  };
}
