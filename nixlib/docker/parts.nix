/**
  Small trees that images are often given: a shell, users, certificates.

  Each works where the package set has the builders and programs that it is made of.

  Type: { lib, pkgs } -> attrs
*/
{ lib, pkgs }:

let
  bundle = "${pkgs.cacert}/etc/ssl/certs/ca-bundle.crt";
in
{
  /** `/bin/sh`, a bash that can be used interactively. */
  binSh = pkgs.runCommand "bin-sh" { } ''
    mkdir -p $out/bin
    ln -s ${pkgs.bashInteractive or pkgs.bash}/bin/bash $out/bin/sh
  '';

  /** `/usr/bin/env`, which many scripts name in their first line. */
  usrBinEnv = pkgs.runCommand "usr-bin-env" { } ''
    mkdir -p $out/usr/bin
    ln -s ${pkgs.coreutils}/bin/env $out/usr/bin/env
  '';

  /** The certificates of authorities, at the three places where programs look. */
  caCertificates = pkgs.runCommand "ca-certificates" { } ''
    mkdir -p $out/etc/ssl/certs $out/etc/pki/tls/certs
    ln -s ${bundle} $out/etc/ssl/certs/ca-bundle.crt
    ln -s ${bundle} $out/etc/ssl/certs/ca-certificates.crt
    ln -s ${bundle} $out/etc/pki/tls/certs/ca-bundle.crt
  '';

  /**
    Users root and nobody, so that programs can look up who they are.

    Example: dockerTools.fakeNss.override { extraPasswdLines = [ "app:x:1000:1000:app:/:/bin/sh" ]; }
  */
  fakeNss = lib.makeOverridable (
    {
      extraPasswdLines ? [ ],
      extraGroupLines ? [ ],
    }:
    let
      lines = texts: builtins.concatStringsSep "" (map (text: "${text}\n") texts);
    in
    pkgs.runCommand "fake-nss"
      {
        passwd = lines (
          [ "root:x:0:0:root user:/var/empty:/bin/sh" ]
          ++ extraPasswdLines
          ++ [ "nobody:x:65534:65534:nobody:/var/empty:/bin/sh" ]
        );
        group = lines ([ "root:x:0:" ] ++ extraGroupLines ++ [ "nobody:x:65534:" ]);
        passAsFile = [ "passwd" "group" ];
      }
      ''
        mkdir -p $out/etc $out/var/empty
        cp $passwdPath $out/etc/passwd
        cp $groupPath $out/etc/group
        echo "hosts: files dns" > $out/etc/nsswitch.conf
      ''
  ) { };
}
