/**
  All packages and helpers of nixlib, as one set with itself as `pkgs`.

  Type: { lib, system, config, overlays, query, pkgs } -> attrs
*/
{
  lib,
  system,
  config,
  overlays,
  query,
  pkgs,
}:

let
  host = import ./host { inherit lib system query; };
  environments = import ./stdenv { inherit lib system host config; };
  helpers = import ./build-support { inherit lib system host pkgs; };
  fetchers = import ./build-support/fetch.nix { inherit lib system pkgs; };
  libraries = import ./host/libraries.nix { inherit lib host pkgs; };
in
host.tools
// libraries
// helpers
// fetchers
// {
  inherit
    config
    host
    lib
    overlays
    pkgs
    system
    ;
  inherit (environments) stdenv stdenvNoCC;

  # The evaluator shows this when a name is missing; `@` stands for the name.
  __missingAttrHint = "nixlib has no '@'; give a nixpkgs with -I nixpkgs=… or pin one with fetchTarball";

  gcc = environments.cc;
  cc = environments.cc;
  gccStdenv = environments.stdenv;
  binutils = environments.cc;
  hostPlatform = environments.stdenv.hostPlatform;
  buildPlatform = environments.stdenv.hostPlatform;
  targetPlatform = environments.stdenv.hostPlatform;

  glibc = host.libs.libc;
  gnused = host.tools.gnused;
  runtimeShell = "${host.tools.bash}/bin/bash";
  runtimeShellPackage = host.tools.bash;
  shellNames = [ "bash" ];

  /**
    The call of a function, or of the function in a file, with arguments from the package set.

    Type: callPackage :: (path | function) -> attrs -> any
    Example: callPackage ./server.nix { port = 8080; }
  */
  callPackage = lib.callPackageWith pkgs;
  callPackages = lib.callPackagesWith pkgs;
  newScope = extra: lib.callPackageWith (pkgs // extra);
  extend = overlay: import ./. { inherit system config; overlays = overlays ++ [ overlay ]; };
  appendOverlays = more: import ./. { inherit system config; overlays = overlays ++ more; };

  dockerTools = import ./docker { inherit lib pkgs system; };

  mkShell = pkgs.callPackage ./build-support/mk-shell.nix { };
  mkShellNoCC = pkgs.mkShell.override { stdenv = pkgs.stdenvNoCC; };

  python3Packages = throw "nixlib has no python3Packages; use python3.withPackages, or give a nixpkgs with -I nixpkgs=…";
}
