/**
  Libraries of the machine under nixpkgs' names, for `buildInputs`: the compiler finds headers and
  link names where the machine has them (the `-dev` package has to be installed), programs are pointed
  at the imported store object.

  Type: { lib, host, pkgs } -> attrs of derivations
*/
{ lib, host, pkgs }:

let
  library =
    name: sonames: package:
    let
      found = lib.findFirst (soname: host.query "libraries" { sonames = [ soname ]; } != null) null sonames;
      object = host.library found;
      drv = pkgs.runCommandLocal "${name}-host" { inherit object; } ''
        mkdir -p $out/nix-support
        ln -s $object/lib $out/lib
        echo "export NIX_HOST_LIBRARIES=\"\''${NIX_HOST_LIBRARIES:+\$NIX_HOST_LIBRARIES }$object/lib\"" > $out/nix-support/setup-hook
      '';
    in
    if found == null then
      throw "the library ${name} is not on this machine; ${host.advice package}"
    else
      drv // { pname = name; object = object; };
in
{
  zlib = library "zlib" [ "libz.so.1" ] "zlib1g-dev";
  openssl = library "openssl" [ "libssl.so.3" "libssl.so.1.1" ] "libssl-dev";
  ncurses = library "ncurses" [ "libncursesw.so.6" "libncurses.so.6" ] "libncurses-dev";
  readline = library "readline" [ "libreadline.so.8" "libreadline.so.7" ] "libreadline-dev";
  libffi = library "libffi" [ "libffi.so.8" "libffi.so.7" ] "libffi-dev";
  gmp = library "gmp" [ "libgmp.so.10" ] "libgmp-dev";
  expat = library "expat" [ "libexpat.so.1" ] "libexpat1-dev";
  libxml2 = library "libxml2" [ "libxml2.so.2" ] "libxml2-dev";
  pcre2 = library "pcre2" [ "libpcre2-8.so.0" ] "libpcre2-dev";
  libuv = library "libuv" [ "libuv.so.1" ] "libuv1-dev";
  libevent = library "libevent" [ "libevent-2.1.so.7" ] "libevent-dev";
  libsodium = library "libsodium" [ "libsodium.so.23" ] "libsodium-dev";
}
