# GNU hello from its source: unpacked, configured, made, installed, and put in an image.
{ pkgs ? import <nixpkgs> { }
, url ? "https://ftp.gnu.org/gnu/hello/hello-2.10.tar.gz"
}:

let
  hello = pkgs.stdenv.mkDerivation {
    pname = "hello";
    version = "2.10";
    src = pkgs.fetchurl {
      inherit url;
      sha256 = "31e066137a962676e89f69d1b65382de95a7ef7d914b8cb956f41ea72e0f516b";
    };
  };
in
pkgs.dockerTools.buildImage {
  name = "gnu-hello";
  tag = "2.10";
  config.Cmd = [ "${hello}/bin/hello" ];
}
