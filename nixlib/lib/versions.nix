/** Version numbers. */
{ lib }:

rec {
  /**
    The parts between dots.

    Type: splitVersion :: string -> [string]
    Example:
      versions.splitVersion "1.2.3"
      => [ "1" "2" "3" ]
  */
  splitVersion = builtins.splitVersion;

  /**
    The first part.

    Type: major :: string -> string
    Example:
      versions.major "1.2.3"
      => "1"
  */
  major = v: builtins.elemAt (splitVersion v) 0;

  /**
    The second part.

    Type: minor :: string -> string
    Example:
      versions.minor "1.2.3"
      => "2"
  */
  minor = v: builtins.elemAt (splitVersion v) 1;

  /**
    The third part.

    Type: patch :: string -> string
    Example:
      versions.patch "1.2.3"
      => "3"
  */
  patch = v: builtins.elemAt (splitVersion v) 2;

  /**
    The first two parts.

    Type: majorMinor :: string -> string
    Example:
      versions.majorMinor "1.2.3"
      => "1.2"
  */
  majorMinor = v: builtins.concatStringsSep "." (lib.take 2 (splitVersion v));

  /**
    A version with a given number of parts.

    Type: pad :: int -> string -> string
    Example:
      versions.pad 3 "1.2"
      => "1.2.0"
  */
  pad =
    n: version:
    let
      numbers = lib.head (lib.splitString "-" version);
      suffix = lib.removePrefix numbers version;
      parts = lib.take n (splitVersion numbers);
    in
    builtins.concatStringsSep "." (parts ++ lib.replicate (n - builtins.length parts) "0") + suffix;
}
