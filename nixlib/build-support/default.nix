/**
  Small builders: files from texts, directories from links, commands.

  Those that only write something run in a bare shell with coreutils, so an image of a script needs no
  compiler and builds in a moment.

  Type: { lib, system, host, pkgs } -> attrs
*/
{
  lib,
  system,
  host,
  pkgs,
}:

let
  inherit (host.tools) bash coreutils;
  shell = "${bash}/bin/bash";

  /* A derivation of a few lines of shell; nothing but coreutils on PATH. */
  bare =
    {
      name,
      script,
      meta ? { },
      passthru ? { },
      ...
    }@args:
    lib.extendDerivation true ({ inherit meta passthru; overrideAttrs = f: bare (args // (if builtins.isFunction f then f args else f)); } // passthru) (
      derivation (
        {
          inherit name system;
          builder = shell;
          args = [
            "-e"
            (builtins.toFile "builder.sh" (
              ''
                export PATH=$coreutils/bin
                if [ -n "''${NIX_ATTRS_SH_FILE:-}" ] && [ -e "$NIX_ATTRS_SH_FILE" ]; then . "$NIX_ATTRS_SH_FILE"; fi
              ''
              + builtins.unsafeDiscardStringContext script
            ))
          ];
          inherit coreutils shell;
          preferLocalBuild = true;
          allowSubstitutes = false;
        }
        // removeAttrs args [ "name" "script" "meta" "passthru" ]
      )
    );

  withMain = name: meta: { mainProgram = name; } // meta;
in
rec {
  /**
    The output of shell commands; they write `$out`.

    Type: runCommand :: string -> attrs -> string -> derivation
    Example: runCommand "greeting" { } "echo hello > $out"
  */
  runCommand = name: env: buildCommand: runCommandWith { stdenv = pkgs.stdenvNoCC; } name env buildCommand;
  runCommandLocal =
    name: env: buildCommand:
    runCommandWith { stdenv = pkgs.stdenvNoCC; runLocal = true; } name env buildCommand;
  runCommandCC = name: env: buildCommand: runCommandWith { stdenv = pkgs.stdenv; } name env buildCommand;

  runCommandWith =
    {
      stdenv,
      runLocal ? false,
    }:
    name: env: buildCommand:
    stdenv.mkDerivation (
      {
        inherit name buildCommand;
        passAsFile = if env.__structuredAttrs or false then [ ] else [ "buildCommand" ] ++ (env.passAsFile or [ ]);
      }
      // (if runLocal then { preferLocalBuild = true; allowSubstitutes = false; } else { })
      // removeAttrs env [ "passAsFile" ]
    );

  /**
    A file with a text, anywhere in the output.

    Type: writeTextFile :: { name, text, executable ? bool, destination ? string, checkPhase ? string, meta ? attrs } -> derivation
    Example: writeTextFile { name = "motd"; text = "hi"; destination = "/etc/motd"; }
  */
  writeTextFile =
    {
      name,
      text,
      executable ? false,
      destination ? "",
      checkPhase ? "",
      meta ? { },
      passthru ? { },
      derivationArgs ? { },
      ...
    }:
    bare (
      {
        inherit
          name
          text
          executable
          destination
          checkPhase
          ;
        inherit passthru;
        meta =
          if executable && lib.hasPrefix "/bin/" destination then
            withMain (lib.removePrefix "/bin/" destination) meta
          else
            meta;
        passAsFile = [ "text" ];
        script = ''
          target=$out$destination
          mkdir -p "$(dirname "$target")"
          if [ -e "''${textPath:-}" ]; then mv "$textPath" "$target"; else printf '%s' "$text" > "$target"; fi
          if [ -n "$executable" ]; then chmod +x "$target"; fi
          eval "$checkPhase"
        '';
      }
      // derivationArgs
    );

  /**
    A store object that is a file with this text.

    Type: writeText :: string -> string -> derivation
    Example: writeText "motd" "welcome"
  */
  writeText = name: text: writeTextFile { inherit name text; };

  /* Like `writeText`, in `share/` of a directory or wherever `path` says. */
  writeTextDir =
    path: text:
    writeTextFile {
      name = baseNameOf path;
      inherit text;
      destination = "/${path}";
    };

  /**
    An executable file; the text brings its own first line.

    Type: writeScript :: string -> string -> derivation
  */
  writeScript =
    name: text:
    writeTextFile {
      inherit name text;
      executable = true;
    };

  writeScriptBin =
    name: text:
    writeTextFile {
      inherit name text;
      executable = true;
      destination = "/bin/${name}";
    };

  /* The check of shell scripts: the shell parses them. */
  checkShell = ''
    "$shell" -n "$target"
  '';

  /**
    An executable shell script, run by the host package `bash`.

    Type: writeShellScript :: string -> string -> derivation
    Example: writeShellScript "run" "exec ${server}/bin/server"
  */
  writeShellScript =
    name: text:
    writeTextFile {
      inherit name;
      text = "#!${shell}\n${text}\n";
      executable = true;
      checkPhase = checkShell;
    };

  writeShellScriptBin =
    name: text:
    writeTextFile {
      inherit name;
      text = "#!${shell}\n${text}\n";
      executable = true;
      destination = "/bin/${name}";
      checkPhase = checkShell;
    };

  /**
    A strict shell program that finds the programs of its inputs.

    Type: writeShellApplication :: { name, text, runtimeInputs ? [derivation], runtimeEnv ? attrs } -> derivation
  */
  writeShellApplication =
    {
      name,
      text,
      runtimeInputs ? [ ],
      runtimeEnv ? { },
      bashOptions ? [ "errexit" "nounset" "pipefail" ],
      checkPhase ? checkShell,
      meta ? { },
      ...
    }:
    writeTextFile {
      inherit name meta;
      executable = true;
      destination = "/bin/${name}";
      inherit checkPhase;
      text =
        "#!${shell}\n"
        + lib.concatMapStrings (option: "set -o ${option}\n") bashOptions
        + lib.concatStrings (lib.mapAttrsToList (key: value: "export ${key}=${lib.escapeShellArg (toString value)}\n") runtimeEnv)
        + lib.optionalString (runtimeInputs != [ ]) "\nexport PATH=\"${lib.makeBinPath runtimeInputs}:$PATH\"\n"
        + "\n${text}\n";
    };

  /**
    One directory with links to everything in some others; of equal names the first wins.

    Type: symlinkJoin :: { name, paths, postBuild ? string } -> derivation
    Example: symlinkJoin { name = "tools"; paths = [ jq which ]; }
  */
  symlinkJoin =
    args@{
      name ? "${args.pname}-${args.version}",
      paths,
      postBuild ? "",
      preferLocalBuild ? true,
      allowSubstitutes ? false,
      ...
    }:
    runCommand name
      (
        removeAttrs args [ "name" "postBuild" ]
        // {
          inherit preferLocalBuild allowSubstitutes;
          paths = lib.flatten paths;
          passAsFile = [ "paths" ];
          linkScript = builtins.toFile "link-join.sh" (builtins.readFile ./link-join.sh);
        }
      )
      ''
        source "$linkScript"
        mkdir -p "$out"
        for path in $(cat "$pathsPath"); do joinInto "$path" "$out"; done
        ${postBuild}
      '';

  /**
    Like `symlinkJoin`, with conflicts refused and only the chosen places linked.

    Type: buildEnv :: { name, paths, pathsToLink ? ["/"], ignoreCollisions ? bool, extraPrefix ? string, postBuild ? string } -> derivation
  */
  buildEnv =
    {
      name,
      paths,
      pathsToLink ? [ "/" ],
      ignoreCollisions ? false,
      checkCollisionContents ? true,
      extraPrefix ? "",
      extraOutputsToInstall ? [ ],
      postBuild ? "",
      nativeBuildInputs ? [ ],
      buildInputs ? [ ],
      meta ? { },
      passthru ? { },
      ...
    }:
    runCommand name
      {
        inherit
          meta
          passthru
          nativeBuildInputs
          buildInputs
          pathsToLink
          ignoreCollisions
          checkCollisionContents
          ;
        paths = lib.concatMap (
          path: [ path ] ++ lib.filter (p: p != null) (map (output: path.${output} or null) extraOutputsToInstall)
        ) (lib.flatten paths);
        passAsFile = [ "paths" ];
        linkScript = builtins.toFile "link-join.sh" (builtins.readFile ./link-join.sh);
        preferLocalBuild = true;
        allowSubstitutes = false;
      }
      ''
        source "$linkScript"
        strict=1
        mkdir -p "$out${extraPrefix}"
        for path in $(cat "$pathsPath"); do
          for place in $pathsToLink; do
            [[ -e $path$place ]] || continue
            target=$out${extraPrefix}$place
            target=''${target%/}
            if [[ -d $path$place ]]; then
              mkdir -p "$target"
              joinInto "$path$place" "$target"
            else
              mkdir -p "$(dirname "$target")"
              joinFile "$path$place" "$target"
            fi
          done
        done
        ${postBuild}
      '';

  /**
    A directory of links: names (with `/`) to paths.

    Type: linkFarm :: string -> (attrs | [{ name, path }]) -> derivation
    Example: linkFarm "links" { "etc/motd" = writeText "motd" "hi"; }
  */
  linkFarm =
    name: entries:
    let
      list = if builtins.isAttrs entries then lib.mapAttrsToList (name: path: { inherit name path; }) entries else entries;
    in
    bare {
      inherit name;
      names = map (entry: entry.name) list;
      targets = map (entry: "${entry.path}") list;
      script = ''
        mkdir -p "$out"
        set -f
        set -- $targets
        for name in $names; do
          mkdir -p "$(dirname "$out/$name")"
          ln -s "$1" "$out/$name"
          shift
        done
      '';
    };

  linkFarmFromDrvs = name: drvs: linkFarm name (map (drv: { inherit (drv) name; path = drv; }) drvs);

  /**
    Several texts in one file.

    Type: concatText :: string -> [path] -> derivation
  */
  concatText =
    name: files:
    bare {
      inherit name files;
      script = "cat $files > $out";
    };
  concatTextFile = { name, files, executable ? false, ... }: bare {
    inherit name files executable;
    script = ''
      cat $files > $out
      if [ -n "$executable" ]; then chmod +x $out; fi
    '';
  };

  /**
    A file with `@name@` replaced by the arguments of that name.

    Type: replaceVars :: path -> attrs -> derivation
  */
  replaceVars =
    src: vars:
    runCommandLocal (baseNameOf (toString src)) (vars // { inherit src; }) (
      "substitute \"$src\" \"$out\""
      + lib.concatMapStrings (name: " --subst-var ${name}") (lib.attrNames vars)
    );
  substituteAll =
    args:
    runCommandLocal (args.name or (baseNameOf (toString args.src))) (removeAttrs args [ "postInstall" "isExecutable" "dir" ]) ''
      target=$out
      ${lib.optionalString (args ? dir) ''
        target=$out/${args.dir}/${args.name or (baseNameOf (toString args.src))}
        mkdir -p "$(dirname "$target")"
      ''}
      substituteAll "$src" "$target"
      ${lib.optionalString (args.isExecutable or false) "chmod +x \"$target\""}
      ${args.postInstall or ""}
    '';
  substitute =
    args:
    runCommandLocal (args.name or (baseNameOf (toString args.src))) { inherit (args) src; } ''
      substitute "$src" "$out" ${lib.escapeShellArgs (args.substitutions or [ ])} ${args.replacements or ""}
    '';

  copyPathToStore = path: builtins.path { inherit path; };

  /**
    A setup hook from a script: sourced by builds that have it among their inputs.

    Type: makeSetupHook :: { name, propagatedBuildInputs ? [derivation], substitutions ? attrs } -> path -> derivation
  */
  makeSetupHook =
    {
      name ? "hook",
      propagatedBuildInputs ? [ ],
      propagatedNativeBuildInputs ? [ ],
      substitutions ? { },
      meta ? { },
      passthru ? { },
      ...
    }:
    script:
    runCommandLocal name (substitutions // { inherit meta passthru script; propagated = map toString (propagatedBuildInputs ++ propagatedNativeBuildInputs); }) ''
      mkdir -p $out/nix-support
      substituteAll "$script" $out/nix-support/setup-hook
      if [[ -n $propagated ]]; then echo "$propagated" > $out/nix-support/propagated-build-inputs; fi
    '';

  # `makeWrapper` and `wrapProgram` are part of every stdenv here; the names exist for nativeBuildInputs.
  makeWrapper = makeSetupHook { name = "make-wrapper-hook"; } (builtins.toFile "make-wrapper.sh" "");
  makeBinaryWrapper = makeWrapper;
  makeShellWrapper = makeWrapper;

  /**
    What some paths need: `registration`, `store-paths` and `total-nar-size` of their closure.

    Type: closureInfo :: { rootPaths } -> derivation
  */
  closureInfo =
    { rootPaths }:
    derivation {
      name = "closure-info";
      inherit system;
      builder = shell;
      __structuredAttrs = true;
      exportReferencesGraph.closure = rootPaths;
      args = [
        "-e"
        (builtins.toFile "closure-info.sh" (builtins.readFile ./closure-info.sh))
      ];
      inherit coreutils;
      sed = host.tools.gnused;
      preferLocalBuild = true;
      allowSubstitutes = false;
    };

  writeReferencesToFile =
    path:
    runCommandLocal "runtime-deps" { exportReferencesGraph = [ "graph" path ]; } ''
      while read -r path; do
        read -r deriver
        read -r count
        echo "$path"
        for ((i = 0; i < count; i++)); do read -r _; done
      done < graph | sort -u > $out
    '';
  writeClosure = paths: runCommandLocal "runtime-deps" { info = closureInfo { rootPaths = paths; }; } "cp $info/store-paths $out";

  emptyFile = bare {
    name = "empty-file";
    outputHash = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    outputHashMode = "flat";
    script = ": > $out";
  };
  emptyDirectory = bare {
    name = "empty-directory";
    script = "mkdir $out";
  };

  srcOnly = drv: runCommand "${drv.name}-source" { inherit (drv) src; } ''
    unpackPhase
    cp -r "$sourceRoot" $out
  '';
}
