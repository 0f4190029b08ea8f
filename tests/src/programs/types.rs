//! Types of generated programs, and the builtins by type.

/// What an expression should give.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Ty {
    Int,
    Float,
    Bool,
    Null,
    Str,
    Path,
    /// Anything.
    Any,
    List(Box<Ty>),
    /// A set with at least these names.
    Set(Vec<(String, Ty)>),
    Fun(Box<Ty>, Box<Ty>),
    /// A type variable of a signature.
    Var(char),
    /// A text of a small language of its own, such as a regular expression.
    Text(&'static str),
}

impl Ty {
    pub(crate) fn list(of: Ty) -> Ty {
        Ty::List(Box::new(of))
    }
}

/// A builtin and its type.
#[derive(Debug)]
pub(crate) struct Sig {
    pub(crate) name: &'static str,
    pub(crate) args: Vec<Ty>,
    pub(crate) result: Ty,
}

/// Builtins as `name : argument -> … -> result`. A letter is a variable; `num` an int or float; words in
/// angle brackets are texts of small languages (`texts.rs`).
const SIGNATURES: &str = "
builtins.add : int -> int -> int
builtins.sub : int -> int -> int
builtins.mul : int -> int -> int
builtins.div : int -> int -> int
builtins.add : num -> float -> float
builtins.sub : float -> num -> float
builtins.mul : num -> float -> float
builtins.div : float -> num -> float
builtins.bitAnd : int -> int -> int
builtins.bitOr : int -> int -> int
builtins.bitXor : int -> int -> int
builtins.ceil : num -> int
builtins.floor : num -> int
builtins.lessThan : num -> num -> bool
builtins.lessThan : str -> str -> bool
builtins.length : [any] -> int
builtins.stringLength : str -> int
builtins.compareVersions : <version> -> <version> -> int
builtins.head : [t] -> t
builtins.tail : [t] -> [t]
builtins.elemAt : [t] -> int -> t
builtins.foldl' : (t -> u -> t) -> t -> [u] -> t
builtins.seq : any -> t -> t
builtins.deepSeq : any -> t -> t
builtins.elem : t -> [t] -> bool
builtins.all : (t -> bool) -> [t] -> bool
builtins.any : (t -> bool) -> [t] -> bool
builtins.isInt : any -> bool
builtins.isFloat : any -> bool
builtins.isString : any -> bool
builtins.isBool : any -> bool
builtins.isList : any -> bool
builtins.isAttrs : any -> bool
builtins.isPath : any -> bool
builtins.isFunction : any -> bool
isNull : any -> bool
builtins.hasAttr : str -> {} -> bool
builtins.hasContext : str -> bool
builtins.pathExists : path -> bool
builtins.typeOf : any -> str
toString : any -> str
builtins.substring : int -> int -> str -> str
builtins.concatStringsSep : str -> [str] -> str
builtins.replaceStrings : [str] -> [str] -> str -> str
builtins.toJSON : any -> str
builtins.toXML : any -> str
builtins.hashString : <algo> -> str -> str
baseNameOf : str -> str
baseNameOf : path -> str
dirOf : str -> str
dirOf : path -> path
builtins.toPath : <abspath> -> str
builtins.unsafeDiscardStringContext : str -> str
builtins.unsafeDiscardOutputDependency : str -> str
builtins.addErrorContext : str -> t -> t
builtins.readFile : path -> str
placeholder : str -> str
map : (t -> u) -> [t] -> [u]
builtins.filter : (t -> bool) -> [t] -> [t]
builtins.genList : (int -> t) -> int -> [t]
builtins.concatLists : [[t]] -> [t]
builtins.concatMap : (t -> [u]) -> [t] -> [u]
builtins.attrNames : {} -> [str]
builtins.attrValues : {} -> [any]
builtins.sort : (int -> int -> bool) -> [int] -> [int]
builtins.sort : (str -> str -> bool) -> [str] -> [str]
builtins.splitVersion : <version> -> [str]
builtins.catAttrs : str -> [{}] -> [any]
builtins.match : <regex> -> <subject> -> any
builtins.split : <regex> -> <subject> -> [any]
builtins.fromJSON : <json> -> any
builtins.fromJSON : <json> -> any
builtins.fromTOML : <toml> -> {}
builtins.parseDrvName : <drvname> -> {name:str,version:str}
builtins.partition : (t -> bool) -> [t] -> {right:[t],wrong:[t]}
builtins.groupBy : (t -> str) -> [t] -> {}
builtins.tryEval : t -> {success:bool,value:t}
builtins.mapAttrs : (str -> any -> any) -> {} -> {}
removeAttrs : {} -> [str] -> {}
builtins.intersectAttrs : {} -> {} -> {}
builtins.listToAttrs : [{name:str,value:any}] -> {}
builtins.functionArgs : ({a:int,b:str} -> any) -> {}
builtins.zipAttrsWith : (str -> [any] -> any) -> [{}] -> {}
builtins.getContext : str -> {}
builtins.genericClosure : <closure> -> [any]
builtins.unsafeGetAttrPos : str -> {} -> any
builtins.getAttr : str -> {} -> any
builtins.toFile : <name> -> str -> str
builtins.readDir : path -> {}
";

