/** Small functions without a subject of their own. */
{ lib }:

rec {
  inherit (builtins)
    add
    addErrorContext
    bitAnd
    bitOr
    bitXor
    deepSeq
    div
    fromJSON
    genericClosure
    isAttrs
    isBool
    isFloat
    isInt
    isPath
    lessThan
    mul
    pathExists
    readFile
    seq
    sub
    toJSON
    trace
    tryEval
    ;

  /**
    Its argument.

    Type: id :: a -> a
    Example:
      id 3
      => 3
  */
  id = x: x;

  /**
    Ignores its second argument.

    Type: const :: a -> b -> a
    Example:
      const 1 2
      => 1
  */
  const = x: _: x;

  /**
    Sends a value through functions, first one first.

    Type: pipe :: a -> [function] -> b
    Example:
      pipe 2 [ (x: x + 1) (x: x * 10) ]
      => 30
  */
  pipe = builtins.foldl' (x: f: f x);

  /**
    A function of two arguments with the arguments swapped.

    Type: flip :: (a -> b -> c) -> b -> a -> c
    Example:
      flip (a: b: a - b) 1 10
      => 9
  */
  flip =
    f: a: b:
    f b a;

  /**
    A set united with a second one, which wins.

    Type: mergeAttrs :: attrs -> attrs -> attrs
    Example:
      mergeAttrs { a = 1; } { a = 2; }
      => { a = 2; }
  */
  mergeAttrs = a: b: a // b;

  /**
    Both, either, exclusively one, not.

    Type: and :: bool -> bool -> bool
    Example:
      and true false
      => false
  */
  and = a: b: a && b;
  or = a: b: a || b;
  xor = a: b: a != b;

  /**
    Whether something is a function or a set that can be called.

    Type: isFunction :: any -> bool
    Example:
      isFunction { __functor = self: x: x; }
      => true
  */
  isFunction =
    f: builtins.isFunction f || (builtins.isAttrs f && f ? __functor && isFunction (f.__functor f));

  /**
    The arguments of a function, also of one that was annotated with `setFunctionArgs`.

    Type: functionArgs :: function -> { name :: bool }
    Example:
      functionArgs ({ a, b ? 1 }: a)
      => { a = false; b = true; }
  */
  functionArgs =
    f:
    if builtins.isAttrs f && f ? __functor then
      f.__functionArgs or (functionArgs (f.__functor f))
    else
      builtins.functionArgs f;

  /**
    A function that says which arguments it takes.

    Type: setFunctionArgs :: function -> attrs -> attrs
    Example:
      functionArgs (setFunctionArgs (x: x) { a = false; })
      => { a = false; }
  */
  setFunctionArgs = f: args: {
    __functor = self: f;
    __functionArgs = args;
  };

  /**
    A function with the arguments of another one.

    Type: mirrorFunctionArgs :: function -> function -> function
    Example:
      functionArgs (mirrorFunctionArgs ({ a }: a) (x: x))
      => { a = false; }
  */
  mirrorFunctionArgs = f: g: setFunctionArgs g (functionArgs f);

  /**
    Turns anything into a function.

    Type: toFunction :: any -> function
    Example:
      toFunction 3 "unused"
      => 3
  */
  toFunction = x: if isFunction x then x else _: x;

  /**
    The smaller and the larger of two values.

    Type: min :: number -> number -> number
    Example:
      min 1 2
      => 1
  */
  min = a: b: if a < b then a else b;
  max = a: b: if a < b then b else a;

  /**
    The rest of an integer division.

    Type: mod :: int -> int -> int
    Example:
      mod 7 3
      => 1
  */
  mod = a: b: a - (a / b) * b;

  /**
    -1, 0 or 1, as the first is less, equal or greater.

    Type: compare :: a -> a -> int
    Example:
      compare 1 2
      => -1
  */
  compare =
    a: b:
    if a < b then
      -1
    else if b < a then
      1
    else
      0;

  /**
    A predicate decides between two orders.

    Type: splitByAndCompare :: (a -> bool) -> (a -> a -> int) -> (a -> a -> int) -> a -> a -> int
    Example:
      splitByAndCompare (x: x < 0) compare compare 1 (-1)
      => 1
  */
  splitByAndCompare =
    p: yes: no: a: b:
    if p a then
      if p b then yes a b else -1
    else if p b then
      1
    else
      no a b;

  /**
    "true" or "false".

    Type: boolToString :: bool -> string
    Example:
      boolToString true
      => "true"
  */
  boolToString = b: if b then "true" else "false";

  /**
    "yes" or "no".

    Type: boolToYesNo :: bool -> string
    Example:
      boolToYesNo false
      => "no"
  */
  boolToYesNo = b: if b then "yes" else "no";

  /**
    A function of a value unless that is null.

    Type: mapNullable :: (a -> b) -> (null | a) -> null | b
    Example:
      mapNullable (x: x + 1) null
      => null
  */
  mapNullable = f: x: if x == null then null else f x;

  /**
    The default for null.

    Type: defaultTo :: a -> (null | a) -> a
    Example:
      defaultTo 1 null
      => 1
  */
  defaultTo = default: x: if x == null then default else x;

  /**
    An `assert` with a sentence: throws it when the condition fails.

    Type: assertMsg :: bool -> string -> bool
    Example:
      assertMsg true "never shown"
      => true
  */
  assertMsg = condition: message: if condition then true else throw message;

  /**
    Whether a value is one of a list; the sentence names what is allowed.

    Type: assertOneOf :: string -> a -> [a] -> bool
    Example:
      assertOneOf "kind" "a" [ "a" "b" ]
      => true
  */
  assertOneOf =
    name: value: allowed:
    assertMsg (builtins.elem value allowed) "${name} is ${toPretty value}, but has to be one of ${toPretty allowed}";
  toPretty = value: lib.generators.toPretty { multiline = false; } value;

  /**
    Warns and gives the value.

    Type: warn :: string -> a -> a
  */
  warn = message: value: builtins.trace "evaluation warning: ${message}" value;
  warnIf = condition: message: if condition then warn message else id;
  warnIfNot = condition: warnIf (!condition);
  info = message: builtins.trace "INFO: ${message}";
  throwIf = condition: message: if condition then throw message else id;
  throwIfNot = condition: throwIf (!condition);

  /**
    JSON from a file.

    Type: importJSON :: path -> any
  */
  importJSON = path: builtins.fromJSON (builtins.readFile path);
  importTOML = path: builtins.fromTOML (builtins.readFile path);

  /**
    An integer in base 16, and the other way.

    Type: toHexString :: int -> string
    Example:
      toHexString 250
      => "FA"
  */
  toHexString =
    n: lib.concatStrings (map (d: builtins.substring d 1 "0123456789ABCDEF") (toBaseDigits 16 n));
  fromHexString =
    text: (builtins.fromTOML "n = 0x${builtins.replaceStrings [ "0x" "0X" ] [ "" "" ] text}").n;

  /**
    The digits of a number, highest first.

    Type: toBaseDigits :: int -> int -> [int]
    Example:
      toBaseDigits 2 6
      => [ 1 1 0 ]
  */
  toBaseDigits =
    base: n: if n < base then [ n ] else toBaseDigits base (n / base) ++ [ (mod n base) ];

  /**
    Whether this is a nix-shell.

    Type: inNixShell :: bool
  */
  inNixShell = builtins.getEnv "IN_NIX_SHELL" != "";
  inPureEvalMode = !(builtins ? currentSystem);

  /* The release whose names this library follows. */
  version = "24.05.nixlib";
  release = "24.05";
  trivialRelease = release;

  fakeHash = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
  fakeSha256 = "0000000000000000000000000000000000000000000000000000000000000000";
  fakeSha512 = fakeSha256 + fakeSha256;
}
