/**
  `stdenv.mkDerivation`: attributes become a derivation that runs phases.

  Takes a set, or a function `finalAttrs: { … }` whose argument is the set after all overriding.

  Type: mkDerivation :: attrs | (attrs -> attrs) -> derivation
  Example: stdenv.mkDerivation (finalAttrs: { pname = "server"; version = "0.1"; src = ./.; })
*/
{
  lib,
  system,
  stdenv,
  shell,
  builderScript,
  impure,
  hostFacts,
}:

let
  inherit (builtins) isAttrs isFunction isList removeAttrs;

  /* Attributes that are for Nix, not for the build. */
  notForBuild = [
    "meta"
    "passthru"
    "pos"
    "env"
    "checkInputs"
    "installCheckInputs"
    "nativeCheckInputs"
    "nativeInstallCheckInputs"
    "hardeningDisable"
    "hardeningEnable"
    "__impureHostDeps"
    "__propagatedImpureHostDeps"
    "disallowedRequisites_"
  ];

  dependencyNames = [
    "depsBuildBuild"
    "nativeBuildInputs"
    "depsBuildTarget"
    "depsHostHost"
    "buildInputs"
    "depsTargetTarget"
    "depsBuildBuildPropagated"
    "propagatedNativeBuildInputs"
    "depsBuildTargetPropagated"
    "depsHostHostPropagated"
    "propagatedBuildInputs"
    "depsTargetTargetPropagated"
  ];

  toList = x: if isList x then x else if x == null then [ ] else [ x ];

  flat = list: lib.filter (x: x != null) (lib.flatten list);

  /* The output that compilers want of a dependency. */
  dev = dependency: if isAttrs dependency && dependency ? dev && !(dependency.outputSpecified or false) then dependency.dev else dependency;

  impureOf = input: toList (input.__propagatedImpureHostDeps or null);

  make =
    makeArgs: rattrs:
    let
      # `finalAttrs` sees what the derivation will be, itself included.
      args = rattrs (args // { inherit finalPackage overrideAttrs; });
      finalPackage = build args overrideAttrs;
      overrideAttrs =
        f0:
        let
          f =
            self: super:
            let
              one = if isFunction f0 then f0 self else f0;
            in
            # `final: prev: …`, `prev: …` or plain attributes.
            if isFunction f0 then
              (
                let
                  withSuper = f0 super;
                in
                if isFunction withSuper then f0 self super else withSuper
              )
            else
              one;
        in
        make makeArgs (lib.extends f rattrs);
    in
    finalPackage;

  build =
    attrs: overrideAttrs:
    let
      name =
        if attrs ? name then
          attrs.name
        else if attrs ? pname && attrs ? version then
          "${attrs.pname}-${attrs.version}"
        else
          throw "mkDerivation: 'name', or 'pname' and 'version', have to be given";

      doCheck = attrs.doCheck or false;
      doInstallCheck = attrs.doInstallCheck or false;

      inputs = lib.genAttrs dependencyNames (field: map dev (flat (attrs.${field} or [ ])));
      checkInputs =
        lib.optionals doCheck (flat (attrs.checkInputs or [ ]) ++ flat (attrs.nativeCheckInputs or [ ]))
        ++ lib.optionals doInstallCheck (
          flat (attrs.installCheckInputs or [ ]) ++ flat (attrs.nativeInstallCheckInputs or [ ])
        );
      allInputs = inputs // {
        nativeBuildInputs = inputs.nativeBuildInputs ++ map dev checkInputs;
      };

      seen = lib.concatLists (lib.attrValues allInputs);
      trees = lib.unique (
        impure ++ lib.concatMap impureOf (lib.filter isAttrs seen) ++ toList (attrs.__impureHostDeps or null)
      );
      facts = lib.unique (
        lib.optional (hostFacts != null) hostFacts
        ++ lib.concatMap (input: toList (input.hostFacts or null)) (
          lib.filter (input: isAttrs input && input ? __propagatedImpureHostDeps) seen
        )
      );

      structured = attrs.__structuredAttrs or false;
      outputs = attrs.outputs or [ "out" ];
      environment = attrs.env or { };
      clash = lib.intersectLists (lib.attrNames environment) (lib.attrNames attrs);

      nonEmpty = lib.filterAttrs (_: value: value != [ ]) allInputs;

      drvAttrs =
        removeAttrs attrs (notForBuild ++ dependencyNames)
        // (if structured then { env = environment; } else { })
        // environment
        // {
          inherit name system stdenv;
          builder = attrs.realBuilder or (if attrs ? builder then attrs.builder else shell);
          args =
            attrs.args or [
              "-e"
              (attrs.builder or builderScript)
            ];
          outputs = outputs;
          strictDeps = attrs.strictDeps or false;
          inherit doCheck doInstallCheck;
        }
        # A build script of the recipe runs in the shell, as in nixpkgs.
        // (if attrs ? builder && !(attrs ? realBuilder) && !(attrs ? args) then { builder = shell; } else { })
        // nonEmpty
        // (if trees == [ ] then { } else { __impureHostDeps = trees; })
        // (if facts == [ ] then { } else { hostFacts = lib.concatStringsSep "\n" facts; });

      drv = derivation (if structured then removeAttrs drvAttrs [ "env" ] else drvAttrs);

      passthru = attrs.passthru or { };
      meta = {
        inherit name outputs;
        position =
          let
            at = builtins.unsafeGetAttrPos (if attrs ? pname then "pname" else "name") attrs;
          in
          if at == null then null else "${at.file}:${toString at.line}";
        available = true;
        broken = false;
        insecure = false;
        unsupported = false;
        unfree = false;
        outputsToInstall = [ (if lib.elem "bin" outputs then "bin" else lib.head outputs) ] ++ lib.optional (lib.elem "man" outputs) "man";
      }
      // attrs.meta or { };

      extra = passthru // {
        inherit name system meta passthru overrideAttrs;
        inputDerivation = drv;
      }
      // (if attrs ? pname then { inherit (attrs) pname; } else { })
      // (if attrs ? version then { inherit (attrs) version; } else { })
      // (if attrs ? src then { inherit (attrs) src; } else { })
      // inputs;
    in
    assert lib.assertMsg (clash == [ ])
      "mkDerivation: these names are given both in 'env' and beside it: ${lib.concatStringsSep ", " clash}";
    lib.extendDerivation true extra drv;
in
fnOrAttrs:
make { } (if isFunction fnOrAttrs then fnOrAttrs else _: fnOrAttrs)
