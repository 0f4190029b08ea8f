//! Why evaluation stopped.
//!
//! An [`Error`] is one word, because every step of the machine returns it in a `Result`. It has two parts:
//! the [`Mistake`], made where it happened and shared by every thunk that failed because of it, and the way
//! from there to whoever catches it. [`Error::report`] makes plain data of both.

pub mod make;
mod report;
pub mod suggest;

use std::{
    fmt,
    sync::{Arc, Mutex, OnceLock},
};

pub use self::{
    make::*,
    report::{
        Edit, Excerpt, Help, Label, PathStep, Position, Report, ReportFrame, Style, printable,
    },
};
use crate::{
    evaluator::lock,
    host::{HostError, NixPath},
    limits::LimitKind,
    source::{Location, SourceMap},
};

/// What a caller may want to tell apart. `tryEval` catches the first two.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// `throw`, and a lookup path without a hit.
    Thrown,
    /// `assert`.
    Asserted,
    /// `abort`.
    Aborted,
    /// The text is not a program.
    Syntax,
    /// An unbound variable.
    UndefinedName,
    /// A value of the wrong type, or a call with wrong arguments.
    Type,
    /// A missing attribute.
    Missing,
    /// A value needs itself.
    InfiniteRecursion,
    /// A limit was passed.
    Limit,
    /// Somebody asked to stop.
    Cancelled,
    /// Files, store, network, purity, and failures of the embedder's own builtins.
    Host,
    /// A mistake of the evaluator or of a builtin of the embedder, not of the program.
    Internal,
    /// Arithmetic, comparison, index, context, format, argument.
    Other,
}

/// The class of a mistake, as the language defines them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[rustfmt::skip]
#[expect(missing_docs, reason = "the classes are those of the language's own list of errors")]
pub enum Class {
    Throw, Assert, Abort, Type, CallArgs, MissingAttr, Undefined, Recursion, Arith, Compare, Index,
    Context, Format, Argument, Parse, Io, Store, Restricted, Feature, Host, Limit, Interrupted, Internal,
}

impl Class {
    /// The name used in reports and tests, such as `missing-attr`.
    pub const fn name(self) -> &'static str {
        match self {
            Class::Throw => "throw",
            Class::Assert => "assert",
            Class::Abort => "abort",
            Class::Type => "type",
            Class::CallArgs => "call-args",
            Class::MissingAttr => "missing-attr",
            Class::Undefined => "undefined",
            Class::Recursion => "recursion",
            Class::Arith => "arith",
            Class::Compare => "compare",
            Class::Index => "index",
            Class::Context => "context",
            Class::Format => "format",
            Class::Argument => "argument",
            Class::Parse => "parse",
            Class::Io => "io",
            Class::Store => "store",
            Class::Restricted => "restricted",
            Class::Feature => "feature",
            Class::Host => "host",
            Class::Limit => "limit",
            Class::Interrupted => "interrupted",
            Class::Internal => "internal",
        }
    }

    /// The kind that code branches on.
    pub const fn kind(self) -> ErrorKind {
        match self {
            Class::Throw => ErrorKind::Thrown,
            Class::Assert => ErrorKind::Asserted,
            Class::Abort => ErrorKind::Aborted,
            Class::Type | Class::CallArgs => ErrorKind::Type,
            Class::MissingAttr => ErrorKind::Missing,
            Class::Undefined => ErrorKind::UndefinedName,
            Class::Recursion => ErrorKind::InfiniteRecursion,
            Class::Parse => ErrorKind::Syntax,
            Class::Io | Class::Store | Class::Restricted | Class::Feature | Class::Host => {
                ErrorKind::Host
            }
            Class::Internal => ErrorKind::Internal,
            Class::Limit => ErrorKind::Limit,
            Class::Interrupted => ErrorKind::Cancelled,
            Class::Arith
            | Class::Compare
            | Class::Index
            | Class::Context
            | Class::Format
            | Class::Argument => ErrorKind::Other,
        }
    }
}

/// Why evaluation stopped. One word wide.
pub struct Error(Box<Raised>);

const _: () = {
    const fn is_send_sync<T: Send + Sync>() {}
    is_send_sync::<Error>();
    assert!(size_of::<Error>() == size_of::<usize>());
};

#[derive(Clone)]
struct Raised {
    mistake: Arc<Mistake>,
    frames: Vec<Frame>,
    /// The way from whoever asked down to the value that failed, innermost first.
    path: Vec<PathStep>,
    /// Frames left out of the middle of `frames`.
    n_folded: u64,
    sources: Option<Arc<SourceMap>>,
    /// Where the user's files name what the mistake is about.
    named: Vec<Location>,
}

