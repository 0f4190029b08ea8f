/** Source trees: what of a directory becomes a store object. */
{ lib }:

rec {
  /**
    Whether a file belongs to sources: no version control, editor backups, objects, results.

    Type: cleanSourceFilter :: path -> string -> bool
    Example:
      cleanSourceFilter "/src/.git" "directory"
      => false
  */
  cleanSourceFilter =
    path: type:
    let
      name = baseNameOf (toString path);
    in
    !(
      (type == "directory" && builtins.elem name [ ".git" ".svn" "CVS" ".hg" ".jj" ".pijul" "_darcs" ])
      || (type == "regular" && name == ".git")
      || lib.hasSuffix "~" name
      || builtins.match "\\.sw[a-z]" name != null
      || builtins.match "\\..*\\.sw[a-z]" name != null
      || lib.hasSuffix ".o" name
      || lib.hasSuffix ".so" name
      || (type == "symlink" && lib.hasPrefix "result" name)
      || type == "unknown"
    );

  /**
    A source tree without what `cleanSourceFilter` leaves out.

    Type: cleanSource :: path -> source
  */
  cleanSource =
    src:
    cleanSourceWith {
      filter = cleanSourceFilter;
      inherit src;
    };

  /**
    A source tree with a filter; filters of filtered trees add up.

    Type: cleanSourceWith :: { src, filter ? function, name ? string } -> source
  */
  cleanSourceWith =
    {
      src,
      filter ? _path: _type: true,
      name ? null,
    }:
    let
      isFiltered = src ? _isLibCleanSourceWith;
      origin = if isFiltered then src.origSrc else src;
      both = if isFiltered then path: type: src.filter path type && filter path type else filter;
      finalName = if name != null then name else if isFiltered then src.name else "source";
    in
    {
      _isLibCleanSourceWith = true;
      origSrc = origin;
      filter = both;
      name = finalName;
      outPath = builtins.path {
        filter = both;
        path = origin;
        name = finalName;
      };
    };

  /**
    Only files whose relative path matches one of some regular expressions, and directories.

    Type: sourceByRegex :: path -> [string] -> source
  */
  sourceByRegex =
    src: regexes:
    let
      root = toString (src.origSrc or src);
    in
    cleanSourceWith {
      inherit src;
      filter =
        path: type:
        let
          relative = lib.removePrefix (root + "/") (toString path);
        in
        lib.any (regex: builtins.match regex relative != null) regexes;
    };

  /**
    Only files with one of some endings, and directories.

    Type: sourceFilesBySuffices :: path -> [string] -> source
  */
  sourceFilesBySuffices =
    src: suffixes:
    cleanSourceWith {
      inherit src;
      filter = path: type: type == "directory" || lib.any (suffix: lib.hasSuffix suffix (baseNameOf path)) suffixes;
    };

  /**
    What lies at a path: "regular", "directory", "symlink" or "unknown".

    Type: pathType :: path -> string
  */
  pathType = builtins.readFileType;
  pathIsDirectory = path: builtins.pathExists path && pathType path == "directory";
  pathIsRegularFile = path: builtins.pathExists path && pathType path == "regular";
  filesystem = {
    inherit pathType pathIsDirectory pathIsRegularFile;
    listFilesRecursive =
      dir:
      lib.flatten (
        lib.mapAttrsToList (
          name: type: if type == "directory" then filesystem.listFilesRecursive (dir + "/${name}") else dir + "/${name}"
        ) (builtins.readDir dir)
      );
  };
}
