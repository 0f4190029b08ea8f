/**
  The build environments: `stdenvNoCC` (a shell and the usual tools, sealed) and `stdenv` (with the
  machine's compiler, which builds see in place).

  Type: { lib, system, host, config } -> { stdenv, stdenvNoCC, cc }
*/
{
  lib,
  system,
  host,
  config,
}:

let
  inherit (host) tools;

  bash = tools.bash;
  shell = "${bash}/bin/bash";

  /* A tool that builds can do without; left out where the machine has none. */
  optionalTool =
    name: package: program:
    lib.optional (host.toolOf program [ name ] != null) package;

  initialPath = [
    tools.coreutils
    tools.findutils
    tools.diffutils
    tools.gnused
    tools.gnugrep
    tools.gawk
    tools.gnutar
    tools.gzip
    bash
  ]
  ++ optionalTool "bzip2" tools.bzip2 "bzip2"
  ++ optionalTool "make" tools.gnumake "make"
  ++ optionalTool "patch" tools.patch "patch"
  ++ optionalTool "xz-utils" tools.xz "xz"
  ++ optionalTool "file" tools.file "file"
  ++ optionalTool "zstd" tools.zstd "zstd";

  setupText = builtins.toFile "setup.sh" (
    builtins.readFile ./setup.sh + "\n" + builtins.readFile ./fixup.sh
  );

  builderScript = builtins.toFile "builder.sh" ''
    if [ -n "''${NIX_ATTRS_SH_FILE:-}" ] && [ -e "$NIX_ATTRS_SH_FILE" ]; then . "$NIX_ATTRS_SH_FILE"; fi
    source "$stdenv/setup"
    genericBuild
  '';

  hostPlatform =
    let
      parts = builtins.match "([^-]+)-(.+)" system;
      cpu = builtins.elemAt parts 0;
      kernel = builtins.elemAt parts 1;
    in
    {
      inherit system;
      config = "${cpu}-unknown-${kernel}-gnu";
      parsed = {
        cpu.name = cpu;
        kernel.name = kernel;
      };
      isLinux = kernel == "linux";
      isDarwin = kernel == "darwin";
      isx86_64 = cpu == "x86_64";
      isAarch64 = cpu == "aarch64";
      is64bit = true;
      isGnu = true;
      isMusl = false;
      isStatic = false;
      isUnix = true;
      extensions = {
        sharedLibrary = ".so";
        staticLibrary = ".a";
        executable = "";
      };
      linuxArch = if cpu == "aarch64" then "arm64" else cpu;
      uname.processor = cpu;
    };

  makeStdenv =
    {
      name,
      cc ? null,
      extra ? [ ],
      impure ? [ ],
      facts ? null,
    }:
    let
      setup = derivation (
        {
          name = name;
          inherit system;
          builder = shell;
          args = [
            "-e"
            (builtins.toFile "make-stdenv.sh" ''
              export PATH=$coreutils/bin
              mkdir -p "$out/nix-support"
              {
                echo "initialPath=\"$initialPath\""
                echo "defaultNativeBuildInputs=\"$defaultNativeBuildInputs\""
                echo "shell=$shell"
                echo "hostLocale=$hostLocale"
                cat "$setup"
              } > "$out/setup"
            '')
          ];
          inherit shell initialPath;
          setup = setupText;
          coreutils = tools.coreutils;
          hostLocale = if tools.locale == null then "" else tools.locale;
          defaultNativeBuildInputs = extra ++ lib.optional (cc != null) cc;
          preferLocalBuild = true;
          allowSubstitutes = false;
        }
      );
      self = setup // {
        inherit
          cc
          hostPlatform
          initialPath
          shell
          system
          ;
        buildPlatform = hostPlatform;
        targetPlatform = hostPlatform;
        hasCC = cc != null;
        isLinux = hostPlatform.isLinux;
        isDarwin = hostPlatform.isDarwin;
        is64bit = true;
        isx86_64 = hostPlatform.isx86_64;
        isAarch64 = hostPlatform.isAarch64;
        mkDerivation = import ./make-derivation.nix {
          inherit
            lib
            system
            shell
            builderScript
            ;
          stdenv = self;
          impure = impure;
          hostFacts = facts;
        };
        override = changes: makeStdenv ({ inherit name cc extra impure facts; } // changes);
      };
    in
    self;

  cc = import ./cc-wrapper.nix {
    inherit lib system host shell;
    inherit (tools) coreutils;
  };
in
{
  inherit cc;
  stdenvNoCC = makeStdenv { name = "stdenv-host-no-cc"; };
  stdenv = makeStdenv {
    name = "stdenv-host";
    inherit cc;
    impure = host.trees;
    facts = cc.hostFacts;
  };
}
