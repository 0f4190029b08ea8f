/**
  Container images without a daemon, a shell or other programs.

  Every function gives a derivation whose builder is `builtin:build-image`; the arguments travel
  to it as the structured attribute `image`, and everything that they mention as `closure`.

  `lib` needs `makeOverridable`; `pkgs` is asked only for what an image uses.

  Type: { lib, pkgs, system ? string } -> attrs
  Example: (import ./docker { inherit lib pkgs; }).buildImage { name = "hello"; config.Cmd = "${hello}/bin/hello"; }
*/
{
  lib,
  pkgs,
  system ? pkgs.stdenv.hostPlatform.system or builtins.currentSystem,
}:

let
  mentions = import ./mentions.nix;
  platform = import ./platform.nix;
  parts = import ./parts.nix { inherit lib pkgs; };

  inherit (builtins) baseNameOf isList isString;

  warn = message: value: builtins.trace "warning: ${message}" value;

  /* One value or a list of them as a list; null is none. */
  toList = value: if value == null then [ ] else if isList value then value else [ value ];

  /* Upper-case ASCII letters in lower case, as engines want names. */
  toLower =
    let
      upper = [ "A" "B" "C" "D" "E" "F" "G" "H" "I" "J" "K" "L" "M" "N" "O" "P" "Q" "R" "S" "T" "U" "V" "W" "X" "Y" "Z" ];
      lower = [ "a" "b" "c" "d" "e" "f" "g" "h" "i" "j" "k" "l" "m" "n" "o" "p" "q" "r" "s" "t" "u" "v" "w" "x" "y" "z" ];
    in
    builtins.replaceStrings upper lower;

  /* The hash part of a store path: the tag of an image that is given none. */
  hashPart = path: builtins.head (builtins.split "-" (baseNameOf (builtins.unsafeDiscardStringContext path)));

  /* A derivation that writes an image, and what others read from it. */
  imageDerivation =
    {
      outName,
      request,
      # What may enter the image; the base image may not.
      mayEnter,
      meta ? { },
      passthru ? { },
      needsShell,
    }:
    let
      # Commands of the user run the machine's tools, as other builds of this library do.
      hostTools = if needsShell then pkgs.host.toolAttrs or { } else { };
      drv = derivation (
        hostTools
        // {
          name = outName;
          system = "builtin";
          builder = "builtin:build-image";
          __structuredAttrs = true;
          exportReferencesGraph.closure = mentions (builtins.toJSON mayEnter);
          image = request;
          preferLocalBuild = true;
          allowSubstitutes = false;
        }
      );
      tag = if request.tag == null then hashPart drv.outPath else request.tag;
    in
    drv
    // {
      inherit meta;
      passthru = passthru // {
        imageName = toLower request.name;
        imageTag = tag;
      };
      imageName = toLower request.name;
      imageTag = tag;
    }
    // passthru;

  checkName =
    function: name:
    if !isString name then throw "dockerTools.${function}: name must be a string" else name;

  unsupported =
    function: argument: throw "dockerTools.${function}: ${argument} is not supported by nixlib yet";

  buildImage = lib.makeOverridable (
    {
      name,
      tag ? null,
      fromImage ? null,
      fromImageName ? null,
      fromImageTag ? null,
      copyToRoot ? null,
      contents ? null,
      keepContentsDirlinks ? false,
      config ? null,
      architecture ? platform.goArch system,
      extraCommands ? "",
      runAsRoot ? null,
      # Sizes of a virtual machine, which there is none of.
      diskSize ? 1024,
      buildVMMemorySize ? 512,
      uid ? 0,
      gid ? 0,
      created ? "1970-01-01T00:00:01Z",
      includeNixDB ? false,
      compressor ? null,
      meta ? { },
    }@args:
    let
      items =
        if contents == null then
          copyToRoot
        else if copyToRoot != null then
          throw "dockerTools.buildImage: contents is the old name of copyToRoot; give only one of them"
        else
          warn "dockerTools.buildImage: contents is the old name of copyToRoot" contents;
      copied = map (item: "${item}") (toList items);
      mayEnter = { inherit copied config extraCommands; };
      request = {
        name = checkName "buildImage" name;
        inherit tag created architecture config keepContentsDirlinks extraCommands uid gid;
        variant = platform.variant system architecture;
        copyToRoot = copied;
        commandPath = if extraCommands == "" then [ ] else pkgs.host.commandPath or [ ];
        fromImage = if fromImage == null then null else "${fromImage}";
        inherit fromImageName fromImageTag;
      };
    in
    if runAsRoot != null then
      unsupported "buildImage" "runAsRoot"
    else if includeNixDB then
      unsupported "buildImage" "includeNixDB"
    else if compressor != null && compressor != "none" then
      unsupported "buildImage" "a compressor other than \"none\" (layers are compressed anyway)"
    else
      imageDerivation {
        outName = "docker-image-${baseNameOf name}.tar";
        inherit request mayEnter meta;
        needsShell = extraCommands != "";
        passthru = { buildArgs = args; };
      }
  );

  buildLayeredImage = lib.makeOverridable (
    {
      name,
      tag ? null,
      fromImage ? null,
      contents ? [ ],
      config ? { },
      architecture ? platform.goArch system,
      created ? "1970-01-01T00:00:01Z",
      mtime ? "1970-01-01T00:00:01Z",
      uid ? 0,
      gid ? 0,
      uname ? "root",
      gname ? "root",
      maxLayers ? 100,
      extraCommands ? "",
      fakeRootCommands ? "",
      enableFakechroot ? false,
      includeStorePaths ? true,
      includeNixDB ? false,
      layeringPipeline ? null,
      compressor ? null,
      debug ? false,
      passthru ? { },
      meta ? { },
    }:
    let
      items = map (item: "${item}") (toList contents);
      mayEnter = {
        copied = items;
        inherit config extraCommands;
      };
      request = {
        name = checkName "buildLayeredImage" name;
        inherit tag created architecture config extraCommands uid gid;
        variant = platform.variant system architecture;
        copyToRoot = items;
        commandPath = if extraCommands == "" then [ ] else pkgs.host.commandPath or [ ];
        fromImage = if fromImage == null then null else "${fromImage}";
        layering = {
          inherit maxLayers mtime uname gname includeStorePaths;
        };
      };
    in
    if fakeRootCommands != "" || enableFakechroot then
      unsupported "buildLayeredImage" "fakeRootCommands"
    else if includeNixDB then
      unsupported "buildLayeredImage" "includeNixDB"
    else if layeringPipeline != null then
      unsupported "buildLayeredImage" "layeringPipeline"
    else if compressor != null && compressor != "none" then
      unsupported "buildLayeredImage" "a compressor other than \"none\" (layers are compressed anyway)"
    else
      imageDerivation {
        outName = "${baseNameOf name}.tar";
        inherit request mayEnter meta passthru;
        needsShell = extraCommands != "";
      }
  );
in
{
  inherit buildImage buildLayeredImage;
}
// parts
