# A set of `n` packages as package sets are made: a fixed point with an overlay, `callPackage`, `override`,
# derivations that refer to others, metadata. Made with nixlib's `lib` on both sides; no machine's tools are looked at.
{ lib, n }:
let
  names = builtins.genList (i: "package-${toString i}") n;
  number = name: lib.toInt (lib.removePrefix "package-" name);
  make =
    {
      name,
      inputs,
      enable ? true,
      meta ? { },
    }:
    derivation {
      inherit name inputs;
      system = "x86_64-linux";
      builder = "/bin/sh";
      flags = lib.optional enable "--enable" ++ map (input: "--with-${input.name}") inputs;
      text = lib.concatMapStringsSep "\n" (input: "${input}/lib") inputs;
    }
    // {
      meta = { priority = 5; } // meta;
    };
  base =
    self:
    lib.genAttrs names (
      name:
      let
        i = number name;
        divisors = lib.filter (d: i > 0 && i / d != i) [ 2 3 5 ];
      in
      lib.callPackageWith (self // { inherit make lib; }) (
        {
          make,
          lib,
          enable ? i / 2 * 2 == i,
        }:
        make {
          inherit name enable;
          inputs = map (d: self."package-${toString (i / d)}") divisors;
          meta.description = lib.toUpper name;
        }
      ) { }
    );
  overlay =
    self: super:
    lib.mapAttrs (
      name: package: if lib.hasSuffix "7" name then package.override { enable = false; } else package
    ) super;
  all = lib.attrValues (lib.fix (lib.extends overlay base));
in
builtins.stringLength (lib.concatStrings (map (p: p.drvPath + p.meta.description) all))
