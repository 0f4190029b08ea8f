/** Functions and derivations that can be changed afterwards. */
{ lib }:

rec {
  /**
    The result of a function, with `override` for other arguments.

    Type: makeOverridable :: (attrs -> a) -> attrs -> a
    Example:
      ((makeOverridable ({ a, b }: { sum = a + b; }) { a = 1; b = 2; }).override { b = 10; }).sum
      => 11
  */
  makeOverridable =
    f:
    lib.mirrorFunctionArgs f (
      args:
      let
        result = f args;
        changed = change: args // (if lib.isFunction change then change args else change);
        override = change: makeOverridable f (changed change);
        again = g: makeOverridable (lib.mirrorFunctionArgs f (a: g (f a))) args;
      in
      if builtins.isAttrs result then
        result
        // {
          inherit override;
          overrideDerivation = g: again (drv: overrideDerivation drv g);
        }
        // (
          if result ? overrideAttrs then { overrideAttrs = g: again (drv: drv.overrideAttrs g); } else { }
        )
      else if lib.isFunction result then
        lib.setFunctionArgs result (lib.functionArgs result) // { inherit override; }
      else
        result
    );

  /**
    A derivation with other attributes for `derivation` itself.

    Type: overrideDerivation :: derivation -> (attrs -> attrs) -> derivation
  */
  overrideDerivation =
    drv: f:
    let
      new = derivation (drv.drvAttrs // f drv);
    in
    extendDerivation (builtins.seq drv.drvPath true) (
      { meta = drv.meta or { }; passthru = drv.passthru or { }; } // (drv.passthru or { })
    ) new;

  /**
    A function, or the function in a file, called with arguments from a set; others go on top.

    Type: callPackageWith :: attrs -> (path | function) -> attrs -> any
    Example:
      (callPackageWith { a = 1; b = 2; } ({ a, b }: { sum = a + b; }) { b = 5; }).sum
      => 6
  */
  callPackageWith =
    set: what: args:
    let
      f = if lib.isFunction what then what else import what;
      wanted = lib.functionArgs f;
      given = builtins.intersectAttrs wanted set // args;
      missing = lib.filter (name: !wanted.${name} && !(given ? ${name})) (builtins.attrNames wanted);
      where = if builtins.isPath what || builtins.isString what then " at ${toString what}" else "";
    in
    if missing == [ ] then
      makeOverridable f given
    else
      throw "callPackage: the function${where} wants '${builtins.concatStringsSep "', '" missing}', which the package set has not${
        lib.optionalString (set ? __missingAttrHint) "; give a nixpkgs with -I nixpkgs=… or pass ${if builtins.length missing == 1 then "it" else "them"} as an argument"
      }";

  /**
    Like `callPackageWith` for a function that gives a set of packages.

    Type: callPackagesWith :: attrs -> (path | function) -> attrs -> attrs
    Example:
      (callPackagesWith { a = 1; } ({ a }: { x = { value = a; }; }) { }).x.value
      => 1
  */
  callPackagesWith =
    set: what: args:
    let
      f = if lib.isFunction what then what else import what;
      given = builtins.intersectAttrs (lib.functionArgs f) set // args;
      packages = f given;
      one =
        name: value:
        if builtins.isAttrs value then makeOverridable (a: (f a).${name}) given else value;
    in
    builtins.mapAttrs one packages;

  /**
    A derivation with more attributes, on all of its outputs, behind a condition.

    Type: extendDerivation :: bool -> attrs -> derivation -> derivation
  */
  extendDerivation =
    condition: extra: drv:
    let
      outputs = drv.outputs or [ "out" ];
      common = drv // builtins.listToAttrs named // extra // { all = map (o: o.value) named; };
      named = map (output: {
        name = output;
        value = common // {
          inherit (drv.${output}) outputName type;
          outPath =
            assert condition;
            drv.${output}.outPath;
          drvPath =
            assert condition;
            drv.${output}.drvPath;
          outputSpecified = true;
        };
      }) outputs;
    in
    common
    // {
      drvPath =
        assert condition;
        drv.drvPath;
      outPath =
        assert condition;
        drv.outPath;
    };

  /**
    What a derivation needs from another place, without the rest.

    Type: hydraJob :: derivation -> attrs
  */
  hydraJob = drv: {
    inherit (drv) drvPath outPath name system type;
    outputs = drv.outputs or [ "out" ];
    meta = drv.meta or { };
  };

  /**
    A set of packages that call each other.

    Type: makeScope :: ((attrs -> a) ) -> (attrs -> attrs) -> attrs
    Example:
      (makeScope (extra: callPackageWith extra) (self: { a = 1; b = self.callPackage ({ a }: { v = a; }) { }; })).b.v
      => 1
  */
  makeScope =
    newScope: f:
    let
      self = f self // {
        newScope = scope: newScope (self // scope);
        callPackage = self.newScope { };
        overrideScope = overlay: makeScope newScope (lib.extends overlay f);
        packages = f;
      };
    in
    self;
}
