//! `mini-nix eval-jobs`: the derivations of an expression, one JSON object a line.
//!
//! The lines are those of the program nix-eval-jobs. An attribute that fails is a line with `error`; the others
//! go on, and such lines are kept like others (see [`crate::answers`]). When the evaluator's heap has grown past `--max-memory-size` between two jobs, a new one takes over
//! with the attribute paths that are left.

use std::{
    collections::BTreeMap,
    io::Write,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use clap::ArgMatches;
use nix_eval::{
    Error, ErrorKind, Handle,
    builtins::json,
    error::Style,
    machine::Machine,
    packages::{Job, Jobs, OutputPaths, Package},
    value::{ContextBuilder, Value},
};
use nix_formats::{derivation::Derivation, store_path::StorePath};

use crate::{
    answers::{self, Keeps, Line},
    args::{self, flag},
    derivations,
    exit::Failure,
    files,
    open::{Session, Writes},
};

/// Megabytes of heap before a new evaluator takes over.
const MAX_MEMORY: u64 = 4096;
/// Lines are held back until their derivations are registered; that is done for so many at once …
const MAX_HELD: usize = 64;
/// … or after this time.
const MAX_WAIT: Duration = Duration::from_millis(250);

/// Runs the command.
///
/// # Errors
/// Usage, an expression that cannot be evaluated at all, a store that cannot be written.
pub(crate) fn run(words: &[String]) -> Result<u8, Failure> {
    let about = "print the derivations of an expression, one JSON object a line";
    let number = |name: &'static str, value: &'static str, about: &'static str| {
        let arg = clap::Arg::new(name).long(name).num_args(1).value_name(value).help(about);
        arg.value_parser(clap::value_parser!(u64)).overrides_with(name)
    };
    let command = args::evaluating(args::common("eval-jobs", about))
        .arg(flag("meta", "add 'meta'").long("meta"))
        .arg(flag("show-input-drvs", "add 'inputDrvs'").long("show-input-drvs"))
        .arg(flag("force-recurse", "enter every set").long("force-recurse"))
        .arg(
            clap::Arg::new("gc-roots-dir")
                .long("gc-roots-dir")
                .num_args(1)
                .value_name("DIR")
                .help("make a link for each derivation that keeps it alive"),
        )
        .arg(number("max-memory-size", "MB", "heap of an evaluator; default 4096"))
        .arg(
            number("workers", "N", "accepted; '--eval-cores' says how many processors are used")
                .hide(true),
        );
    let matches = args::parse(command, "mini-nix eval-jobs", words)?;
    let session = Session::open_keeping(&matches, Writes::Yes, Keeps::Reports)?;
    let mut run = Run::new(&matches, session)?;
    if let Some(known) = run.session.known_lines() {
        run.held = known;
        run.kept = None;
    } else {
        run.load()?;
        run.all()?;
    }
    run.print()?;
    if let Some(kept) = run.kept.take() {
        run.session.keep_lines(kept);
    }
    Ok(0)
}

/// A run of the command.
struct Run<'a> {
    matches: &'a ArgMatches,
    session: Session,
    roots: Vec<Handle>,
    arguments: Vec<(String, Handle)>,
    /// Bytes of heap; `None` when the expression cannot be read again.
    max_heap: Option<u64>,
    gc_roots: Option<PathBuf>,
    /// Finished lines, whose derivations must be registered before they are printed.
    held: Vec<Line>,
    /// All lines that were printed, if they are to be kept.
    kept: Option<Vec<u8>>,
    printed_at: Instant,
}

