/**
  The machine's compiler, told to link against store objects only.

  The compiler itself stays where the machine has it (`/usr`), so whoever uses this package needs the
  trees in `__propagatedImpureHostDeps`; its version is in `hostFacts`.

  Type: { lib, system, host, shell, coreutils } -> derivation
*/
{
  lib,
  system,
  host,
  shell,
  coreutils,
}:

let
  gcc = host.toolOf "gcc" [ "gcc" ];
  gxx = host.toolOf "g++" [ "g++" ];
  linker = host.toolOf "ld" [ "binutils-x86-64-linux-gnu" "binutils-aarch64-linux-gnu" "binutils" ];

  found =
    if gcc == null then
      host.missing "gcc" "gcc"
    else if linker == null then
      host.missing "ld" "binutils"
    else
      gcc;

  version = if found.version == null then "host" else host.storeName (lib.head (lib.splitString "-" found.version));

  /* Programs of the binary utilities that builds call by name. */
  utilities = lib.filter (entry: entry.tool != null) (
    map
      (name: {
        inherit name;
        tool = host.toolOf name [ "binutils-x86-64-linux-gnu" "binutils-aarch64-linux-gnu" "binutils" ];
      })
      [
        "addr2line"
        "ar"
        "as"
        "c++filt"
        "gprof"
        "nm"
        "objcopy"
        "objdump"
        "ranlib"
        "readelf"
        "size"
        "strings"
        "strip"
        "gcc-ar"
        "gcc-nm"
        "gcc-ranlib"
        "gcov"
        "cpp"
      ]
  );

  linkers = lib.filter (entry: entry.tool != null) (
    map (name: {
      inherit name;
      tool = host.toolOf name [ "binutils-x86-64-linux-gnu" "binutils-aarch64-linux-gnu" "binutils" ];
    }) [ "ld" "ld.bfd" "ld.gold" "ld.lld" ]
  );

  headers = host.query "owner" {
    path = "/usr/include/stdio.h";
    packages = [ "libc6-dev" ];
  };

  packages = lib.unique (
    map (tool: {
      name = if tool.package == null then baseNameOf tool.real else tool.package;
      version = if tool.version == null then "unknown" else tool.version;
    }) ([ found linker ] ++ lib.optional (gxx != null) gxx)
    ++ lib.optional (headers != null) headers
  );

  hostFacts = host.facts packages;
  runtime = host.runtime;

  drv = derivation {
    name = "gcc-wrapper-${version}";
    inherit system shell hostFacts;
    builder = shell;
    args = [
      "-e"
      (builtins.toFile "make-cc-wrapper.sh" (builtins.readFile ./make-cc-wrapper.sh))
    ];
    inherit coreutils;
    ccScript = builtins.toFile "cc.sh" (builtins.readFile ./cc.sh);
    ldScript = builtins.toFile "ld.sh" (builtins.readFile ./ld.sh);
    setupHook = builtins.toFile "cc-setup-hook.sh" ''
      export CC=gcc CXX=g++ AR=ar RANLIB=ranlib NM=nm STRIP=strip
      export NIX_CC=@out@
    '';
    gcc = found.real;
    gxx = if gxx == null then "" else gxx.real;
    utilities = map (entry: "${entry.name}=${entry.tool.path}") utilities;
    linkers = map (entry: "${entry.name}=${entry.tool.path}") linkers;
    libc = runtime.libc;
    inherit (runtime) loader;
    hostLibraries = [
      "${runtime.libc}/lib"
    ]
    ++ lib.optional (runtime.libstdcxx != null) "${runtime.libstdcxx}/lib";
    preferLocalBuild = true;
    allowSubstitutes = false;
  };
in
drv
// {
  pname = "gcc-wrapper";
  inherit version hostFacts;
  __propagatedImpureHostDeps = host.trees;
  isGNU = true;
  isClang = false;
  cc = drv;
  bintools = drv;
  libc = runtime.libc;
  targetPrefix = "";
  meta = {
    description = "The C compiler of this machine, linking against the store";
    mainProgram = "gcc";
    available = true;
  };
}
