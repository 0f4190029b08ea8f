/**
  A derivation for `mini-nix-shell`: its inputs are what the shell has.

  Type: mkShell :: { packages ? [derivation], inputsFrom ? [derivation], shellHook ? string, ... } -> derivation
  Example: mkShell { packages = [ jq ]; shellHook = "echo hello"; }
*/
{ lib, stdenv }:

lib.makeOverridable (
  { stdenv }:
  {
    name ? "nix-shell",
    packages ? [ ],
    inputsFrom ? [ ],
    buildInputs ? [ ],
    nativeBuildInputs ? [ ],
    shellHook ? "",
    ...
  }@args:
  let
    inherited = field: lib.subtractLists inputsFrom (lib.flatten (lib.catAttrs field inputsFrom));
    rest = removeAttrs args [ "name" "packages" "inputsFrom" "buildInputs" "nativeBuildInputs" "shellHook" ];
  in
  stdenv.mkDerivation (
    {
      inherit name;
      buildInputs = buildInputs ++ inherited "buildInputs";
      nativeBuildInputs = packages ++ nativeBuildInputs ++ inherited "nativeBuildInputs";
      shellHook = lib.concatStringsSep "\n" (lib.catAttrs "shellHook" (lib.reverseList inputsFrom ++ [ { inherit shellHook; } ]));
      phases = [ "buildPhase" ];
      buildPhase = ''
        { echo "# Environment of this shell:"; export -p; } > "$out"
      '';
      preferLocalBuild = true;
    }
    // rest
  )
) { inherit stdenv; }