impl<'a> Run<'a> {
    fn new(matches: &'a ArgMatches, session: Session) -> Result<Run<'a>, Failure> {
        let from_stdin = args::many(matches, "files").iter().any(|word| word == "-")
            || matches.contains_id("arg-from-stdin");
        let megabytes = matches.get_one::<u64>("max-memory-size").copied().unwrap_or(MAX_MEMORY);
        let max_heap = (!from_stdin).then_some(megabytes.saturating_mul(1 << 20));
        let gc_roots = matches.get_one::<String>("gc-roots-dir").map(PathBuf::from);
        if let Some(dir) = &gc_roots {
            session.need_store()?;
            std::fs::create_dir_all(dir)
                .map_err(|e| Failure::new(format!("cannot make '{}': {e}", dir.display())))?;
        }
        let kept = session.answers.is_some().then(Vec::new);
        Ok(Run {
            matches,
            session,
            roots: Vec::new(),
            arguments: Vec::new(),
            max_heap,
            gc_roots,
            held: Vec::new(),
            kept,
            printed_at: Instant::now(),
        })
    }

    /// Evaluates the operands, and limits what one job may take.
    fn load(&mut self) -> Result<(), Failure> {
        let mut limits = self.session.evaluator.engine().options().limits;
        if let Some(max) = self.max_heap {
            limits.heap_bytes = limits.heap_bytes.min(max.saturating_mul(2));
            self.session.evaluator.set_limits(limits);
        }
        self.arguments = files::arguments(&self.session, self.matches)?;
        self.roots = files::roots(&self.session, self.matches, "./default.nix")?;
        Ok(())
    }

    /// Goes on with a new evaluator.
    fn renew(&mut self) -> Result<(), Failure> {
        self.roots.clear();
        self.arguments.clear();
        let engine = self.session.evaluator.engine();
        self.session.replace_evaluator(engine.evaluator());
        self.load()
    }

    fn all(&mut self) -> Result<(), Failure> {
        let mut attrs = args::many(self.matches, "attr");
        if attrs.is_empty() {
            attrs.push(String::new());
        }
        for n in 0..self.roots.len() {
            for attr in &attrs {
                self.below(n, attr)?;
            }
        }
        Ok(())
    }

    /// All jobs of operand `n` below an attribute.
    fn below(&mut self, n: usize, attr: &str) -> Result<(), Failure> {
        let mut todo: Vec<Vec<String>> = vec![Vec::new()];
        let mut is_second_try = false;
        while !todo.is_empty() {
            let root = self.roots[n].clone();
            let stop = root.with(|m, root| {
                let arguments: Vec<(String, Value)> = self
                    .arguments
                    .iter()
                    .map(|(name, handle)| (name.clone(), handle.value()))
                    .collect();
                let root = m.auto_call(root, &arguments)?;
                let root = derivations::select(m, root, attr, &arguments)?;
                let root = m.auto_call(root, &arguments)?;
                Ok(self.jobs(m, root, &arguments.into(), &mut todo, is_second_try))
            });
            match stop.map_err(|e| self.session.failure(&e))?? {
                Stop::Done => {}
                Stop::Full => {
                    is_second_try = false;
                    self.renew()?;
                }
                Stop::Limit => {
                    is_second_try = true;
                    self.renew()?;
                }
            }
        }
        Ok(())
    }

    /// Looks at paths, the last first, until nothing is left or the heap is full.
    fn jobs(
        &mut self,
        m: &mut Machine,
        root: Value,
        arguments: &Arc<[(String, Value)]>,
        todo: &mut Vec<Vec<String>>,
        mut is_second_try: bool,
    ) -> Result<Stop, Failure> {
        while let Some(path) = todo.pop() {
            let result = self.look(m, root, arguments, &path).map_err(|e| m.with_sources(e));
            let is_full = self.max_heap.is_some()
                && result.as_ref().is_err_and(|e| e.kind() == ErrorKind::Limit);
            if is_full && !is_second_try {
                // It may have been the earlier jobs' memory; alone it gets another chance.
                todo.push(path);
                return Ok(Stop::Limit);
            }
            is_second_try = false;
            match result {
                Ok(Look::Line(line)) => self.hold(line)?,
                Ok(Look::Members(paths)) => {
                    self.look_ahead(m, root, arguments, &paths);
                    todo.extend(paths.into_iter().rev());
                }
                Ok(Look::Nothing) => {}
                Err(e) if path.is_empty() || e.kind() == ErrorKind::Cancelled => {
                    return Err(self.session.failure(&e));
                }
                Err(e) => {
                    self.session.say(&self.session.failure(&e).text);
                    // Another time there may be more memory, or another file system.
                    if matches!(e.kind(), ErrorKind::Limit | ErrorKind::Host | ErrorKind::Internal)
                    {
                        self.kept = None;
                    }
                    let line = self.error_line(&path, &e);
                    self.hold(line)?;
                }
            }
            let heap = self.session.evaluator.stats().heap_bytes;
            let is_big = self.max_heap.is_some_and(|max| heap > max);
            if is_full || is_big && !todo.is_empty() {
                return Ok(Stop::Full);
            }
        }
        Ok(Stop::Done)
    }

    fn look(
        &self,
        m: &mut Machine,
        root: Value,
        arguments: &[(String, Value)],
        path: &[String],
    ) -> Result<Look, Error> {
        let force_recurse = self.matches.get_flag("force-recurse");
        Ok(match (Jobs { arguments, force_recurse }).at(m, root, path)? {
            Job::Package(package) => Look::Line(self.job_line(m, &package)?),
            Job::Members(paths) => Look::Members(paths),
            Job::Nothing => Look::Nothing,
        })
    }

    /// Has the derivations at paths made on other cores.
    fn look_ahead(
        &self,
        m: &mut Machine,
        root: Value,
        arguments: &Arc<[(String, Value)]>,
        paths: &[Vec<String>],
    ) {
        let force_recurse = self.matches.get_flag("force-recurse");
        let (paths, arguments) = (paths.to_vec(), arguments.clone());
        m.ahead_by_number(paths.len(), move |m, n| {
            let jobs = Jobs { arguments: &arguments, force_recurse };
            if let Job::Package(package) = jobs.at(m, root, &paths[n])? {
                package.drv_path(m)?;
            }
            Ok(())
        });
    }

    fn job_line(&self, m: &mut Machine, package: &Package) -> Result<Line, Error> {
        let mut object = Object::new(&package.attr_path);
        object.text("name", &package.name_text());
        object.text("system", &String::from_utf8_lossy(&package.system(m)?));
        let drv = package.drv_path(m)?;
        let drv = drv.ok_or_else(|| nix_eval::error::required_attr("drvPath", "a derivation"))?;
        let dir = m.store_dir();
        object.text("drvPath", &dir.display(&drv));
        let shown = |path: Option<StorePath>| path.map(|path| dir.display(&path));
        let outputs: BTreeMap<String, Option<String>> = match package.outputs(m, OutputPaths::Yes) {
            Ok(outputs) => outputs
                .into_iter()
                .map(|(name, path)| (String::from_utf8_lossy(&name).into_owned(), shown(path)))
                .collect(),
            // An output whose path only the build decides has no store path yet.
            Err(e) => {
                let Some(read) = read(m, &drv)? else { return Err(e) };
                read.output_paths(&dir).map(|(name, path)| (name.to_owned(), shown(path))).collect()
            }
        };
        object.json("outputs", serde_json::json!(outputs));
        if self.matches.get_flag("show-input-drvs")
            && let Some(read) = read(m, &drv)?
        {
            let inputs: BTreeMap<String, _> =
                read.input_drvs.iter().map(|(drv, outputs)| (dir.display(drv), outputs)).collect();
            object.json("inputDrvs", serde_json::json!(inputs));
        }
        if self.matches.get_flag("meta") {
            object.0.insert("meta", meta(m, package)?);
        }
        Ok(Line { text: object.line(), drv: Some(drv) })
    }

    fn error_line(&self, path: &[String], error: &Error) -> Line {
        let style = Style { color: false, full_trace: self.session.settings.bool("show-trace") };
        let mut object = Object::new(path);
        object.text("error", self.session.report(error).text(style).trim_end());
        Line { text: object.line(), drv: None }
    }

    fn hold(&mut self, line: Line) -> Result<(), Failure> {
        self.held.push(line);
        if self.held.len() >= MAX_HELD || self.printed_at.elapsed() >= MAX_WAIT {
            self.print()?;
        }
        Ok(())
    }

    /// Registers what the held lines name, and prints them.
    fn print(&mut self) -> Result<(), Failure> {
        if let Some(store) = &self.session.store {
            store.flush().map_err(Failure::new)?;
            if let Some(dir) = &self.gc_roots {
                for drv in self.held.iter().filter_map(|line| line.drv.as_ref()) {
                    store.make_root_link(&dir.join(drv.base_name()), drv).map_err(Failure::new)?;
                }
            }
        }
        let mut stdout = std::io::stdout().lock();
        for line in self.held.drain(..) {
            stdout.write_all(&line.text)?;
            if let Some(kept) = &mut self.kept {
                answers::keep_line(&line, kept);
            }
        }
        // No answer is as long as all of them may be together.
        let max = self.session.settings.number("eval-cache-size");
        self.kept.take_if(|kept| kept.len() as u64 > max);
        stdout.flush()?;
        self.printed_at = Instant::now();
        Ok(())
    }
}

/// Why the evaluator is not asked for further jobs.
enum Stop {
    /// There are none.
    Done,
    /// Its heap has grown too big for another one.
    Full,
    /// Its heap was too small for the next one.
    Limit,
}

/// What lies at an attribute path.
enum Look {
    Line(Line),
    Members(Vec<Vec<String>>),
    Nothing,
}

/// The derivation at a store path, as far as it is known here.
fn read(m: &Machine, drv: &StorePath) -> Result<Option<Arc<Derivation>>, Error> {
    Ok(m.host().read_derivation(drv, &m.host_cx())?)
}

/// The attributes of `meta` that JSON can show.
fn meta(m: &mut Machine, package: &Package) -> Result<Vec<u8>, Error> {
    let symbols = m.symbol_table();
    let mut out = b"{".to_vec();
    for symbol in package.meta_names(m)? {
        let Some(v) = package.meta(m, symbol)? else { continue };
        if out.len() > 1 {
            out.push(b',');
        }
        json::write_string(symbols.name(symbol), &mut out)?;
        out.push(b':');
        json::to_json(m, v, true, &mut ContextBuilder::new(), &mut out)?;
    }
    out.push(b'}');
    Ok(out)
}

/// A JSON object whose keys are in order.
struct Object(BTreeMap<&'static str, Vec<u8>>);

impl Object {
    /// With the keys of every line.
    fn new(path: &[String]) -> Object {
        let mut object = Object(BTreeMap::new());
        object.text("attr", &attr(path));
        object.json("attrPath", path.into());
        object
    }

    fn text(&mut self, key: &'static str, text: &str) {
        self.json(key, text.into());
    }

    fn json(&mut self, key: &'static str, value: serde_json::Value) {
        self.0.insert(key, value.to_string().into_bytes());
    }

    fn line(&self) -> Vec<u8> {
        let mut line = b"{".to_vec();
        for (key, value) in &self.0 {
            if line.len() > 1 {
                line.push(b',');
            }
            line.extend_from_slice(format!("\"{key}\":").as_bytes());
            line.extend_from_slice(value);
        }
        line.extend_from_slice(b"}\n");
        line
    }
}

/// An attribute path as one text: names with dots are quoted.
fn attr(path: &[String]) -> String {
    let names: Vec<String> = path
        .iter()
        .map(|name| if name.contains('.') { format!("\"{name}\"") } else { name.clone() })
        .collect();
    names.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_dots_are_quoted() {
        let path = ["a".to_owned(), "b.c".to_owned(), String::new()];
        assert_eq!(attr(&path), "a.\"b.c\".");
        let mut object = Object::new(&path[..2]);
        object.text("error", "x\n");
        let expected =
            "{\"attr\":\"a.\\\"b.c\\\"\",\"attrPath\":[\"a\",\"b.c\"],\"error\":\"x\\n\"}\n";
        assert_eq!(String::from_utf8_lossy(&object.line()), expected);
    }
}
