/**
  The store paths that a string mentions, each with its context, sorted and without repetition.

  A string's context says which derivations it depends on, but not which outputs stand in it, so
  paths are searched in the text. What follows a path in the text (`see ${hello}.`) can look like
  a part of its name; the context knows the names, so it says where a path ends.

  Type: string -> [ string ]
  Example: import ./mentions.nix "run ${hello}."
*/
text:

let
  inherit (builtins)
    appendContext
    attrNames
    concatMap
    elem
    filter
    genList
    getContext
    head
    isList
    length
    match
    split
    storeDir
    stringLength
    substring
    unsafeDiscardStringContext
    ;

  context = getContext text;
  plain = unsafeDiscardStringContext text;

  # /nix/store/HASH-NAME -> NAME, and without .drv for derivations.
  nameOf = path: substring (stringLength storeDir + 34) (stringLength path) path;
  dropDrv = name: substring 0 (stringLength name - 4) name;

  # The names that outputs and plain paths in this text can have.
  namesOf =
    path:
    let
      entry = context.${path};
      name = dropDrv (nameOf path);
    in
    (if entry.path or false then [ (nameOf path) ] else [ ])
    ++ map (output: if output == "out" then name else "${name}-${output}") (entry.outputs or [ ]);
  names = concatMap namesOf (attrNames context);

  escape = builtins.replaceStrings [ "." "+" "*" "(" ")" "[" "]" "?" "^" "$" "|" "{" "}" "\\" ] [ "\\." "\\+" "\\*" "\\(" "\\)" "\\[" "\\]" "\\?" "\\^" "\\$" "\\|" "\\{" "\\}" "\\\\" ];
  pieces = split "${escape storeDir}/([0-9a-df-np-sv-z]{32}-[-+_?=.a-zA-Z0-9]+)" plain;
  candidates = map head (filter isList pieces);

  # The longest known name that a candidate begins with.
  known =
    candidate:
    let
      rest = substring 33 (stringLength candidate) candidate;
      fits = name: substring 0 (stringLength name) rest == name;
      longest = builtins.foldl' (best: name: if stringLength name > stringLength best then name else best) "" (filter fits names);
    in
    if longest == "" then [ ] else [ "${storeDir}/${substring 0 33 candidate}${longest}" ];

  unique = attrNames (
    builtins.listToAttrs (
      map (path: {
        name = path;
        value = null;
      }) (concatMap known candidates)
    )
  );
in
map (path: appendContext path context) unique
