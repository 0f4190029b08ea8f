/**
  nixlib: the package set of a program that carries its own.

  `system` is the system to build for, `config` is kept as `pkgs.config`, `overlays` are functions
  `final: prev: { … }`, applied in order. Other arguments that nixpkgs knows are accepted and ignored.

  Type: { system ? string, config ? attrs, overlays ? [overlay], ... } -> attrs
  Example: (import <nixlib> { }).hello or "no hello here"
*/
{
  system ? localSystem.system or builtins.currentSystem,
  localSystem ? { },
  config ? { },
  overlays ? [ ],
  ...
}:

let
  lib = import ./lib;

  # The one name that the evaluator gives to this tree and to nothing else.
  query = __nixlibHost;

  base = final: import ./packages.nix {
    inherit lib system config overlays query;
    pkgs = final;
  };
in
lib.fix (lib.foldl' (lib.flip lib.extends) base overlays)