/// A mistake, wherever it is noticed later.
#[derive(Debug)]
pub struct Mistake {
    /// Its class.
    pub class: Class,
    /// Number of the mistake within its class; never used again for another.
    pub number: u8,
    /// One sentence, lower case, no full stop.
    pub message: String,
    /// The smallest expression that would have to change, and a short text about it.
    pub primary: Option<(Location, String)>,
    /// Other places that matter.
    pub labels: Vec<(Location, String)>,
    /// Remedies.
    pub helps: Vec<Help>,
    /// Further remarks.
    pub notes: Vec<String>,
    /// An error of the outside world that caused it.
    pub source: Option<Arc<dyn std::error::Error + Send + Sync>>,
    /// Which limit was passed, and its value.
    pub limit: Option<(LimitKind, u64)>,
    /// A text that may be meant, and what it is to replace: part of the first remedy, where the primary place
    /// reads like that.
    pub instead: Option<(Vec<u8>, String)>,
    /// The path that nothing lies at.
    pub missing: Option<NixPath>,
    /// Other mistakes that were seen at the same time.
    pub further: Vec<Mistake>,
    /// What needs what, for a value that needs itself.
    cycle: Mutex<Cycle>,
    /// Number in the evaluator's list of failures, once a thunk has failed because of it.
    failure: OnceLock<u32>,
}

/// The values that need each other, collected while their failure passes by, innermost first.
#[derive(Debug, Default)]
struct Cycle {
    /// Address of the thunk that was found running.
    start: usize,
    steps: Vec<Location>,
    is_closed: bool,
}

/// What a frame of a trace is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FrameKind {
    /// A function call.
    Call,
    /// An attribute or variable.
    Attribute,
    /// A file being imported.
    Import,
    /// A builtin.
    Builtin,
    /// A derivation being evaluated.
    Derivation,
    /// A line of `addErrorContext`, always shown.
    Context,
}

impl FrameKind {
    /// The name used in reports.
    pub const fn name(self) -> &'static str {
        match self {
            FrameKind::Call => "call",
            FrameKind::Attribute => "attribute",
            FrameKind::Import => "import",
            FrameKind::Builtin => "builtin",
            FrameKind::Derivation => "derivation",
            FrameKind::Context => "context",
        }
    }
}

/// One step of the way from a mistake to whoever asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// What it is about.
    pub kind: FrameKind,
    /// `while …`, or the author's own words for [`FrameKind::Context`].
    pub text: String,
    /// Where: of a call, the function.
    pub location: Option<Location>,
    /// Where the call is written, if it is one and that is known.
    pub site: Option<Location>,
}

/// Frames kept next to the mistake.
const INNER_FRAMES: usize = 60;
/// Frames kept altogether; the middle is counted.
const MAX_FRAMES: usize = 120;

impl Error {
    /// About what it takes, in bytes.
    pub(crate) fn size_bytes(&self) -> u64 {
        let raised = &*self.0;
        let frames: usize =
            raised.frames.iter().map(|frame| size_of::<Frame>() + frame.text.len()).sum();
        let path = raised.path.len() * size_of::<PathStep>();
        let mistake = size_of::<Mistake>() + raised.mistake.message.len();
        (size_of::<Raised>() + mistake + frames + path) as u64
    }

    /// An error without a place; the machine adds the place of the expression it was evaluating.
    #[cold]
    pub fn new(class: Class, message: impl Into<String>) -> Error {
        let mistake = Mistake {
            class,
            number: 1,
            message: message.into(),
            primary: None,
            labels: Vec::new(),
            helps: Vec::new(),
            notes: Vec::new(),
            source: None,
            limit: None,
            instead: None,
            missing: None,
            further: Vec::new(),
            cycle: Mutex::default(),
            failure: OnceLock::new(),
        };
        Error::of(Arc::new(mistake))
    }

    pub(crate) fn of(mistake: Arc<Mistake>) -> Error {
        Error(Box::new(Raised {
            mistake,
            frames: Vec::new(),
            path: Vec::new(),
            n_folded: 0,
            sources: None,
            named: Vec::new(),
        }))
    }

    fn edit(mut self, change: impl FnOnce(&mut Mistake)) -> Error {
        // A mistake that thunks have remembered already is not changed behind their back.
        if let Some(mistake) = Arc::get_mut(&mut self.0.mistake) {
            change(mistake);
        }
        self
    }

