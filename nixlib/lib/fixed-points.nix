/** Fixed points: sets and functions that refer to their own result. */
{ lib }:

rec {
  /**
    The value that a function maps to itself.

    Type: fix :: (a -> a) -> a
    Example:
      (fix (self: { a = 1; b = self.a + 1; })).b
      => 2
  */
  fix =
    f:
    let
      x = f x;
    in
    x;

  /**
    Applies a function until nothing changes.

    Type: converge :: (a -> a) -> a -> a
    Example:
      converge (x: x / 2) 16
      => 0
  */
  converge =
    f: x:
    let
      next = f x;
    in
    if next == x then x else converge f next;

  /**
    A self-referring set with an overlay on top.

    Type: extends :: (attrs -> attrs -> attrs) -> (attrs -> attrs) -> attrs -> attrs
    Example:
      fix (extends (final: prev: { b = prev.b + 1; }) (self: { a = 1; b = self.a; }))
      => { a = 1; b = 2; }
  */
  extends =
    overlay: f: final:
    let
      prev = f final;
    in
    prev // overlay final prev;

  /**
    Two overlays as one; the second sees the result of the first.

    Type: composeExtensions :: overlay -> overlay -> overlay
    Example:
      composeExtensions (f: p: { a = 1; }) (f: p: { b = p.a + 1; }) { } { }
      => { a = 1; b = 2; }
  */
  composeExtensions =
    first: second: final: prev:
    let
      a = first final prev;
    in
    a // second final (prev // a);

  /**
    Many overlays as one.

    Type: composeManyExtensions :: [overlay] -> overlay
    Example:
      composeManyExtensions [ (f: p: { a = 1; }) (f: p: { a = p.a + 1; }) ] { } { }
      => { a = 2; }
  */
  composeManyExtensions = lib.foldr composeExtensions (final: prev: { });

  /**
    A self-referring set that has a function `extend`.

    Type: makeExtensible :: (attrs -> attrs) -> attrs
    Example:
      ((makeExtensible (self: { a = 1; b = self.a; })).extend (final: prev: { a = 5; })).b
      => 5
  */
  makeExtensible = makeExtensibleWithCustomName "extend";

  /**
    Like `makeExtensible`, with another name for the function.

    Type: makeExtensibleWithCustomName :: string -> (attrs -> attrs) -> attrs
    Example:
      ((makeExtensibleWithCustomName "grow" (self: { a = 1; })).grow (f: p: { a = p.a + 1; })).a
      => 2
  */
  makeExtensibleWithCustomName =
    name: f:
    fix f // { ${name} = overlay: makeExtensibleWithCustomName name (extends overlay f); };

  /**
    An overlay from an overlay, a function of one argument, or a plain set.

    Type: toExtension :: any -> overlay
    Example:
      toExtension { a = 1; } { } { }
      => { a = 1; }
  */
  toExtension =
    f:
    if !builtins.isFunction f then
      _: _: f
    else
      final: prev:
      let
        one = f prev;
      in
      if builtins.isFunction one then f final prev else one;
}
