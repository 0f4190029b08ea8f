/**
  What engines call a processor: Go's names.
*/
let
  processorOf = system: builtins.head (builtins.split "-" system);
  names = {
    x86_64 = "amd64";
    i686 = "386";
    aarch64 = "arm64";
    armv6l = "arm";
    armv7l = "arm";
    powerpc64le = "ppc64le";
    s390x = "s390x";
    riscv64 = "riscv64";
    loongarch64 = "loong64";
  };
  variants = {
    armv6l = "v6";
    armv7l = "v7";
  };
in
{
  /**
    Type: string -> string
    Example: (import ./platform.nix).goArch "aarch64-linux"
  */
  goArch =
    system:
    names.${processorOf system}
      or (throw "dockerTools: no container platform is known for ${system}; give architecture");

  /**
    The variant of an architecture, null where there is none.

    Type: string -> string -> string or null
    Example: (import ./platform.nix).variant "armv6l-linux" "arm"
  */
  variant = system: architecture: if architecture == "arm" then variants.${processorOf system} or "v7" else null;
}
