//! What a reading depends on besides the text.

use crate::{ir::GlobalId, symbol::Symbol};

/// Nesting that is accepted unless the caller says otherwise, in levels of expressions.
pub const DEFAULT_MAX_DEPTH: u32 = 100_000;

/// What to do about a construct that is legal but unwelcome.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Lint {
    /// Nothing.
    #[default]
    Ignore,
    /// A line in [`crate::ir::File::warnings`].
    Warn,
    /// An error.
    Fatal,
}

/// Switches of the language.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Features {
    /// Whether `|>` and `<|` are there.
    pub pipe_operators: bool,
    /// Whether `~/x` may be written; not in pure mode.
    pub home_paths: bool,
    /// `http://x` without quotes.
    pub url_literals: Lint,
    /// `/x`.
    pub absolute_path_literals: Lint,
    /// `a/b` instead of `./a/b`.
    pub short_path_literals: Lint,
}

impl Default for Features {
    fn default() -> Features {
        Features {
            pipe_operators: false,
            home_paths: true,
            url_literals: Lint::Ignore,
            absolute_path_literals: Lint::Ignore,
            short_path_literals: Lint::Ignore,
        }
    }
}

/// What a reading depends on besides the text.
#[derive(Clone, Copy)]
pub struct ReadOptions<'a> {
    /// For relative path literals: absolute and canonical, without a final slash unless it is `/`.
    pub base_dir: &'a [u8],
    /// The global of a name. Asked at most once per name and reading.
    pub globals: &'a dyn Fn(Symbol) -> Option<GlobalId>,
    /// How many arguments a global takes when it is a builtin function; 0 for all other values.
    pub arity: &'a dyn Fn(GlobalId) -> u32,
    /// The global that `builtins.name` is the same value as, when `builtins` is not shadowed. `None` leaves
    /// the selection to run time.
    pub builtins: &'a dyn Fn(Symbol) -> Option<GlobalId>,
    /// Whether the scope set of `scopedImport` has a name. With `Some`, body 0 captures the set as its word 0.
    pub scope: Option<&'a dyn Fn(Symbol) -> bool>,
    /// Switches.
    pub features: Features,
    /// Levels of nested expressions that are accepted.
    pub max_depth: u32,
    /// Called now and then; `false` stops the reading.
    pub poll: &'a dyn Fn() -> bool,
}

impl std::fmt::Debug for ReadOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReadOptions")
            .field("base_dir", &String::from_utf8_lossy(self.base_dir))
            .field("features", &self.features)
            .field("max_depth", &self.max_depth)
            .finish_non_exhaustive()
    }
}

impl ReadOptions<'static> {
    /// Options without globals, in the directory `/`.
    pub fn bare() -> ReadOptions<'static> {
        ReadOptions {
            base_dir: b"/",
            globals: &|_| None,
            arity: &|_| 0,
            builtins: &|_| None,
            scope: None,
            features: Features::default(),
            max_depth: DEFAULT_MAX_DEPTH,
            poll: &|| true,
        }
    }
}
