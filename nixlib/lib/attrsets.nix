/** Attribute sets. */
{ lib }:

let
  inherit (builtins) attrNames elem head tail;
in
rec {
  inherit (builtins)
    attrNames
    attrValues
    catAttrs
    getAttr
    hasAttr
    intersectAttrs
    listToAttrs
    mapAttrs
    removeAttrs
    zipAttrsWith
    ;

  /**
    The value at a path, or a default.

    Type: attrByPath :: [string] -> a -> attrs -> a
    Example:
      attrByPath [ "a" "b" ] 6 { a.b = 3; }
      => 3
  */
  attrByPath =
    path: default: set:
    if path == [ ] then
      set
    else if builtins.isAttrs set && set ? ${head path} then
      attrByPath (tail path) default set.${head path}
    else
      default;

  /**
    Whether there is a value at a path.

    Type: hasAttrByPath :: [string] -> attrs -> bool
    Example:
      hasAttrByPath [ "a" "b" ] { a = { }; }
      => false
  */
  hasAttrByPath =
    path: set:
    path == [ ] || (builtins.isAttrs set && set ? ${head path} && hasAttrByPath (tail path) set.${head path});

  /**
    The value at a path, which has to be there.

    Type: getAttrFromPath :: [string] -> attrs -> any
    Example:
      getAttrFromPath [ "a" "b" ] { a.b = 3; }
      => 3
  */
  getAttrFromPath =
    path: set:
    if hasAttrByPath path set then
      attrByPath path null set
    else
      abort "cannot find attribute '${builtins.concatStringsSep "." path}'";

  /**
    A set with one value at a path.

    Type: setAttrByPath :: [string] -> a -> attrs
    Example:
      setAttrByPath [ "a" "b" ] 3
      => { a = { b = 3; }; }
  */
  setAttrByPath = path: value: if path == [ ] then value else { ${head path} = setAttrByPath (tail path) value; };

  /**
    Values of some names, which have to be there.

    Type: attrVals :: [string] -> attrs -> [any]
    Example:
      attrVals [ "a" "b" ] { a = 1; b = 2; c = 3; }
      => [ 1 2 ]
  */
  attrVals = names: set: map (name: set.${name}) names;

  /**
    Some attributes of a set; names that it has not are left out.

    Type: getAttrs :: [string] -> attrs -> attrs
    Example:
      getAttrs [ "a" ] { a = 1; b = 2; }
      => { a = 1; }
  */
  getAttrs = names: set: genAttrs names (name: set.${name});

  /**
    The attributes for which a predicate holds.

    Type: filterAttrs :: (string -> any -> bool) -> attrs -> attrs
    Example:
      filterAttrs (n: v: v > 1) { a = 1; b = 2; }
      => { b = 2; }
  */
  filterAttrs =
    p: set: removeAttrs set (builtins.filter (name: !(p name set.${name})) (attrNames set));

  /**
    Like `filterAttrs`, in nested sets too.

    Type: filterAttrsRecursive :: (string -> any -> bool) -> attrs -> attrs
    Example:
      filterAttrsRecursive (n: v: v != null) { a.b = null; }
      => { a = { }; }
  */
  filterAttrsRecursive =
    p: set:
    mapAttrs (_: value: if builtins.isAttrs value then filterAttrsRecursive p value else value) (
      filterAttrs p set
    );

  /**
    Folds over names and values, in the order of names.

    Type: foldlAttrs :: (a -> string -> any -> a) -> a -> attrs -> a
    Example:
      foldlAttrs (sum: n: v: sum + v) 0 { a = 1; b = 2; }
      => 3
  */
  foldlAttrs =
    f: start: set:
    builtins.foldl' (acc: name: f acc name set.${name}) start (attrNames set);

  /**
    Sets with all values of their names collected in lists.

    Type: zipAttrs :: [attrs] -> attrs
    Example:
      zipAttrs [ { a = 1; } { a = 2; } ]
      => { a = [ 1 2 ]; }
  */
  zipAttrs = zipAttrsWith (_: values: values);
  zipAttrsWithNames =
    names: f: sets:
    genAttrs names (name: f name (builtins.catAttrs name sets));
  foldAttrs =
    f: start: sets:
    mapAttrs (_: lib.foldr f start) (zipAttrs sets);

  /**
    A pair for `listToAttrs`.

    Type: nameValuePair :: string -> a -> { name, value }
    Example:
      nameValuePair "a" 1
      => { name = "a"; value = 1; }
  */
  nameValuePair = name: value: { inherit name value; };

  /**
    A set with names and values changed.

    Type: mapAttrs' :: (string -> any -> { name, value }) -> attrs -> attrs
    Example:
      mapAttrs' (n: v: nameValuePair "x${n}" (v + 1)) { a = 1; }
      => { xa = 2; }
  */
  mapAttrs' = f: set: listToAttrs (mapAttrsToList f set);

  /**
    A list from names and values.

    Type: mapAttrsToList :: (string -> any -> a) -> attrs -> [a]
    Example:
      mapAttrsToList (n: v: n + v) { a = "1"; b = "2"; }
      => [ "a1" "b2" ]
  */
  mapAttrsToList = f: set: map (name: f name set.${name}) (attrNames set);
  attrsToList = mapAttrsToList nameValuePair;
  concatMapAttrs = f: set: builtins.foldl' (a: b: a // b) { } (mapAttrsToList f set);

  /**
    `mapAttrs` in nested sets; the function gets the path.

    Type: mapAttrsRecursive :: ([string] -> any -> any) -> attrs -> attrs
    Example:
      mapAttrsRecursive (path: v: builtins.concatStringsSep "." path) { a.b = 1; }
      => { a = { b = "a.b"; }; }
  */
  mapAttrsRecursive = mapAttrsRecursiveCond (_: true);
  mapAttrsRecursiveCond =
    enter: f: set:
    let
      go =
        path:
        mapAttrs (
          name: value:
          if builtins.isAttrs value && enter value then go (path ++ [ name ]) value else f (path ++ [ name ]) value
        );
    in
    go [ ] set;

  /**
    All values at which a predicate holds, in nested sets.

    Type: collect :: (any -> bool) -> attrs -> [any]
    Example:
      collect builtins.isInt { a.b = 1; c = 2; }
      => [ 1 2 ]
  */
  collect =
    p: set:
    if p set then
      [ set ]
    else if builtins.isAttrs set then
      builtins.concatMap (collect p) (builtins.attrValues set)
    else
      [ ];

  /**
    A set from names and a function.

    Type: genAttrs :: [string] -> (string -> a) -> attrs
    Example:
      genAttrs [ "a" "b" ] (name: "x${name}")
      => { a = "xa"; b = "xb"; }
  */
  genAttrs = names: f: listToAttrs (map (name: nameValuePair name (f name)) names);
  genAttrs' = list: f: listToAttrs (map f list);

  /**
    Whether something is a derivation.

    Type: isDerivation :: any -> bool
    Example:
      isDerivation { type = "derivation"; }
      => true
  */
  isDerivation = x: builtins.isAttrs x && (x.type or null) == "derivation";

  /**
    Something that looks like a derivation for a store path.

    Type: toDerivation :: path -> attrs
  */
  toDerivation =
    path:
    let
      outPath = builtins.storePath path;
      drv = {
        type = "derivation";
        name = builtins.unsafeDiscardStringContext (builtins.substring 33 (-1) (baseNameOf outPath));
        inherit outPath;
        outputs = [ "out" ];
        out = drv;
        outputName = "out";
      };
    in
    drv;

  /**
    A set, or the empty one.

    Type: optionalAttrs :: bool -> attrs -> attrs
    Example:
      optionalAttrs false { a = 1; }
      => { }
  */
  optionalAttrs = condition: set: if condition then set else { };

  /**
    Merges nested sets, as long as a predicate does not stop.

    Type: recursiveUpdateUntil :: ([string] -> any -> any -> bool) -> attrs -> attrs -> attrs
    Example:
      recursiveUpdateUntil (path: l: r: path == [ "a" ]) { a.b = 1; } { a.c = 2; }
      => { a = { c = 2; }; }
  */
  recursiveUpdateUntil =
    stop: left: right:
    let
      go =
        path:
        zipAttrsWith (
          name: values:
          let
            here = path ++ [ name ];
            first = builtins.elemAt values 1;
            second = head values;
          in
          if builtins.length values == 1 || stop here first second then head values else go here values
        );
    in
    go [ ] [ right left ];

  /**
    Merges nested sets; the second one wins.

    Type: recursiveUpdate :: attrs -> attrs -> attrs
    Example:
      recursiveUpdate { a = { x = 1; y = 2; }; } { a.x = 3; }
      => { a = { x = 3; y = 2; }; }
  */
  recursiveUpdate = recursiveUpdateUntil (_: l: r: !(builtins.isAttrs l && builtins.isAttrs r));

  /**
    Whether a set has everything that a pattern has.

    Type: matchAttrs :: attrs -> attrs -> bool
    Example:
      matchAttrs { a.x = 1; } { a = { x = 1; y = 2; }; }
      => true
  */
  matchAttrs =
    pattern: set:
    builtins.all (
      name:
      set ? ${name}
      && (
        if builtins.isAttrs pattern.${name} then
          builtins.isAttrs set.${name} && matchAttrs pattern.${name} set.${name}
        else
          pattern.${name} == set.${name}
      )
    ) (attrNames pattern);

  /**
    Values changed at paths.

    Type: updateManyAttrsByPath :: [{ path, update }] -> attrs -> attrs
    Example:
      updateManyAttrsByPath [ { path = [ "a" "b" ]; update = x: x + 1; } ] { a.b = 1; }
      => { a = { b = 2; }; }
  */
  updateManyAttrsByPath =
    updates: set:
    builtins.foldl' (
      acc: change:
      let
        go =
          path: value:
          if path == [ ] then
            change.update value
          else
            value // { ${head path} = go (tail path) (value.${head path} or { }); };
      in
      go change.path acc
    ) set updates;

  overrideExisting = old: new: mapAttrs (name: value: new.${name} or value) old;
  recurseIntoAttrs = set: set // { recurseForDerivations = true; };
  dontRecurseIntoAttrs = set: set // { recurseForDerivations = false; };
  unionOfDisjoint =
    a: b:
    let
      both = attrNames (builtins.intersectAttrs a b);
    in
    if both == [ ] then a // b else throw "these names are in both sets: ${builtins.concatStringsSep ", " both}";
  mergeAttrsList = builtins.foldl' (a: b: a // b) { };
  mapAttrsFlatten = mapAttrsToList;
  longestValidPathPrefix =
    path: set:
    if path != [ ] && builtins.isAttrs set && set ? ${head path} then
      [ (head path) ] ++ longestValidPathPrefix (tail path) set.${head path}
    else
      [ ];
  showAttrPath = path: if path == [ ] then "<root attribute path>" else lib.concatMapStringsSep "." lib.strings.escapeNixIdentifier path;

  /**
    An output of a derivation, or the default one.

    Type: getOutput :: string -> derivation -> derivation
    Example:
      getOutput "dev" { outputSpecified = true; out = 1; }
      => { out = 1; outputSpecified = true; }
  */
  getOutput = output: pkg: if !(pkg ? outputSpecified) || !pkg.outputSpecified then pkg.${output} or pkg.out or pkg else pkg;
  getFirstOutput =
    candidates: pkg:
    let
      found = builtins.filter (name: pkg ? ${name}) candidates;
    in
    if found == [ ] then pkg else pkg.${head found};
  getBin = getOutput "bin";
  getLib = getOutput "lib";
  getDev = getOutput "dev";
  getMan = getOutput "man";
  getInclude = getFirstOutput [ "include" "dev" "out" ];
  chooseDevOutputs = map getDev;
}
