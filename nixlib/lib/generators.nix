/** Texts from values: configuration files of several kinds. */
{ lib }:

rec {
  /**
    A scalar as configuration files write it.

    Type: mkValueStringDefault :: attrs -> any -> string
    Example:
      generators.mkValueStringDefault { } true
      => "true"
  */
  mkValueStringDefault =
    _: value:
    if builtins.isInt value then
      toString value
    else if lib.isDerivation value then
      toString value
    else if builtins.isString value then
      value
    else if value == true then
      "true"
    else if value == false then
      "false"
    else if value == null then
      "null"
    else if builtins.isFloat value then
      builtins.toJSON value
    else
      throw "generators.mkValueStringDefault: values of type ${builtins.typeOf value} have no text";

  /**
    One line of name and value.

    Type: mkKeyValueDefault :: { mkValueString ? function } -> string -> string -> any -> string
    Example:
      generators.mkKeyValueDefault { } ":" "a:b" 3
      => "a\\:b:3"
  */
  mkKeyValueDefault =
    {
      mkValueString ? mkValueStringDefault { },
    }:
    separator: name: value:
    "${lib.escape [ separator ] name}${separator}${mkValueString value}";

  /**
    Lines of names and values.

    Type: toKeyValue :: { mkKeyValue ? function, listsAsDuplicateKeys ? bool, indent ? string } -> attrs -> string
    Example:
      generators.toKeyValue { } { a = 1; b = "x"; }
      => "a=1\nb=x\n"
  */
  toKeyValue =
    {
      mkKeyValue ? mkKeyValueDefault { } "=",
      listsAsDuplicateKeys ? false,
      indent ? "",
    }:
    let
      line = name: value: "${indent}${mkKeyValue name value}\n";
      lines =
        if listsAsDuplicateKeys then
          name: value: map (line name) (if builtins.isList value then value else [ value ])
        else
          name: value: [ (line name value) ];
    in
    attrs: lib.concatStrings (lib.concatLists (lib.mapAttrsToList lines attrs));

  /**
    An INI file: sections of names and values.

    Type: toINI :: { mkSectionName ? function, mkKeyValue ? function } -> attrs -> string
    Example:
      generators.toINI { } { foo = { hi = "ok"; }; }
      => "[foo]\nhi=ok\n"
  */
  toINI =
    {
      mkSectionName ? name: lib.escape [ "[" "]" ] name,
      mkKeyValue ? mkKeyValueDefault { } "=",
      listsAsDuplicateKeys ? false,
    }:
    sections:
    lib.concatStringsSep "\n" (
      lib.mapAttrsToList (
        name: values:
        "[${mkSectionName name}]\n" + toKeyValue { inherit mkKeyValue listsAsDuplicateKeys; } values
      ) sections
    );
  toINIWithGlobalSection =
    args:
    {
      globalSection,
      sections ? { },
    }:
    (
      if globalSection == { } then
        ""
      else
        toKeyValue (removeAttrs args [ "mkSectionName" ]) globalSection + "\n"
    )
    + toINI args sections;

  /**
    A git configuration.

    Type: toGitINI :: attrs -> string
    Example:
      generators.toGitINI { user.name = "a"; }
      => "[user]\n\tname = \"a\"\n"
  */
  toGitINI =
    attrs:
    let
      quote = value: if builtins.isString value then "\"${lib.escape [ "\\" "\"" ] value}\"" else mkValueStringDefault { } value;
      section =
        name: values:
        let
          plain = lib.filterAttrs (_: v: !(builtins.isAttrs v)) values;
          nested = lib.filterAttrs (_: v: builtins.isAttrs v) values;
          line = key: value: lib.concatMapStrings (v: "\t${key} = ${quote v}\n") (lib.toList value);
        in
        lib.optional (plain != { }) ("[${name}]\n" + lib.concatStrings (lib.mapAttrsToList line plain))
        ++ lib.concatLists (lib.mapAttrsToList (sub: section "${name} \"${sub}\"") nested);
    in
    lib.concatStringsSep "\n" (lib.concatLists (lib.mapAttrsToList section attrs));

  /**
    JSON, and YAML, which JSON is too.

    Type: toJSON :: attrs -> any -> string
    Example:
      generators.toJSON { } { a = [ 1 null ]; }
      => "{\"a\":[1,null]}"
  */
  toJSON = _: builtins.toJSON;
  toYAML = toJSON;

  /**
    A value as a Nix expression.

    Type: toPretty :: { multiline ? bool, allowPrettyValues ? bool, indent ? string } -> any -> string
    Example:
      generators.toPretty { multiline = false; } { a = [ 1 "x" ]; }
      => "{ a = [ 1 \"x\" ]; }"
  */
  toPretty =
    {
      multiline ? true,
      allowPrettyValues ? false,
      indent ? "",
    }:
    let
      go =
        indent: value:
        let
          inner = if multiline then "\n${indent}  " else " ";
          outer = if multiline then "\n${indent}" else " ";
          next = go (indent + "  ");
        in
        if builtins.isString value then
          lib.strings.escapeNixString value
        else if value == null then
          "null"
        else if value == true then
          "true"
        else if value == false then
          "false"
        else if builtins.isInt value then
          toString value
        else if builtins.isFloat value then
          "~${builtins.toJSON value}"
        else if builtins.isPath value then
          toString value
        else if builtins.isList value then
          if value == [ ] then "[ ]" else "[" + inner + lib.concatMapStringsSep inner next value + outer + "]"
        else if builtins.isFunction value then
          "<function>"
        else if lib.isDerivation value then
          "<derivation ${value.name or "???"}>"
        else if allowPrettyValues && value ? __pretty && value ? val then
          value.__pretty value.val
        else if value == { } then
          "{ }"
        else
          "{"
          + inner
          + lib.concatStringsSep inner (
            lib.mapAttrsToList (name: v: "${lib.strings.escapeNixIdentifier name} = ${next v};") value
          )
          + outer
          + "}";
    in
    go indent;

  /**
    A Lua value.

    Type: toLua :: attrs -> any -> string
    Example:
      generators.toLua { multiline = false; } { a = [ 1 true ]; }
      => "{ [\"a\"] = { 1, true } }"
  */
  toLua =
    {
      multiline ? true,
      indent ? "",
    }:
    let
      go =
        indent: value:
        let
          inner = if multiline then "\n${indent}  " else " ";
          outer = if multiline then "\n${indent}" else " ";
          next = go (indent + "  ");
          body = items: if items == [ ] then "{}" else "{" + inner + lib.concatStringsSep ",${inner}" items + outer + "}";
        in
        if value == null then
          "nil"
        else if builtins.isAttrs value && !(lib.isDerivation value) then
          body (lib.mapAttrsToList (name: v: "[${builtins.toJSON name}] = ${next v}") value)
        else if builtins.isList value then
          body (map next value)
        else
          builtins.toJSON value;
    in
    go indent;

  /**
    XML property lists are not made here; the name says so when it is used.

    Type: toPlist :: attrs -> any -> string
  */
  toPlist = throw "nixlib has no generators.toPlist; give a nixpkgs with -I nixpkgs=…";

  /**
    Arguments of a command from a set.

    Type: toGNUCommandLine :: attrs -> [string]
    Example:
      generators.toGNUCommandLine { port = 80; v = true; skip = null; name = [ "a" "b" ]; }
      => [ "--name" "a" "--name" "b" "--port" "80" "-v" ]
  */
  toGNUCommandLine =
    attrs:
    let
      flag = name: if builtins.stringLength name == 1 then "-${name}" else "--${name}";
      one =
        name: value:
        if builtins.isList value then
          lib.concatMap (one name) value
        else if value == true then
          [ (flag name) ]
        else if value == false || value == null then
          [ ]
        else
          [ (flag name) (mkValueStringDefault { } value) ];
    in
    lib.concatLists (lib.mapAttrsToList one attrs);
}
