/**
  The machine's own tools as store packages.

  Everything here is an ordinary derivation: what `query` answers about the machine becomes its
  environment (`request`, `hostFacts`), so another machine state is another derivation. Nothing is
  copied while evaluating.

  Type: { lib, system, query } -> attrs
*/
{
  lib,
  system,
  query,
}:

let
  inherit (builtins)
    attrNames
    attrValues
    baseNameOf
    elemAt
    filter
    head
    listToAttrs
    map
    toJSON
    ;

  machine = query "system" { };

  /* Store names allow fewer characters than packages have. */
  storeName = builtins.replaceStrings [ "~" ":" "/" " " "@" ] [ "-" "-" "-" "-" "-" ];

  /* Number of the way in which files are imported; another one makes other derivations. */
  importer = 2;

  distribution = if machine.distribution == null then "unknown" else machine.distribution;

  /* How to get a tool that is not there. */
  advice =
    package: "on Debian: apt install ${package}";

  missing =
    name: package:
    throw "${name} is not on this machine; ${advice package}";

  /**
    What a derivation records about the machine: distribution, release, packages with versions.

    Type: facts :: [{ name, version }] -> string
  */
  facts =
    packages:
    toJSON {
      inherit (machine) distribution release;
      packages = listToAttrs (map (p: { inherit (p) name; value = p.version; }) packages);
    };

  /* One store object for the libraries of one distribution package. */
  makeLibraries =
    group: needs:
    let
      version = if group.version == null then "" else "-${storeName group.version}";
    in
    derivation {
      name = "host-${storeName group.name}${version}";
      inherit system;
      builder = "builtin:host-libs";
      request = toJSON {
        inherit importer;
        inherit (group) files;
        libraries = map (need: "${need}/lib") needs;
      };
      hostFacts = facts group.packages;
      __impureHostDeps = group.impure;
      preferLocalBuild = true;
      allowSubstitutes = false;
    };

  /* All groups of an answer, each built on those that it needs. */
  makeGroups =
    groups:
    let
      made = builtins.mapAttrs (_: group: makeLibraries group (map (name: made.${name}) group.needs)) groups;
    in
    made;

  /**
    The facts about a tool on the fixed search path, or null.

    Type: tool :: string -> null | { path, real, package, version }
    Example:
      tool "no-such-tool"
      => null
  */
  tool = name: toolOf name [ ];

  /* Those of some trees that the machine has. */
  existingTrees = filter (tree: query "exists" { path = tree.from; });

  /* A tool's version without epoch and revision of the distribution. */
  upstreamVersion =
    found:
    let
      version = if found.version == null then "0" else found.version;
    in
    lib.head (lib.splitString "-" (lib.last (lib.splitString ":" version)));

  toolOf = name: packages: query "tool" { inherit name packages; };

  /* Interpreters of scripts: what a first line may name, and the package that has it. */
  # `perl` may be under construction when this is asked: its own scripts name it by themselves.
  interpreterFor =
    path:
    let
      name = baseNameOf path;
    in
    if name == "sh" || name == "bash" || name == "dash" then
      "${tools.bash}/bin/bash"
    else if lib.hasPrefix "perl" name && tools ? perl then
      "${tools.perl}/bin/perl"
    else
      null;

  /**
    A package of programs that the machine has: `programs` are names on the search path or absolute
    paths (the first one has to be there, others are left out when missing), `trees` are directories
    `{ from; to; exclude ? [ ]; }`, `links` are further names `{ "bin/sh" = "bash"; }`, `packages`
    names the distribution's packages that have them.

    Type: program :: { name, programs ? [string], trees ? [attrs], links ? attrs, packages ? [string], debian ? string } -> derivation
    Example:
      (program { name = "hello"; programs = [ "no-such-tool" ]; }).name
      => error: no-such-tool is not on this machine; on Debian: apt install hello
  */
  program =
    args@{
      name,
      programs ? [ name ],
      trees ? [ ],
      links ? { },
      packages ? [ name ],
      debian ? head (packages ++ [ name ]),
      version ? null,
      meta ? { },
      passthru ? { },
      interpreters ? { },
    }:
    let
      found = query "program" {
        inherit programs packages;
        trees = map (tree: { exclude = [ ]; } // tree) trees;
      };
      answer = if found == null then missing (head programs) debian else found;
      groups = makeGroups answer.groups;
      libraries = map (group: groups.${group}) answer.libraries;
      ownVersion =
        if version != null then
          version
        else if answer.version != null then
          storeName answer.version
        else
          "host";
      known = listToAttrs (
        filter (entry: entry.value != null) (
          map (path: {
            name = path;
            value = if interpreters ? ${path} then interpreters.${path} else interpreterFor path;
          }) answer.interpreters
        )
      );
      drv = derivation {
        name = "${name}-${ownVersion}";
        inherit system;
        builder = "builtin:host-program";
        request = toJSON {
          inherit importer;
          files =
            answer.files
            ++ map (to: {
              inherit to;
              link = links.${to};
            }) (attrNames links);
          inherit (answer) trees;
          libraries = map (library: "${library}/lib") libraries;
          loader = if answer.loader == null then null else "${groups.${loaderGroup answer}}/lib/${answer.loader}";
          interpreters = known;
        };
        hostFacts = facts answer.packages;
        __impureHostDeps = answer.impure;
        preferLocalBuild = true;
        allowSubstitutes = false;
      };
    in
    drv
    // {
      pname = name;
      version = ownVersion;
      meta = {
        mainProgram = if programs == [ ] then null else baseNameOf (head programs);
        description = "The ${name} of this machine (${distribution})";
        available = true;
      } // meta;
      passthru = passthru // { inherit libraries; isHostProgram = true; };
      inherit libraries;
      isHostProgram = true;
      outputSpecified = false;
    }
    // passthru;

  /**
    A host program whose `program` runs with variables set, for programs that look for their data at
    places fixed when they were made.

    Type: withEnvironment :: derivation -> string -> attrs -> derivation
  */
  withEnvironment =
    base: program: variables:
    let
      drv = derivation {
        name = base.name;
        inherit system base program;
        shell = "${tools.bash}/bin/bash";
        builder = "${tools.bash}/bin/bash";
        coreutils = tools.coreutils;
        variables = lib.concatStrings (
          lib.mapAttrsToList (
            name: value: "export ${name}=\"\${${name}-${lib.replaceStrings [ "@base@" ] [ "${base}" ] value}}\"\n"
          ) variables
        );
        args = [
          "-e"
          (builtins.toFile "with-environment.sh" ''
            export PATH=$coreutils/bin
            mkdir -p $out/bin
            for entry in $base/*; do
              if [ "''${entry##*/}" != bin ]; then ln -s "$entry" $out/; fi
            done
            for entry in $base/bin/*; do
              if [ "''${entry##*/}" != "$program" ]; then ln -s "$entry" $out/bin/; fi
            done
            printf '#!%s\n%sexec -a "$0" %s "$@"\n' "$shell" "$variables" "$base/bin/$program" > $out/bin/$program
            chmod +x $out/bin/$program
          '')
        ];
        preferLocalBuild = true;
        allowSubstitutes = false;
      };
    in
    drv
    // {
      inherit (base) pname version meta passthru libraries isHostProgram;
    };

  /* The group whose files have the loader. */
  loaderGroup =
    answer:
    head (
      filter (name: lib.any (file: file.to == answer.loader) answer.groups.${name}.files) (
        attrNames answer.groups
      )
    );

  /**
    The store object with a shared library of the machine, for `buildInputs`.

    Type: library :: string -> derivation
    Example:
      (library "libnosuch.so.9").name
      => error: the library libnosuch.so.9 is not on this machine; install the package that has it
  */
  library =
    soname:
    let
      answer = librariesOf [ soname ];
    in
    if answer == null then
      throw "the library ${soname} is not on this machine; install the package that has it"
    else
      answer.groups.${answer.roots.${soname}};

  librariesOf =
    sonames:
    let
      answer = query "libraries" { inherit sonames; };
    in
    if answer == null then null else answer // { groups = makeGroups answer.groups; };

  loaderName =
    {
      x86_64 = "ld-linux-x86-64.so.2";
      aarch64 = "ld-linux-aarch64.so.1";
      riscv64 = "ld-linux-riscv64-lp64d.so.1";
    }
    .${machine.architecture} or (throw "nixlib does not know the loader of ${machine.architecture}");

  /* What every dynamic program of this machine needs, and what C++ programs need too. */
  runtime =
    let
      c = librariesOf [ "libc.so.6" loaderName ];
      cxx = librariesOf [ "libstdc++.so.6" ];
    in
    if c == null then
      throw "this machine has no glibc; nixlib's compilers need one"
    else
      {
        libc = c.groups.${c.roots."libc.so.6"};
        loader = "${c.groups.${c.roots.${loaderName}}}/lib/${loaderName}";
        libstdcxx = if cxx == null then null else cxx.groups.${cxx.roots."libstdc++.so.6"};
      };

  tools = import ./tools.nix { inherit lib host; };

  host = {
    inherit
      advice
      distribution
      existingTrees
      facts
      library
      loaderName
      machine
      makeGroups
      missing
      program
      query
      runtime
      storeName
      tool
      toolOf
      tools
      upstreamVersion
      withEnvironment
      ;

    /* Trees that builds see which use the machine's compilers. */
    trees = machine.trees ++ machine.files;

    /**
      The imported objects with the libraries that C and C++ programs need.

      Type: libs :: { libc = derivation, libstdcxx = null | derivation }
    */
    libs = {
      inherit (runtime) libc libstdcxx;
    };

    /* Where commands of an image's recipe (`extraCommands`) find the usual tools. */
    commandPath = map (package: "${package}/bin") [
      tools.coreutils
      tools.findutils
      tools.gnused
      tools.gnugrep
      tools.gawk
      tools.gnutar
      tools.gzip
      tools.bash
    ];
  };
in
host