    /// An error of the outside world: an [`Error`] as it is, anything else with what caused it as notes.
    #[cold]
    pub fn from_outside(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        let error = match error.into().downcast::<Error>() {
            Ok(error) => return *error,
            Err(error) => error,
        };
        let error = match error.downcast::<HostError>() {
            Ok(error) => return error.into_error(),
            Err(error) => error,
        };
        let mut result = Error::new(Class::Host, error.to_string());
        let mut cause = error.source();
        // A chain is as long as its author made it.
        for _ in 0..16 {
            let Some(next) = cause else { break };
            result = result.note(format!("because of: {next}"));
            cause = next.source();
        }
        result.caused_by(error.into())
    }

    /// Sets the number within the class.
    #[must_use]
    pub(crate) fn numbered(self, number: u8) -> Error {
        self.edit(|m| m.number = number)
    }

    /// Says which limit was passed.
    #[must_use]
    pub(crate) fn of_limit(self, kind: LimitKind, value: u64) -> Error {
        self.edit(|m| m.limit = Some((kind, value)))
    }

    /// Adds a step to the way from whoever asked to the value that failed, from inside outwards. `location`
    /// is where the step is defined; it becomes the place of an error that has none.
    #[must_use]
    pub fn in_value(mut self, step: PathStep, location: Option<Location>) -> Error {
        // Data may nest as deep as it likes; what is shown is bounded.
        if self.0.path.len() < 100 {
            self.0.path.push(step);
        }
        match location {
            Some(location) => self.at_if_unknown(location),
            None => self,
        }
    }

    /// Sets the primary place and its label.
    #[must_use]
    pub fn at(self, location: Location, text: impl Into<String>) -> Error {
        let text = text.into();
        self.edit(|m| m.primary = Some((location, text)))
    }

    /// Sets the primary place unless there is one.
    #[must_use]
    pub fn at_if_unknown(self, location: Location) -> Error {
        if self.0.mistake.primary.is_some() {
            return self;
        }
        self.edit(|m| m.primary = Some((location, String::new())))
    }

    /// Adds a secondary label.
    #[must_use]
    pub fn label(self, location: Location, text: impl Into<String>) -> Error {
        let text = text.into();
        self.edit(|m| m.labels.push((location, text)))
    }

    /// Adds a remedy.
    #[must_use]
    pub fn hint(self, text: impl Into<String>) -> Error {
        let text = text.into();
        self.edit(|m| m.helps.push(Help { text, edits: Vec::new() }))
    }

    /// Adds a remark.
    #[must_use]
    pub fn note(self, text: impl Into<String>) -> Error {
        let text = text.into();
        self.edit(|m| m.notes.push(text))
    }

    /// Keeps the error of the outside world that caused this one.
    #[must_use]
    pub fn caused_by(self, source: Arc<dyn std::error::Error + Send + Sync>) -> Error {
        self.edit(|m| m.source = Some(source))
    }

    /// Adds a step to the trace, outermost last.
    #[must_use]
    pub fn frame(
        mut self,
        kind: FrameKind,
        text: impl Into<String>,
        location: Option<Location>,
    ) -> Error {
        let frame = Frame { kind, text: text.into(), location, site: None };
        let frames = &mut self.0.frames;
        if frames.len() >= MAX_FRAMES {
            let middle = frames[INNER_FRAMES..].iter().position(|f| f.kind != FrameKind::Context);
            frames.remove(INNER_FRAMES + middle.unwrap_or(0));
            self.0.n_folded += 1;
        }
        self.0.frames.push(frame);
        self
    }

    /// Says where the innermost call of the trace that has no such place yet is written.
    #[must_use]
    pub(crate) fn called_at(mut self, location: Location) -> Error {
        if let Some(frame) = self.0.frames.last_mut()
            && frame.kind == FrameKind::Call
            && frame.site.is_none()
        {
            frame.site = Some(location);
        }
        self
    }

    /// Says which text may be meant in place of `old`.
    #[must_use]
    pub(crate) fn instead(self, old: &[u8], new: &str) -> Error {
        self.edit(|m| m.instead = Some((old.to_vec(), new.to_owned())))
    }

    /// Adds a mistake that was seen at the same time.
    #[must_use]
    pub(crate) fn and(self, other: Error) -> Error {
        match Arc::try_unwrap(other.0.mistake) {
            Ok(mistake) => self.edit(|m| m.further.push(mistake)),
            Err(_) => self,
        }
    }

