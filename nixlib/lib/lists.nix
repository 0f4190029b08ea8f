/** Lists. */
{ lib }:

let
  inherit (builtins) elemAt length;
in
rec {
  inherit (builtins)
    all
    any
    concatLists
    concatMap
    elem
    elemAt
    filter
    genList
    groupBy
    head
    isList
    length
    map
    partition
    sort
    tail
    ;

  /**
    A list of one element.

    Type: singleton :: a -> [a]
    Example:
      singleton 1
      => [ 1 ]
  */
  singleton = x: [ x ];

  /**
    A list with each element sent through a function that also gets the index, from 0.

    Type: imap0 :: (int -> a -> b) -> [a] -> [b]
    Example:
      imap0 (i: x: "${toString i}${x}") [ "a" "b" ]
      => [ "0a" "1b" ]
  */
  imap0 = f: list: genList (i: f i (elemAt list i)) (length list);

  /**
    Like `imap0`, counted from 1.

    Type: imap1 :: (int -> a -> b) -> [a] -> [b]
    Example:
      imap1 (i: x: i) [ "a" "b" ]
      => [ 1 2 ]
  */
  imap1 = f: list: genList (i: f (i + 1) (elemAt list i)) (length list);

  /**
    Folds from the right.

    Type: foldr :: (a -> b -> b) -> b -> [a] -> b
    Example:
      foldr (x: y: "${x}(${y})") "" [ "a" "b" ]
      => "a(b())"
  */
  foldr =
    f: start: list:
    let
      n = length list;
      go = i: if i == n then start else f (elemAt list i) (go (i + 1));
    in
    go 0;
  fold = foldr;

  /**
    Folds from the left, lazily in the accumulator.

    Type: foldl :: (b -> a -> b) -> b -> [a] -> b
    Example:
      foldl (x: y: x - y) 10 [ 1 2 ]
      => 7
  */
  foldl =
    f: start: list:
    let
      go = i: if i < 0 then start else f (go (i - 1)) (elemAt list i);
    in
    go (length list - 1);

  /**
    Folds from the left, forcing each step.

    Type: foldl' :: (b -> a -> b) -> b -> [a] -> b
    Example:
      foldl' (x: y: x + y) 0 [ 1 2 3 ]
      => 6
  */
  foldl' = f: start: builtins.seq start (builtins.foldl' f start);

  /**
    All elements of nested lists, in order.

    Type: flatten :: any -> [any]
    Example:
      flatten [ 1 [ 2 [ 3 ] ] 4 ]
      => [ 1 2 3 4 ]
  */
  flatten = x: if builtins.isList x then concatMap flatten x else [ x ];

  /**
    A list without the elements that are equal to a value.

    Type: remove :: a -> [a] -> [a]
    Example:
      remove 3 [ 1 3 4 3 ]
      => [ 1 4 ]
  */
  remove = x: filter (y: y != x);

  /**
    The only element for which a predicate holds.

    Type: findSingle :: (a -> bool) -> a -> a -> [a] -> a
    Example:
      findSingle (x: x == 3) "none" "many" [ 1 3 ]
      => 3
  */
  findSingle =
    p: none: many: list:
    let
      found = filter p list;
      n = length found;
    in
    if n == 0 then
      none
    else if n != 1 then
      many
    else
      head found;

  /**
    The index of the first element for which a predicate holds.

    Type: findFirstIndex :: (a -> bool) -> b -> [a] -> int | b
    Example:
      findFirstIndex (x: x > 3) null [ 0 6 4 ]
      => 1
  */
  findFirstIndex =
    p: default: list:
    let
      n = length list;
      go =
        i:
        if i == n then
          default
        else if p (elemAt list i) then
          i
        else
          go (i + 1);
    in
    go 0;

  /**
    The first element for which a predicate holds.

    Type: findFirst :: (a -> bool) -> a -> [a] -> a
    Example:
      findFirst (x: x > 3) 7 [ 1 6 4 ]
      => 6
  */
  findFirst =
    p: default: list:
    let
      at = findFirstIndex p null list;
    in
    if at == null then default else elemAt list at;

  /**
    How many elements fulfil a predicate.

    Type: count :: (a -> bool) -> [a] -> int
    Example:
      count (x: x == 3) [ 3 2 3 ]
      => 2
  */
  count = p: foldl' (n: x: if p x then n + 1 else n) 0;

  /**
    A list of one element, or of none.

    Type: optional :: bool -> a -> [a]
    Example:
      optional true "x"
      => [ "x" ]
  */
  optional = condition: x: if condition then [ x ] else [ ];

  /**
    A list, or the empty one.

    Type: optionals :: bool -> [a] -> [a]
    Example:
      optionals false [ 1 2 ]
      => [ ]
  */
  optionals = condition: list: if condition then list else [ ];

  /**
    A list from a list or a single thing.

    Type: toList :: a | [a] -> [a]
    Example:
      toList "x"
      => [ "x" ]
  */
  toList = x: if builtins.isList x then x else [ x ];

  /**
    The integers from one to another, both included.

    Type: range :: int -> int -> [int]
    Example:
      range 2 4
      => [ 2 3 4 ]
  */
  range = first: last: if first > last then [ ] else genList (i: first + i) (last - first + 1);

  /**
    A list of copies.

    Type: replicate :: int -> a -> [a]
    Example:
      replicate 2 "x"
      => [ "x" "x" ]
  */
  replicate = n: x: genList (_: x) n;

  /**
    Groups folded by a key.

    Type: groupBy' :: (b -> a -> b) -> b -> (a -> string) -> [a] -> attrs
    Example:
      groupBy' (n: x: n + x) 0 (x: if x > 2 then "big" else "small") [ 1 2 3 4 ]
      => { big = 7; small = 3; }
  */
  groupBy' =
    f: start: key: list:
    builtins.mapAttrs (_: foldl f start) (groupBy key list);

  /**
    Two lists joined element by element; as long as the shorter one.

    Type: zipListsWith :: (a -> b -> c) -> [a] -> [b] -> [c]
    Example:
      zipListsWith (a: b: a + b) [ 1 2 3 ] [ 10 20 ]
      => [ 11 22 ]
  */
  zipListsWith =
    f: a: b:
    genList (i: f (elemAt a i) (elemAt b i)) (lib.min (length a) (length b));

  /**
    Pairs of elements as `{ fst, snd }`.

    Type: zipLists :: [a] -> [b] -> [{ fst, snd }]
    Example:
      zipLists [ 1 ] [ "a" ]
      => [ { fst = 1; snd = "a"; } ]
  */
  zipLists = zipListsWith (fst: snd: { inherit fst snd; });

  /**
    A list backwards.

    Type: reverseList :: [a] -> [a]
    Example:
      reverseList [ 1 2 3 ]
      => [ 3 2 1 ]
  */
  reverseList =
    list:
    let
      n = length list;
    in
    genList (i: elemAt list (n - i - 1)) n;

  /**
    Sorted by a key.

    Type: sortOn :: (a -> b) -> [a] -> [a]
    Example:
      sortOn (x: 0 - x) [ 1 3 2 ]
      => [ 3 2 1 ]
  */
  sortOn =
    key: list:
    map (pair: elemAt pair 1) (
      sort (a: b: head a < head b) (map (x: [ (key x) x ]) list)
    );

  /**
    Compares lists element by element.

    Type: compareLists :: (a -> a -> int) -> [a] -> [a] -> int
    Example:
      compareLists (a: b: a - b) [ 1 2 ] [ 1 3 ]
      => -1
  */
  compareLists =
    cmp: a: b:
    if a == [ ] then
      (if b == [ ] then 0 else -1)
    else if b == [ ] then
      1
    else
      let
        first = cmp (head a) (head b);
      in
      if first == 0 then compareLists cmp (tail a) (tail b) else first;

  /**
    Strings sorted as people count: numbers by value.

    Type: naturalSort :: [string] -> [string]
    Example:
      naturalSort [ "disk11" "disk8" "disk100" ]
      => [ "disk8" "disk11" "disk100" ]
  */
  naturalSort =
    list:
    let
      parts =
        text:
        map (part: if builtins.isList part then lib.toIntBase10 (head part) else part) (
          filter (part: part != "") (builtins.split "([0-9]+)" text)
        );
      compareParts =
        a: b:
        if builtins.typeOf a == builtins.typeOf b then
          lib.compare a b
        else if builtins.isInt a then
          -1
        else
          1;
    in
    map (x: x.text) (
      sort (a: b: compareLists compareParts a.key b.key < 0) (map (text: { inherit text; key = parts text; }) list)
    );

  /**
    The first elements.

    Type: take :: int -> [a] -> [a]
    Example:
      take 2 [ 1 2 3 ]
      => [ 1 2 ]
  */
  take = n: sublist 0 n;

  /**
    The last elements.

    Type: takeEnd :: int -> [a] -> [a]
    Example:
      takeEnd 2 [ 1 2 3 ]
      => [ 2 3 ]
  */
  takeEnd = n: list: drop (lib.max 0 (length list - n)) list;

  /**
    A list without its first elements.

    Type: drop :: int -> [a] -> [a]
    Example:
      drop 2 [ 1 2 3 ]
      => [ 3 ]
  */
  drop = n: list: sublist n (length list) list;

  /**
    A list without its last elements.

    Type: dropEnd :: int -> [a] -> [a]
    Example:
      dropEnd 1 [ 1 2 3 ]
      => [ 1 2 ]
  */
  dropEnd = n: list: take (lib.max 0 (length list - n)) list;

  /**
    At most `n` elements from index `start` on.

    Type: sublist :: int -> int -> [a] -> [a]
    Example:
      sublist 1 2 [ "a" "b" "c" "d" ]
      => [ "b" "c" ]
  */
  sublist =
    start: n: list:
    let
      all = length list;
    in
    genList (i: elemAt list (start + i)) (
      if start >= all then 0 else lib.max 0 (lib.min n (all - start))
    );

  /**
    Whether a list begins with another one.

    Type: hasPrefix :: [a] -> [a] -> bool
    Example:
      lists.hasPrefix [ 1 ] [ 1 2 ]
      => true
  */
  hasPrefix = prefix: list: take (length prefix) list == prefix;

  /**
    A list without a prefix that it has to have.

    Type: removePrefix :: [a] -> [a] -> [a]
    Example:
      lists.removePrefix [ 1 ] [ 1 2 ]
      => [ 2 ]
  */
  removePrefix =
    prefix: list:
    if hasPrefix prefix list then drop (length prefix) list else throw "lists.removePrefix: the list has another beginning";

  /**
    The longest list with which both begin.

    Type: commonPrefix :: [a] -> [a] -> [a]
    Example:
      commonPrefix [ 1 2 3 ] [ 1 2 4 ]
      => [ 1 2 ]
  */
  commonPrefix =
    a: b:
    let
      differs = findFirstIndex (pair: pair.fst != pair.snd) null (zipLists a b);
    in
    if differs == null then take (lib.min (length a) (length b)) a else take differs a;

  /**
    The last element, and all but the last.

    Type: last :: [a] -> a
    Example:
      last [ 1 2 3 ]
      => 3
  */
  last =
    list:
    assert lib.assertMsg (list != [ ]) "lists.last: the list is empty";
    elemAt list (length list - 1);

  /**
    All elements but the last.

    Type: init :: [a] -> [a]
    Example:
      init [ 1 2 3 ]
      => [ 1 2 ]
  */
  init =
    list:
    assert lib.assertMsg (list != [ ]) "lists.init: the list is empty";
    take (length list - 1) list;

  /**
    A function of all combinations.

    Type: crossLists :: function -> [[any]] -> [any]
    Example:
      crossLists (a: b: a + b) [ [ 1 2 ] [ 10 20 ] ]
      => [ 11 21 12 22 ]
  */
  crossLists = f: builtins.foldl' (fs: args: concatMap (f: map f args) fs) [ f ];

  /**
    All sets with one value of each list.

    Type: cartesianProduct :: { name :: [a] } -> [{ name :: a }]
    Example:
      cartesianProduct { a = [ 1 2 ]; b = [ 3 ]; }
      => [ { a = 1; b = 3; } { a = 2; b = 3; } ]
  */
  cartesianProduct =
    attrs:
    builtins.foldl' (
      sets: name: concatMap (set: map (value: set // { ${name} = value; }) attrs.${name}) sets
    ) [ { } ] (builtins.attrNames attrs);
  cartesianProductOfSets = cartesianProduct;
  mapCartesianProduct = f: attrs: map f (cartesianProduct attrs);

  /**
    A list without repetitions; the first occurrence stays.

    Type: unique :: [a] -> [a]
    Example:
      unique [ 3 2 3 4 ]
      => [ 3 2 4 ]
  */
  unique = foldl' (seen: x: if elem x seen then seen else seen ++ [ x ]) [ ];
  uniqueStrings = list: unique list;
  allUnique = list: length (unique list) == length list;

  /**
    What two lists share.

    Type: intersectLists :: [a] -> [a] -> [a]
    Example:
      intersectLists [ 1 2 3 ] [ 6 3 2 ]
      => [ 3 2 ]
  */
  intersectLists = a: filter (x: elem x a);

  /**
    The second list without elements of the first.

    Type: subtractLists :: [a] -> [a] -> [a]
    Example:
      subtractLists [ 3 2 ] [ 1 2 3 4 ]
      => [ 1 4 ]
  */
  subtractLists = a: filter (x: !(elem x a));
  mutuallyExclusive = a: b: lib.length (intersectLists a b) == 0;

  /**
    A list topologically sorted by `before a b`; `{ cycle, loops }` when that is impossible.

    Type: toposort :: (a -> a -> bool) -> [a] -> { result } | { cycle, loops }
    Example:
      toposort (a: b: a < b) [ 3 2 1 ]
      => { result = [ 1 2 3 ]; }
  */
  toposort =
    before: list:
    let
      go =
        done: open:
        if open == [ ] then
          { result = done; }
        else
          let
            split = partition (x: !(any (y: before y x) (remove x open))) open;
          in
          if split.right == [ ] then
            {
              cycle = open;
              loops = filter (x: before x x) open;
            }
          else
            go (done ++ [ (head split.right) ]) (tail split.right ++ split.wrong);
    in
    go [ ] list;

  forEach = list: f: map f list;
  concat = a: b: a ++ b;
  ifilter0 = p: list: map (x: x.value) (filter (x: p x.index x.value) (imap0 (index: value: { inherit index value; }) list));
}
