/**
  A derivation that downloads `url`, checked against a hash.

  It is built by the store itself, so it works before any other program is there.

  Type: fetchurl :: { url, ... } -> derivation
  Example: import <nix/fetchurl.nix> { url = "https://example.org/a.txt"; sha256 = "..."; }
*/
{
  url,
  # One of these says what must come out; the first that is not empty counts.
  hash ? "",
  sha512 ? "",
  sha1 ? "",
  md5 ? "",
  sha256 ? "",
  outputHash ?
    if hash != "" then
      hash
    else if sha512 != "" then
      sha512
    else if sha1 != "" then
      sha1
    else if md5 != "" then
      md5
    else
      sha256,
  outputHashAlgo ?
    if hash != "" then
      ""
    else if sha512 != "" then
      "sha512"
    else if sha1 != "" then
      "sha1"
    else if md5 != "" then
      "md5"
    else
      "sha256",
  # Whether the file gets the execute bit.
  executable ? false,
  # Whether the file is an archive in the store's own format, to be unpacked.
  unpack ? false,
  name ? baseNameOf (toString url),
  # Ignored: the store downloads on any platform, so the derivation is the same for all.
  system ? "builtin",
  # Whether there is no hash to check; needs the feature of that name.
  impure ? false,
}:
derivation (
  {
    builder = "builtin:fetchurl";
    system = "builtin";
    inherit
      executable
      name
      unpack
      url
      ;
    urls = [ url ];
    outputHashMode = if unpack || executable then "recursive" else "flat";
    preferLocalBuild = true;
    impureEnvVars = [
      "http_proxy"
      "https_proxy"
      "ftp_proxy"
      "all_proxy"
      "no_proxy"
    ];
  }
  // (if impure then { __impure = true; } else { inherit outputHash outputHashAlgo; })
)