    /// Begins the list of values that need each other, at the thunk with this address.
    #[must_use]
    pub(crate) fn begin_cycle(self, start: usize) -> Error {
        lock(&self.0.mistake.cycle).start = start;
        self
    }

    /// A thunk failed because a value needs itself: it may be part of the cycle.
    pub(crate) fn pass_cycle(&self, thunk: usize, location: Option<Location>) {
        let mut cycle = lock(&self.0.mistake.cycle);
        if cycle.is_closed {
            return;
        }
        // Long cycles are shown in part only.
        if cycle.steps.len() < 1000 {
            cycle.steps.extend(location);
        }
        cycle.is_closed = thunk == cycle.start;
    }

    /// A line in the author's own words (`addErrorContext`).
    #[must_use]
    pub fn context(self, text: impl Into<String>) -> Error {
        self.frame(FrameKind::Context, text, None)
    }

    /// Says which path nothing lies at.
    #[must_use]
    pub(crate) fn about_missing(self, path: NixPath) -> Error {
        self.edit(|m| m.missing = Some(path))
    }

    /// Gives the error the texts that its places lie in. `named` finds the places that name a path.
    #[must_use]
    pub(crate) fn with_sources(
        mut self,
        sources: &Arc<SourceMap>,
        named: impl FnOnce(&NixPath) -> Vec<Location>,
    ) -> Error {
        if self.0.sources.is_some() {
            return self;
        }
        self.0.sources = Some(sources.clone());
        if let Some(path) = &self.0.mistake.missing {
            let mut places = named(path);
            places.retain(|place| {
                sources.get(place.file).is_some_and(|source| !sources.is_library(&source.origin))
            });
            self.0.named = places;
        }
        self
    }

    /// The kind that code branches on.
    pub fn kind(&self) -> ErrorKind {
        self.class().kind()
    }

    /// The class of the language.
    pub fn class(&self) -> Class {
        self.0.mistake.class
    }

    /// The stable code, such as `type.2`; see the list of errors in the manual.
    pub fn code(&self) -> String {
        format!("{}.{}", self.class().name(), self.0.mistake.number)
    }

    /// Which limit was passed, and its value.
    pub fn limit(&self) -> Option<(LimitKind, u64)> {
        self.0.mistake.limit
    }

    /// The way from whoever asked to the value that failed, outermost first, as far as it is known.
    pub fn path(&self) -> Vec<PathStep> {
        self.0.path.iter().rev().cloned().collect()
    }

    /// One sentence, lower case, no full stop.
    pub fn message(&self) -> &str {
        &self.0.mistake.message
    }

    /// The primary place.
    pub fn location(&self) -> Option<Location> {
        self.0.mistake.primary.as_ref().map(|p| p.0)
    }

    /// Whether `tryEval` catches it.
    pub fn is_catchable(&self) -> bool {
        matches!(self.kind(), ErrorKind::Thrown | ErrorKind::Asserted)
    }

    /// Whether a thunk that stopped because of it may be tried again.
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind(), ErrorKind::Limit | ErrorKind::Cancelled)
    }

    /// The way from the mistake to whoever asked, outermost last.
    pub fn frames(&self) -> &[Frame] {
        &self.0.frames
    }

    pub(crate) fn mistake(&self) -> &Arc<Mistake> {
        &self.0.mistake
    }

    /// Everything about the error as plain data.
    pub fn report(&self) -> Report {
        let raised = &*self.0;
        let mut report = Report::new(
            &raised.mistake,
            &raised.frames,
            raised.n_folded,
            raised.sources.as_deref(),
        );
        report.path = self.path();
        if let Some(sources) = &raised.sources {
            report.name_places(&raised.named, sources);
        }
        report
    }
}

impl Mistake {
    pub(crate) fn failure(&self) -> &OnceLock<u32> {
        &self.failure
    }

    /// What needs what, for a value that needs itself; the last needs the first.
    pub(crate) fn cycle(&self) -> Vec<Location> {
        let cycle = lock(&self.cycle);
        if cycle.is_closed { cycle.steps.iter().rev().copied().collect() } else { Vec::new() }
    }
}

impl Clone for Error {
    fn clone(&self) -> Error {
        Error(self.0.clone())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({}: {})", self.class().name(), self.message())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.mistake.source.as_deref().map(|e| e as &(dyn std::error::Error + 'static))
    }
}
