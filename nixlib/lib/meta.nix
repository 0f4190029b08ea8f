/** What packages say about themselves. */
{ lib }:

rec {
  /**
    A derivation with more in `meta`.

    Type: addMetaAttrs :: attrs -> derivation -> derivation
    Example:
      (addMetaAttrs { b = 2; } { meta.a = 1; }).meta
      => { a = 1; b = 2; }
  */
  addMetaAttrs = new: drv: drv // { meta = drv.meta or { } // new; };
  setName = name: drv: drv // { inherit name; };
  setPrio = priority: addMetaAttrs { inherit priority; };
  lowPrio = setPrio 10;
  hiPrio = setPrio (-10);

  /**
    The main program of a package.

    Type: getExe :: derivation -> string
    Example:
      getExe { name = "hello-1.0"; outPath = "/x"; meta.mainProgram = "hello"; }
      => "/x/bin/hello"
  */
  getExe = pkg: getExe' pkg (pkg.meta.mainProgram or (lib.getName pkg));

  /**
    A program of a package.

    Type: getExe' :: derivation -> string -> string
    Example:
      getExe' { outPath = "/x"; } "tool"
      => "/x/bin/tool"
  */
  getExe' = pkg: program: "${lib.getBin pkg}/bin/${program}";

  /**
    Whether a package is for a platform.

    Type: availableOn :: attrs -> derivation -> bool
    Example:
      availableOn { system = "x86_64-linux"; } { meta.platforms = [ "x86_64-linux" ]; }
      => true
  */
  availableOn =
    platform: pkg:
    (!(pkg ? meta.platforms) || builtins.elem platform.system pkg.meta.platforms)
    && !(builtins.elem platform.system (pkg.meta.badPlatforms or [ ]));
  getLicenseFromSpdxId =
    id: lib.findFirst (license: license.spdxId or null == id) { shortName = id; } (builtins.attrValues lib.licenses);
}
