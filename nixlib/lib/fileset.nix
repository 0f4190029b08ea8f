/** Sets of files below a directory, and sources made of them. */
{ lib }:

let
  /* All files below a path, as strings. */
  filesBelow =
    path:
    if builtins.readFileType path == "directory" then
      lib.concatLists (lib.mapAttrsToList (name: _: filesBelow (path + "/${name}")) (builtins.readDir path))
    else
      [ (toString path) ];

  toSet =
    what: x:
    if builtins.isAttrs x && x ? _fileset then
      x
    else if builtins.isPath x then
      if builtins.pathExists x then
        make (filesBelow x)
      else
        throw "${what}: ${toString x} does not exist; use fileset.maybeMissing for files that may be absent"
    else
      throw "${what}: expected a path or a file set";

  make = files: {
    _fileset = true;
    files = builtins.listToAttrs (
      map (name: {
        inherit name;
        value = true;
      }) files
    );
  };

  fromNames = files: {
    _fileset = true;
    inherit files;
  };
in
rec {
  /**
    A source tree of the files of a set.

    Type: toSource :: { root :: path, fileset } -> source
  */
  toSource =
    { root, fileset }:
    let
      set = (toSet "fileset.toSource" fileset).files;
      rootText = toString root;
      outside = lib.filter (file: !(lib.hasPrefix (rootText + "/") file)) (builtins.attrNames set);
      parents =
        file:
        let
          up = dirOf file;
        in
        if up == rootText || up == "/" then [ ] else [ up ] ++ parents up;
      directories = builtins.listToAttrs (
        map (name: {
          inherit name;
          value = true;
        }) (lib.concatMap parents (builtins.attrNames set))
      );
    in
    if outside != [ ] then
      throw "fileset.toSource: ${lib.head outside} is not below the root ${rootText}"
    else
      lib.cleanSourceWith {
        src = root;
        filter = path: type: if type == "directory" then directories ? ${path} else set ? ${path};
      };

  /**
    The files of a set, as a list of paths.

    Type: toList :: fileset -> [path]
  */
  toList = x: map (name: /. + name) (builtins.attrNames (toSet "fileset.toList" x).files);

  union = a: b: unions [ a b ];
  unions = list: fromNames (lib.mergeAttrsList (map (x: (toSet "fileset.unions" x).files) list));
  intersection =
    a: b: fromNames (builtins.intersectAttrs (toSet "fileset.intersection" a).files (toSet "fileset.intersection" b).files);
  difference =
    a: b:
    fromNames (
      removeAttrs (toSet "fileset.difference" a).files (builtins.attrNames (toSet "fileset.difference" b).files)
    );

  /**
    The files below a path for which a predicate of `{ name, type, hasExt }` holds.

    Type: fileFilter :: (attrs -> bool) -> path -> fileset
  */
  fileFilter =
    p: path:
    make (
      lib.filter (
        file:
        let
          name = baseNameOf file;
        in
        p {
          inherit name;
          type = "regular";
          hasExt = ext: lib.hasSuffix ".${ext}" name;
        }
      ) (filesBelow path)
    );
  maybeMissing = path: if builtins.pathExists path then toSet "fileset.maybeMissing" path else make [ ];
  empty = make [ ];
  gitTracked = path: throw "nixlib has no fileset.gitTracked; list the files, or give a nixpkgs with -I nixpkgs=…";
  fromSource = source: toSet "fileset.fromSource" (source.origSrc or source);
}