/// All signatures.
pub(crate) fn signatures() -> Vec<Sig> {
    let mut all = Vec::new();
    for line in SIGNATURES.lines().filter(|l| !l.is_empty()) {
        let (name, ty) = line.split_once(" : ").expect("a signature has a colon");
        // `num` stands for two signatures.
        let variants: &[&str] = if ty.contains("num") { &["int", "float"] } else { &[""] };
        for variant in variants {
            let text = ty.replace("num", variant);
            let mut parser = Parser { rest: text.leak() };
            let mut ty = parser.arrow();
            let mut args = Vec::new();
            while let Ty::Fun(a, b) = ty {
                args.push(*a);
                ty = *b;
            }
            all.push(Sig { name, args, result: ty });
        }
    }
    all
}

struct Parser {
    rest: &'static str,
}

impl Parser {
    fn take(&mut self, token: &str) -> bool {
        self.rest = self.rest.trim_start();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn arrow(&mut self) -> Ty {
        let left = self.simple();
        if self.take("->") { Ty::Fun(Box::new(left), Box::new(self.arrow())) } else { left }
    }

    fn simple(&mut self) -> Ty {
        if self.take("(") {
            let ty = self.arrow();
            assert!(self.take(")"), "unclosed bracket in a signature");
            return ty;
        }
        if self.take("[") {
            let ty = self.arrow();
            assert!(self.take("]"), "unclosed list in a signature");
            return Ty::list(ty);
        }
        if self.take("{") {
            let mut fields = Vec::new();
            while !self.take("}") {
                let name = self.word().to_owned();
                assert!(self.take(":"), "a field of a signature has a type");
                fields.push((name, self.arrow()));
                self.take(",");
            }
            return Ty::Set(fields);
        }
        if self.take("<") {
            let word = self.word();
            assert!(self.take(">"), "unclosed text in a signature");
            return Ty::Text(word);
        }
        match self.word() {
            "int" => Ty::Int,
            "float" => Ty::Float,
            "bool" => Ty::Bool,
            "null" => Ty::Null,
            "str" => Ty::Str,
            "path" => Ty::Path,
            "any" => Ty::Any,
            letter if letter.len() == 1 => Ty::Var(char::from(letter.as_bytes()[0])),
            other => panic!("unknown type '{other}' in a signature"),
        }
    }

    fn word(&mut self) -> &'static str {
        self.rest = self.rest.trim_start();
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }
}

/// What variables of a signature stand for.
pub(crate) type Vars = Vec<(char, Ty)>;

/// Whether `wanted` is an instance of `pattern`; fills in variables.
pub(crate) fn fits(pattern: &Ty, wanted: &Ty, vars: &mut Vars) -> bool {
    match (pattern, wanted) {
        (_, Ty::Any) => true,
        (Ty::Var(v), _) => {
            if let Some((_, bound)) = vars.iter().find(|(name, _)| name == v) {
                return bound == wanted;
            }
            vars.push((*v, wanted.clone()));
            true
        }
        (Ty::List(a), Ty::List(b)) => fits(a, b, vars),
        (Ty::Set(have), Ty::Set(want)) => {
            want.iter().all(|(name, ty)| have.iter().any(|(n, t)| n == name && fits(t, ty, vars)))
        }
        (Ty::Fun(a, b), Ty::Fun(c, d)) => fits(a, c, vars) && fits(b, d, vars),
        _ => pattern == wanted,
    }
}

/// A type with its variables filled in.
pub(crate) fn fill(ty: &Ty, vars: &mut Vars, fresh: &mut impl FnMut() -> Ty) -> Ty {
    match ty {
        Ty::Var(v) => {
            if let Some((_, bound)) = vars.iter().find(|(name, _)| name == v) {
                return bound.clone();
            }
            let ty = fresh();
            vars.push((*v, ty.clone()));
            ty
        }
        Ty::List(a) => Ty::list(fill(a, vars, fresh)),
        Ty::Fun(a, b) => Ty::Fun(Box::new(fill(a, vars, fresh)), Box::new(fill(b, vars, fresh))),
        Ty::Set(fields) => {
            Ty::Set(fields.iter().map(|(name, ty)| (name.clone(), fill(ty, vars, fresh))).collect())
        }
        other => other.clone(),
    }
}
