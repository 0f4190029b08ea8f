/**
  The pure library: functions on strings, lists, attribute sets, versions and functions.

  All parts are joined in one set; `lib.lists`, `lib.strings`, … name the parts.

  Type: attrs
*/
let
  fixedPoints = import ./fixed-points.nix { inherit lib; };
  parts = {
    trivial = import ./trivial.nix { inherit lib; };
    lists = import ./lists.nix { inherit lib; };
    attrsets = import ./attrsets.nix { inherit lib; };
    strings = import ./strings.nix { inherit lib; };
    versions = import ./versions.nix { inherit lib; };
    customisation = import ./customisation.nix { inherit lib; };
    sources = import ./sources.nix { inherit lib; };
    meta = import ./meta.nix { inherit lib; };
    inherit fixedPoints;
  };
  lib =
    parts.trivial
    // parts.lists
    // parts.attrsets
    // parts.strings
    // parts.customisation
    // parts.sources
    // parts.meta
    // fixedPoints
    // { inherit (parts.lists) replicate; }
    // parts
    // {
      generators = import ./generators.nix { inherit lib; };
      fileset = import ./fileset.nix { inherit lib; };
      licenses = import ./licenses.nix;
      maintainers = { };
      teams = { };
      platforms = import ./platforms.nix;
      fetchers.proxyImpureEnvVars = [
        "http_proxy"
        "https_proxy"
        "ftp_proxy"
        "all_proxy"
        "no_proxy"
        "HTTP_PROXY"
        "HTTPS_PROXY"
        "FTP_PROXY"
        "ALL_PROXY"
        "NO_PROXY"
      ];
      systems.flakeExposed = [ "x86_64-linux" "aarch64-linux" ];
    };
in
lib
