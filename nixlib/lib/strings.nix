/** Strings. */
{ lib }:

let
  inherit (builtins) stringLength substring;

  lower = "abcdefghijklmnopqrstuvwxyz";
  upper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  lowerList = stringToCharacters lower;
  upperList = stringToCharacters upper;
  stringToCharacters = text: builtins.genList (i: substring i 1 text) (stringLength text);
in
rec {
  inherit (builtins)
    compareVersions
    concatStringsSep
    elem
    fromJSON
    head
    isString
    match
    parseDrvName
    readFile
    replaceStrings
    split
    splitVersion
    storeDir
    stringLength
    substring
    tail
    toJSON
    typeOf
    unsafeDiscardStringContext
    ;
  inherit stringToCharacters;

  /**
    Strings in a row.

    Type: concatStrings :: [string] -> string
    Example:
      concatStrings [ "a" "b" ]
      => "ab"
  */
  concatStrings = concatStringsSep "";

  /**
    A function of each element, results in a row.

    Type: concatMapStrings :: (a -> string) -> [a] -> string
    Example:
      concatMapStrings (x: "<${x}>") [ "a" "b" ]
      => "<a><b>"
  */
  concatMapStrings = f: list: concatStrings (map f list);
  concatImapStrings = f: list: concatStrings (lib.imap1 f list);

  /**
    Like `concatMapStrings`, with something between.

    Type: concatMapStringsSep :: string -> (a -> string) -> [a] -> string
    Example:
      concatMapStringsSep "-" toString [ 1 2 ]
      => "1-2"
  */
  concatMapStringsSep =
    separator: f: list:
    concatStringsSep separator (map f list);
  concatImapStringsSep =
    separator: f: list:
    concatStringsSep separator (lib.imap1 f list);
  concatMapAttrsStringSep =
    separator: f: set:
    concatStringsSep separator (lib.mapAttrsToList f set);
  concatLines = concatMapStrings (line: line + "\n");
  intersperse =
    separator: list:
    if list == [ ] then [ ] else lib.tail (lib.concatMap (x: [ separator x ]) list);

  /**
    A string repeated.

    Type: replicate :: int -> string -> string
    Example:
      strings.replicate 3 "v"
      => "vvv"
  */
  replicate = n: text: concatStrings (lib.lists.replicate n text);

  /**
    Whitespace removed at both ends.

    Type: trim :: string -> string
    Example:
      trim "  a b\n"
      => "a b"
  */
  trim =
    text:
    let
      found = match "[ \t\r\n]*(.*[^ \t\r\n])[ \t\r\n]*" text;
    in
    if found == null then "" else head found;

  /**
    Paths joined for a search path, with a directory below each.

    Type: makeSearchPath :: string -> [path] -> string
    Example:
      makeSearchPath "bin" [ "/a" "/b" ]
      => "/a/bin:/b/bin"
  */
  makeSearchPath = dir: paths: concatStringsSep ":" (map (path: "${path}/${dir}") (lib.filter (x: x != null) paths));
  makeSearchPathOutput = output: dir: pkgs: makeSearchPath dir (map (lib.getOutput output) pkgs);

  /**
    The `lib` directories of packages.

    Type: makeLibraryPath :: [derivation] -> string
    Example:
      makeLibraryPath [ "/a" ]
      => "/a/lib"
  */
  makeLibraryPath = pkgs: makeSearchPath "lib" (map (p: if builtins.isAttrs p then lib.getLib p else p) pkgs);

  /**
    The `bin` directories of packages.

    Type: makeBinPath :: [derivation] -> string
    Example:
      makeBinPath [ "/a" "/b" ]
      => "/a/bin:/b/bin"
  */
  makeBinPath = pkgs: makeSearchPath "bin" (map (p: if builtins.isAttrs p then lib.getBin p else p) pkgs);
  makeIncludePath = pkgs: makeSearchPath "include" (map (p: if builtins.isAttrs p then lib.getDev p else p) pkgs);

  /**
    A string, or the empty one.

    Type: optionalString :: bool -> string -> string
    Example:
      optionalString false "x"
      => ""
  */
  optionalString = condition: text: if condition then text else "";

  /**
    Whether a string begins with another one.

    Type: hasPrefix :: string -> string -> bool
    Example:
      hasPrefix "ab" "abc"
      => true
  */
  hasPrefix = prefix: text: substring 0 (stringLength prefix) text == prefix;

  /**
    Whether a string ends with another one.

    Type: hasSuffix :: string -> string -> bool
    Example:
      hasSuffix "bc" "abc"
      => true
  */
  hasSuffix =
    suffix: text:
    let
      n = stringLength text;
      m = stringLength suffix;
    in
    n >= m && substring (n - m) m text == suffix;

  /**
    Whether a string holds another one.

    Type: hasInfix :: string -> string -> bool
    Example:
      hasInfix "bc" "abcd"
      => true
  */
  hasInfix = infix: text: replaceStrings [ infix ] [ "" ] "${text}" != "${text}" || infix == "";

  /**
    A string without a prefix, if it has that.

    Type: removePrefix :: string -> string -> string
    Example:
      removePrefix "foo." "foo.bar"
      => "bar"
  */
  removePrefix = prefix: text: if hasPrefix prefix text then substring (stringLength prefix) (-1) text else text;

  /**
    A string without a suffix, if it has that.

    Type: removeSuffix :: string -> string -> string
    Example:
      removeSuffix ".c" "main.c"
      => "main"
  */
  removeSuffix =
    suffix: text:
    if hasSuffix suffix text then substring 0 (stringLength text - stringLength suffix) text else text;

  /**
    Some characters with a backslash before them.

    Type: escape :: [string] -> string -> string
    Example:
      escape [ "(" ")" ] "(foo)"
      => "\\(foo\\)"
  */
  escape = list: replaceStrings list (map (c: "\\${c}") list);

  /**
    A word for a shell, quoted when that is needed.

    Type: escapeShellArg :: string -> string
    Example:
      escapeShellArg "it's"
      => "'it'\\''s'"
  */
  escapeShellArg =
    arg:
    let
      text = toString arg;
    in
    if match "[[:alnum:],._+:@%/-]+" text == null then "'${replaceStrings [ "'" ] [ "'\\''" ] text}'" else text;

  /**
    Words for a shell.

    Type: escapeShellArgs :: [string] -> string
    Example:
      escapeShellArgs [ "a b" "c" ]
      => "'a b' c"
  */
  escapeShellArgs = concatMapStringsSep " " escapeShellArg;
  isValidPosixName = name: match "[a-zA-Z_][a-zA-Z0-9_]*" name != null;

  /**
    A shell assignment: strings, lists (arrays) and sets (associative arrays).

    Type: toShellVar :: string -> any -> string
    Example:
      toShellVar "foo" "some string"
      => "foo='some string'"
  */
  toShellVar =
    name: value:
    lib.throwIfNot (isValidPosixName name) "toShellVar: ${name} is not a valid shell variable name" (
      if builtins.isAttrs value && !(lib.isStringLike value) then
        "declare -A ${name}=(${concatStringsSep " " (lib.mapAttrsToList (n: v: "[${escapeShellArg n}]=${escapeShellArg v}") value)})"
      else if builtins.isList value then
        "declare -a ${name}=(${escapeShellArgs value})"
      else
        "${name}=${escapeShellArg value}"
    );
  toShellVars = vars: concatStringsSep "\n" (lib.mapAttrsToList toShellVar vars);

  /**
    A string as a Nix string literal.

    Type: escapeNixString :: string -> string
    Example:
      escapeNixString "a\${b}"
      => "\"a\\\${b}\""
  */
  escapeNixString = text: escape [ "$" ] (toJSON text);

  /**
    A string for use in a regular expression.

    Type: escapeRegex :: string -> string
    Example:
      escapeRegex "a.b"
      => "a\\.b"
  */
  escapeRegex = escape (stringToCharacters "\\[{()^$?*+|.");
  escapeNixIdentifier = text: if match "[a-zA-Z_][a-zA-Z0-9_'-]*" text != null then text else escapeNixString text;
  escapeXML = replaceStrings [ "\"" "'" "<" ">" "&" ] [ "&quot;" "&apos;" "&lt;" "&gt;" "&amp;" ];
  escapeC =
    list:
    replaceStrings list (
      map (c: "\\x${lib.toLower (lib.toHexString (charToInt c))}") list
    );
  escapeURL =
    let
      plain = upperList ++ lowerList ++ stringToCharacters "0123456789-_.~";
    in
    text: concatMapStrings (c: if builtins.elem c plain then c else "%${lib.fixedWidthString 2 "0" (lib.toHexString (charToInt c))}") (stringToCharacters text);
  charToInt = c: asciiTable.${c} or (throw "charToInt: only printable ASCII characters are known");
  asciiTable =
    let
      printable = stringToCharacters " !\"#$%&'()*+,-./0123456789:;<=>?@${upper}[\\]^_`${lower}{|}~";
    in
    builtins.listToAttrs (lib.imap0 (i: c: lib.nameValuePair c (i + 32)) printable)
    // {
      "\t" = 9;
      "\n" = 10;
      "\r" = 13;
    };

  /**
    ASCII letters in lower case.

    Type: toLower :: string -> string
    Example:
      toLower "HOME"
      => "home"
  */
  toLower = replaceStrings upperList lowerList;

  /**
    ASCII letters in upper case.

    Type: toUpper :: string -> string
    Example:
      toUpper "home"
      => "HOME"
  */
  toUpper = replaceStrings lowerList upperList;
  toSentenceCase = text: toUpper (substring 0 1 text) + toLower (substring 1 (-1) text);
  toCamelCase =
    text:
    let
      words = lib.filter (w: builtins.isString w && w != "") (split "[^a-zA-Z0-9]+" text);
    in
    concatStrings (lib.imap0 (i: w: if i == 0 then toLower w else toSentenceCase w) words);

  /**
    A string with the context of another one.

    Type: addContextFrom :: string -> string -> string
    Example:
      addContextFrom "a" "b"
      => "b"
  */
  addContextFrom = from: text: substring 0 0 from + text;

  /**
    The pieces between a separator.

    Type: splitString :: string -> string -> [string]
    Example:
      splitString "." "a.b..c"
      => [ "a" "b" "" "c" ]
  */
  splitString =
    separator: text:
    map (piece: addContextFrom text piece) (
      lib.filter builtins.isString (split (escapeRegex (toString separator)) (unsafeDiscardStringContext (toString text)))
    );

  /**
    A string of a fixed width, filled on the left.

    Type: fixedWidthString :: int -> string -> string -> string
    Example:
      fixedWidthString 5 "0" "42"
      => "00042"
  */
  fixedWidthString =
    width: filler: text:
    let
      n = stringLength text;
    in
    assert lib.assertMsg (n <= width) "fixedWidthString: the text of ${toString n} characters is longer than ${toString width}";
    if n < width then filler + fixedWidthString (width - stringLength filler) filler text else text;
  fixedWidthNumber = width: n: fixedWidthString width "0" (toString n);

  /**
    Whether something can be coerced to a string without `toString`.

    Type: isStringLike :: any -> bool
    Example:
      isStringLike ./.
      => true
  */
  isStringLike =
    x: builtins.isString x || builtins.isPath x || (builtins.isAttrs x && (x ? outPath || x ? __toString));
  isConvertibleWithToString =
    x:
    isStringLike x
    || builtins.elem (typeOf x) [ "null" "int" "float" "bool" ]
    || (builtins.isList x && builtins.all isConvertibleWithToString x);
  isCoercibleToString = isStringLike;
  isStorePath =
    x:
    isStringLike x
    && (
      let
        text = toString x;
      in
      substring 0 1 text == "/" && (dirOf text) == storeDir
    );
  hasContext = builtins.hasContext;

  /**
    An integer from its decimal text.

    Type: toInt :: string -> int
    Example:
      toInt "-42"
      => -42
  */
  toInt =
    text:
    let
      found = match "[[:space:]]*(-?[0-9]+)[[:space:]]*" text;
      digits = head found;
    in
    if found == null then
      throw "toInt: ${escapeNixString text} is not an integer"
    else if match "-?0[0-9]+" digits != null then
      throw "toInt: ${escapeNixString text} may be decimal or octal; use toIntBase10"
    else
      fromJSON digits;

  /**
    An integer from its decimal text, leading zeros ignored.

    Type: toIntBase10 :: string -> int
    Example:
      toIntBase10 "007"
      => 7
  */
  toIntBase10 =
    text:
    let
      found = match "[[:space:]]*(-?)0*([0-9]+)[[:space:]]*" text;
    in
    if found == null then
      throw "toIntBase10: ${escapeNixString text} is not an integer"
    else
      fromJSON (head found + lib.last found);

  /**
    Whether a version is older than another one.

    Type: versionOlder :: string -> string -> bool
    Example:
      versionOlder "1.1" "1.2"
      => true
  */
  versionOlder = a: b: compareVersions b a == 1;

  /**
    Whether a version is at least another one.

    Type: versionAtLeast :: string -> string -> bool
    Example:
      versionAtLeast "1.1" "1.0"
      => true
  */
  versionAtLeast = a: b: !(versionOlder a b);

  /**
    The name of a derivation without version.

    Type: getName :: string | derivation -> string
    Example:
      getName "youtube-dl-2016.01.01"
      => "youtube-dl"
  */
  getName = x: if builtins.isString x then (parseDrvName x).name else x.pname or (parseDrvName x.name).name;

  /**
    The version of a derivation.

    Type: getVersion :: string | derivation -> string
    Example:
      getVersion "youtube-dl-2016.01.01"
      => "2016.01.01"
  */
  getVersion = x: if builtins.isString x then (parseDrvName x).version else x.version or (parseDrvName x.name).version;
  nameFromURL =
    url: separator:
    head (splitString separator (lib.last (splitString "/" url)));

  /**
    Flags of configure scripts: `--enable-x` or `--disable-x`, and the like.

    Type: enableFeature :: bool -> string -> string
    Example:
      enableFeature false "shared"
      => "--disable-shared"
  */
  enableFeature = on: name: "--${if on then "enable" else "disable"}-${name}";
  enableFeatureAs = on: name: value: enableFeature on name + optionalString on "=${value}";
  withFeature = on: name: "--${if on then "with" else "without"}-${name}";
  withFeatureAs = on: name: value: withFeature on name + optionalString on "=${value}";
  cmakeOptionType = type: name: value: "-D${name}:${toUpper type}=${value}";
  cmakeBool = name: on: cmakeOptionType "bool" name (if on then "TRUE" else "FALSE");
  cmakeFeature = cmakeOptionType "string";
  mesonOption = name: value: "-D${name}=${value}";
  mesonBool = name: on: mesonOption name (lib.boolToString on);
  mesonEnable = name: on: mesonOption name (if on then "enabled" else "disabled");

  /**
    A name that a store object may have.

    Type: sanitizeDerivationName :: string -> string
    Example:
      sanitizeDerivationName "../hello.bar # foo"
      => "-hello.bar-foo"
  */
  sanitizeDerivationName =
    text:
    let
      plain = unsafeDiscardStringContext (toString text);
      pieces = split "[^[:alnum:]+._?=-]+" (head (match "\\.*(.*)" plain));
      joined = concatMapStrings (piece: if builtins.isList piece then "-" else piece) pieces;
      n = stringLength joined;
    in
    if n == 0 then "unknown" else substring (lib.max (n - 207) 0) (-1) joined;

  /**
    Lines with a prefix.

    Type: prefixLines :: string -> string -> string
    Example:
      strings.prefixLines "> " "a\nb"
      => "> a\n> b"
  */
  prefixLines = prefix: text: concatMapStringsSep "\n" (line: prefix + line) (splitString "\n" text);
  fileContents = file: removeSuffix "\n" (readFile file);
  readPathsFromFile =
    root: file:
    map (line: root + "/${line}") (lib.filter (line: line != "" && !(hasPrefix "#" line)) (splitString "\n" (readFile file)));
  floatToString = x: toJSON x;
  normalizePath = text: concatStringsSep "/" (lib.filter (p: p != "") (splitString "/" text));
  commonPrefixLength = a: b: lib.length (lib.commonPrefix (stringToCharacters a) (stringToCharacters b));
  levenshtein =
    a: b:
    let
      as = stringToCharacters a;
      bs = stringToCharacters b;
      firstRow = lib.range 0 (lib.length bs);
      step =
        row: ca:
        lib.foldl' (
          acc: pair:
          let
            cost = if pair.snd == ca then 0 else 1;
            above = lib.elemAt row (pair.fst + 1);
            diagonal = lib.elemAt row pair.fst;
          in
          acc ++ [ (lib.min (lib.min (lib.last acc + 1) (above + 1)) (diagonal + cost)) ]
        ) [ (head row + 1) ] (lib.imap0 (i: c: { fst = i; snd = c; }) bs);
    in
    lib.last (lib.foldl' step firstRow as);
}
