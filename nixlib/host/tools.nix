/**
  Host packages by nixpkgs' names: which programs they have, and which Debian package has them.

  Type: { lib, host } -> attrs of derivations
*/
{ lib, host }:

let
  words = text: builtins.filter (x: builtins.isString x && x != "") (builtins.split "[ \n]+" text);

  simple = name: packages: programs: host.program {
    inherit name packages;
    programs = words programs;
  };

  python = host.toolOf "python3" [ "python3-minimal" "python3.11-minimal" ];
  /* `python3.11`: the real program has the version in its name. */
  pythonName =
    if python == null then host.missing "python3" "python3" else baseNameOf python.real;
  pythonPrefix = if python == null then "/usr" else dirOf (dirOf python.real);

  perl = host.toolOf "perl" [ "perl-base" ];
in
rec {
  bash = host.program {
    name = "bash";
    links."bin/sh" = "bash";
  };
  bashInteractive = bash;

  coreutils = host.program {
    name = "coreutils";
    programs = words ''
      ls [ arch b2sum base32 base64 basename basenc cat chcon chgrp chmod chown chroot cksum comm cp
      csplit cut date dd df dir dircolors dirname du echo env expand expr factor false fmt fold groups
      head hostid id install join link ln logname md5sum mkdir mkfifo mknod mktemp mv nice nl
      nohup nproc numfmt od paste pathchk pinky pr printenv printf ptx pwd readlink realpath rm rmdir
      runcon seq sha1sum sha224sum sha256sum sha384sum sha512sum shred shuf sleep sort split stat
      stdbuf stty sum sync tac tail tee test timeout touch tr true truncate tsort tty uname unexpand
      uniq unlink users vdir wc who whoami yes
    '';
  };

  gnused = simple "gnused" [ "sed" ] "sed";
  gnugrep = simple "gnugrep" [ "grep" ] "grep egrep fgrep";
  gawk = simple "gawk" [ "gawk" "mawk" ] "awk";
  gnutar = simple "gnutar" [ "tar" ] "tar";
  gzip = simple "gzip" [ "gzip" ] "gzip gunzip zcat";
  bzip2 = simple "bzip2" [ "bzip2" ] "bzip2 bunzip2 bzcat";
  xz = simple "xz" [ "xz-utils" ] "xz unxz xzcat lzma unlzma";
  zstd = simple "zstd" [ "zstd" ] "zstd unzstd zstdcat";
  unzip = simple "unzip" [ "unzip" ] "unzip";
  zip = simple "zip" [ "zip" ] "zip";
  patch = simple "patch" [ "patch" ] "patch";
  diffutils = simple "diffutils" [ "diffutils" ] "diff cmp diff3 sdiff";
  findutils = simple "findutils" [ "findutils" ] "find xargs";
  gnumake = simple "gnumake" [ "make" ] "make";
  which = simple "which" [ "debianutils" ] "which";
  /* The magic numbers lie in the package, not in /usr. */
  file = host.withEnvironment (host.program {
    name = "file";
    trees = host.existingTrees [
      {
        from = "/usr/lib/file";
        to = "share/misc";
      }
    ];
  }) "file" { MAGIC = "@base@/share/misc/magic.mgc"; };
  m4 = simple "m4" [ "m4" ] "m4";
  bison = simple "bison" [ "bison" ] "bison";
  flex = simple "flex" [ "flex" ] "flex";
  gettext = simple "gettext" [ "gettext" ] "msgfmt xgettext msgmerge";
  ninja = simple "ninja" [ "ninja-build" ] "ninja";
  jq = simple "jq" [ "jq" ] "jq";
  curl = simple "curl" [ "curl" ] "curl";
  rsync = simple "rsync" [ "rsync" ] "rsync";
  less = simple "less" [ "less" ] "less";
  procps = simple "procps" [ "procps" ] "ps free pgrep pkill top vmstat watch";
  socat = simple "socat" [ "socat" ] "socat";
  nginx = simple "nginx" [ "nginx" ] "nginx";
  redis = simple "redis" [ "redis-server" "redis-tools" ] "redis-server redis-cli";
  sqlite = simple "sqlite" [ "sqlite3" ] "sqlite3";
  nodejs = simple "nodejs" [ "nodejs" ] "node";
  busybox = simple "busybox" [ "busybox" "busybox-static" ] "busybox";
  pkg-config = simple "pkg-config" [ "pkgconf-bin" "pkg-config" ] "pkg-config pkgconf";
  pkgconf = pkg-config;

  /* Only `cmake` and the modules beside it; `cpack` and `ctest` when they are there. */
  cmake =
    let
      found = host.toolOf "cmake" [ "cmake" ];
      version = lib.concatStringsSep "." (lib.take 2 (lib.splitVersion found.version));
    in
    if found == null then
      host.missing "cmake" "cmake"
    else
      host.program {
        name = "cmake";
        programs = [ "cmake" "ctest" "cpack" ];
        trees = [
          {
            from = "/usr/share/cmake-${version}";
            to = "share/cmake-${version}";
          }
        ];
      };

  /* With the commands that `git` runs, found where the package has them. */
  git =
    let
      found = host.toolOf "git" [ "git" ];
      prefix = if found == null then "/usr" else dirOf (dirOf found.real);
    in
    host.withEnvironment (host.program {
      name = "git";
      trees = host.existingTrees (
        map
          (from: {
            inherit from;
            to = "libexec/git-core";
            exclude = [ "mergetools" "git-add--interactive" "git-instaweb" "git-submodule" "git-web--browse" "git-subtree" "git-svn" "git-archimport" "git-cvs*" "git-send-email" "git-p4" ];
          })
          [
            "${prefix}/libexec/git-core"
            "${prefix}/lib/git-core"
          ]
      );
    }) "git" { GIT_EXEC_PATH = "@base@/libexec/git-core"; };

  /* The interpreter with its standard library; distributions come with `python3.withPackages`. */
  python3 = host.program {
    name = "python3";
    programs = [ "python3" ];
    packages = [ "${pythonName}-minimal" "python3-minimal" ];
    debian = "python3";
    trees = [
      {
        from = "${pythonPrefix}/lib/${pythonName}";
        to = "lib/${pythonName}";
        exclude = [ "config-*" "test" "idlelib" "turtledemo" "ensurepip" "dist-packages" "site-packages" "*.a" ];
      }
    ];
    links."bin/python" = pythonName;
    passthru = {
      executable = pythonName;
      pythonVersion = lib.removePrefix "python" pythonName;
    };
  };
  python = python3;

  /* With the modules of `perl-base` and, if it is installed, of `perl`. */
  perl =
    let
      found = host.toolOf "perl" [ "perl-base" ];
      version = lib.concatStringsSep "." (lib.take 2 (lib.splitVersion (host.upstreamVersion found)));
      triple = "${host.machine.architecture}-linux-gnu";
      trees = host.existingTrees [
        {
          from = "/usr/lib/${triple}/perl-base";
          to = "lib/perl-base";
        }
        {
          from = "/usr/lib/${triple}/perl/${version}";
          to = "lib/perl-arch";
        }
        {
          from = "/usr/share/perl/${version}";
          to = "lib/perl";
        }
      ];
    in
    if found == null then
      host.missing "perl" "perl"
    else
      host.withEnvironment (host.program {
        name = "perl";
        packages = [ "perl-base" ];
        inherit trees;
        interpreters."/usr/bin/perl" = null;
      }) "perl" { PERL5LIB = lib.concatMapStringsSep ":" (tree: "@base@/${tree.to}") trees; };

  /* The C.UTF-8 locale, so that builds need not see the machine's. */
  locale = if !host.query "exists" { path = "/usr/lib/locale/C.utf8"; } then null else host.program {
    name = "c-utf8-locale";
    programs = [ ];
    version = "host";
    trees = [
      {
        from = "/usr/lib/locale/C.utf8";
        to = "lib/locale/C.utf8";
      }
    ];
  };

  cacert = host.program {
    name = "cacert";
    programs = [ ];
    version = "host";
    trees = [
      {
        from = "/etc/ssl/certs";
        to = "etc/ssl/certs";
        exclude = [ "*.0" "*.pem" ];
      }
    ];
    links."etc/ssl/certs/ca-bundle.crt" = "ca-certificates.crt";
  };

  tzdata = host.program {
    name = "tzdata";
    programs = [ ];
    version = "host";
    trees = [
      {
        from = "/usr/share/zoneinfo";
        to = "share/zoneinfo";
      }
    ];
  };
}
