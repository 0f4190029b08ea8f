//! Loading: from a text to its value, and from a path to its text.

use std::sync::{Arc, atomic::Ordering};

use super::{
    Machine,
    files::{MAX_LINKS, too_many_links},
};
use crate::{
    error::{self, Class, Error, FrameKind},
    host::{FileType, NixPath},
    ir,
    limits::LimitKind,
    profile::Site,
    programs::Programs,
    source::{self, FileId, Location, Origin, Source},
    syntax::{
        self, ReadOptions, Reader, SyntaxError, SyntaxErrorKind,
        tree::{Bounds, Parsed, SyntaxTree},
    },
    value::{AccessorId, Attrs, Builtin, ContextId, PathRef, Run, Str, Thunk, Value, code::Unit},
};

/// Loads the function `derivation`, which is written in Nix.
pub(crate) const LOAD_DERIVATION: Builtin = Builtin {
    name: "derivation",
    params: &[],
    doc: "",
    examples: &[],
    run: Run::Constant(load_derivation),
};

/// What `derivation` means: nothing is instantiated before a path of the result is forced.
const DERIVATION: &str = "\
args@{ outputs ? [ \"out\" ], ... }:
let
  made = derivationStrict args;
  one = output: {
    name = output;
    value = common // {
      outPath = made.${output};
      drvPath = made.drvPath;
      type = \"derivation\";
      outputName = output;
    };
  };
  each = map one outputs;
  common = args // builtins.listToAttrs each // {
    all = map (o: o.value) each;
    drvAttrs = args;
  };
in
(builtins.head each).value
";

fn load_derivation(m: &mut Machine) -> Result<Value, Error> {
    m.eval_text(DERIVATION.as_bytes(), Origin::Text(source::DERIVATION.into()), b"/", None)
}

impl Machine {
    /// Reads and resolves a text.
    fn load<'a>(
        &mut self,
        text: Arc<[u8]>,
        origin: Origin,
        accessor: AccessorId,
        base_dir: &[u8],
        scope: Option<Attrs>,
    ) -> Result<&'a Unit, Error> {
        let engine = self.shared.engine.clone();
        let n = self.shared.n_files.fetch_add(1, Ordering::Relaxed);
        let limit = self.meter.limits.imports;
        if n >= limit {
            return Err(error::limit(LimitKind::Imports, limit.into()));
        }
        self.stats.files += 1;
        self.stats.source_bytes += text.len() as u64;
        let began = std::time::Instant::now();
        let is_file = matches!(origin, Origin::Path(_));
        let file = self.shared.sources.add(Source { origin, text: text.clone() });
        let source = (file, &*text, base_dir);
        let mut reader = std::mem::take(&mut self.reader);
        // A program of a scope depends on what the scope has.
        let programs = engine.programs().filter(|_| is_file && scope.is_none());
        let kept = programs.and_then(|programs| {
            self.in_frame(Site::Read(file), |_| reader.find(programs, &engine.symbols, source))
        });
        let unit = match kept {
            Some(program) => {
                self.stats.files_known += 1;
                Ok(self.unit_of(program, accessor))
            }
            None => self.read_unit(&mut reader, source, accessor, scope, programs),
        };
        reader.trim();
        self.reader = reader;
        let unit = unit?;
        self.stats.read_nanos += began.elapsed().as_nanos() as u64;
        Ok(self.shared.keep_unit(unit))
    }

    fn unit_of(&mut self, program: ir::File, accessor: AccessorId) -> Box<Unit> {
        Unit::take(program, accessor, |program, constant| {
            self.constant(program, constant, accessor)
        })
    }

    /// Parses and resolves a text, and keeps its program.
    fn read_unit(
        &mut self,
        reader: &mut Reader,
        (file, text, base_dir): syntax::Place<'_>,
        accessor: AccessorId,
        scope: Option<Attrs>,
        programs: Option<&Programs>,
    ) -> Result<Box<Unit>, Error> {
        let engine = self.shared.engine.clone();
        self.in_frame(Site::Read(file), |m| {
            m.read_with(file, text, base_dir, scope, |_, options| {
                reader.read_here(&engine.symbols, file, text, options).map(|_| ())
            })
        })?;
        if let Some(programs) = programs {
            reader.keep(programs, &engine.symbols, (file, text, base_dir));
        }
        let program = reader.program();
        for (span, message) in &program.warnings {
            let (line, column) = self.shared.sources.line_column(file, span.start);
            self.warn(format!("{message} (line {line}, column {column})").as_bytes());
        }
        // To copy a large one costs more than memory for the next.
        if let Some(program) = reader.take_large() {
            return Ok(self.unit_of(program, accessor));
        }
        Ok(Unit::copy(reader.program(), accessor, |program, constant| {
            self.constant(program, constant, accessor)
        }))
    }

    /// Runs a reader of a source with the names and switches of this engine.
    fn read_with<T>(
        &mut self,
        file: FileId,
        text: &[u8],
        base_dir: &[u8],
        scope: Option<Attrs>,
        read: impl FnOnce(&mut Machine, &ReadOptions<'_>) -> Result<T, SyntaxError>,
    ) -> Result<T, Error> {
        let further = |first: &SyntaxError| syntax::tree::mistakes_after(text, first);
        self.read_noting(file, base_dir, scope, further, read)
    }

    /// As [`Machine::read_with`]; `further` finds the mistakes after the first.
    fn read_noting<T>(
        &mut self,
        file: FileId,
        base_dir: &[u8],
        scope: Option<Attrs>,
        further: impl FnOnce(&SyntaxError) -> Vec<SyntaxError>,
        read: impl FnOnce(&mut Machine, &ReadOptions<'_>) -> Result<T, SyntaxError>,
    ) -> Result<T, Error> {
        let engine = self.shared.engine.clone();
        let has = |name| scope.is_some_and(|s| s.has(name));
        let cancel = self.meter.cancel.clone();
        let until = self.meter.until;
        let poll = || {
            !cancel.is_cancelled() && until.is_none_or(|until| std::time::Instant::now() <= until)
        };
        let options = ReadOptions {
            base_dir,
            globals: &|name| engine.global(name),
            arity: &|id| engine.arity(id),
            builtins: &|name| engine.builtin_global(name),
            scope: if scope.is_some() { Some(&has) } else { None },
            features: engine.options.syntax_features(),
            ..ReadOptions::bare()
        };
        let options = ReadOptions { poll: &poll, ..options };
        read(self, &options).map_err(|mut e| {
            e.further.extend(further(&e));
            self.syntax_error(file, e)
        })
    }

    /// The program of a text after desugaring, with all parentheses: what `nix-instantiate --parse` prints,
    /// without a final newline. Nothing is evaluated. Relative paths begin at `base_dir`, which is absolute
    /// and canonical.
    ///
    /// # Errors
    /// When the text is no program, or names something unbound.
    pub fn desugar(
        &mut self,
        text: &[u8],
        origin: Origin,
        base_dir: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let engine = self.shared.engine.clone();
        let home = self.host().environment("HOME").unwrap_or_default();
        let file = self.shared.sources.add(Source { origin, text: text.into() });
        self.read_with(file, text, base_dir, None, |_, options| {
            syntax::tree::parse_text(&engine.symbols, text, options, &home)
        })
    }

    /// As [`Machine::desugar`], for the file that an import of `path` would read.
    ///
    /// # Errors
    /// As that, and when there is no such file.
    pub fn desugar_file(&mut self, path: &NixPath) -> Result<Vec<u8>, Error> {
        let file = self.resolve_import(path)?;
        let (text, origin) = self.source_of(&file)?;
        self.desugar(&text, origin, directory_of(&file)).map_err(|e| self.in_file(e, &file))
    }

    /// A text as a syntax tree, and what is wrong with it. Names are not looked up, nothing is evaluated.
    ///
    /// # Errors
    /// When somebody asks to stop. Mistakes of the text are part of the answer.
    pub fn parse(&mut self, text: &[u8], origin: Origin, bounds: Bounds) -> Result<Parsed, Error> {
        let file = self.shared.sources.add(Source { origin, text: text.into() });
        let tree = SyntaxTree::read(text, bounds);
        let further = |first: &SyntaxError| match &tree {
            Ok(tree) => tree.mistakes_after(text, first),
            Err(_) => Vec::new(),
        };
        let checked =
            self.read_noting(file, b"/", None, further, |_, options| syntax::check(text, options));
        let error = match checked {
            Err(e) if e.kind() == error::ErrorKind::Cancelled => return Err(e),
            checked => checked.err().map(|e| e.with_sources(&self.shared.sources, |_| Vec::new())),
        };
        Ok(Parsed { text: text.into(), tree, error })
    }

    /// As [`Machine::parse`], for the file that an import of `path` would read.
    ///
    /// # Errors
    /// As that, and when there is no such file.
    pub fn parse_file(&mut self, path: &NixPath, bounds: Bounds) -> Result<Parsed, Error> {
        let file = self.resolve_import(path)?;
        let (text, origin) = self.source_of(&file)?;
        self.parse(&text, origin, bounds)
    }

    fn constant(&mut self, file: &ir::File, constant: ir::Const, accessor: AccessorId) -> Value {
        match constant {
            ir::Const::Int(n) => self.new_int(n),
            ir::Const::Float(x) => self.new_float(x),
            ir::Const::String(text) => {
                let text = file.text(text);
                Str::new(&mut self.bump, &self.shared.heap, text, ContextId::NONE).value()
            }
            ir::Const::Path(text) => {
                let text = file.text(text);
                PathRef::new(&mut self.bump, &self.shared.heap, accessor, text).value()
            }
        }
    }

    #[cold]
    fn syntax_error(&self, file: FileId, e: SyntaxError) -> Error {
        let number = if e.kind == SyntaxErrorKind::Duplicate { 2 } else { 1 };
        let class = match e.kind {
            SyntaxErrorKind::Syntax | SyntaxErrorKind::Duplicate => Class::Parse,
            SyntaxErrorKind::Undefined(_) => Class::Undefined,
            SyntaxErrorKind::Feature => Class::Feature,
            SyntaxErrorKind::Restricted => Class::Restricted,
            SyntaxErrorKind::TooDeep => Class::Limit,
            SyntaxErrorKind::Cancelled if self.meter.cancel.is_cancelled() => Class::Interrupted,
            SyntaxErrorKind::Cancelled => return error::limit(LimitKind::Deadline, 0),
        };
        let at = |span| Location { file, span };
        let mut error = Error::new(class, e.message).numbered(number).at(at(e.span), e.label);
        for (span, text) in e.others {
            error = error.label(at(span), text);
        }
        for further in e.further {
            error = error.and(self.syntax_error(file, further));
        }
        let new = e.help.as_ref().and_then(|help| help.replacement.as_ref());
        if let (Some(new), SyntaxErrorKind::Undefined(name)) = (new, e.kind) {
            error = error.instead(self.symbols().name(name), new);
        }
        match (e.help, e.kind) {
            (Some(help), _) => error.hint(help.text),
            (None, SyntaxErrorKind::Undefined(name)) => {
                let near = self.shared.engine.names_near(name);
                match error::suggest::question(&near) {
                    Some(question) => {
                        let new = String::from_utf8_lossy(near[0]).into_owned();
                        error.instead(self.symbols().name(name), &new).hint(question)
                    }
                    None => error,
                }
            }
            (None, _) => error,
        }
    }

    /// A thunk of a whole file.
    fn root_thunk(&mut self, unit: &Unit, scope: Option<Attrs>) -> Value {
        let code = unit.body(ir::BodyId(0));
        let cells = self.words(2);
        cells.put(0, Thunk::code_word(code.address()));
        if let Some(scope) = scope {
            cells.put(1, scope.value().0);
        }
        Thunk(cells).value()
    }

    /// Evaluates a text. Relative paths begin at `base_dir`, which is absolute and canonical; the attributes
    /// of `scope` are further variables.
    ///
    /// # Errors
    /// When it is no program, or its evaluation fails.
    pub fn eval_text(
        &mut self,
        text: &[u8],
        origin: Origin,
        base_dir: &[u8],
        scope: Option<Attrs>,
    ) -> Result<Value, Error> {
        let v = self.suspend_text(text, origin, base_dir, scope)?;
        self.force(v)
    }

    /// As [`Machine::eval_text`], without evaluating: the value is a thunk.
    ///
    /// # Errors
    /// When the text is no program.
    pub fn suspend_text(
        &mut self,
        text: &[u8],
        origin: Origin,
        base_dir: &[u8],
        scope: Option<Attrs>,
    ) -> Result<Value, Error> {
        let unit = self.load(text.into(), origin, AccessorId(0), base_dir, scope)?;
        Ok(self.root_thunk(unit, scope))
    }

    /// The file that an import of a path reads: a directory's `default.nix`.
    ///
    /// COMPAT: when the path itself is a link, it is followed, and relative paths in the file begin where the
    /// link leads. Links before its last part stay, so that `..` in the file leads back the way it came.
    ///
    /// # Errors
    /// When the path may not be read, or links run in circles.
    pub fn resolve_import(&mut self, path: &NixPath) -> Result<NixPath, Error> {
        let mut path = path.clone();
        let mut n_links = 0;
        let mut found = self.metadata(&path, false)?;
        while found.is_some_and(|m| m.file_type == FileType::Symlink) {
            n_links += 1;
            if n_links > MAX_LINKS {
                return Err(too_many_links(&path));
            }
            let target = self.host_arc().read_link(&path, &self.host_cx())?;
            path = match target.first() {
                Some(b'/') => NixPath::root(crate::value::canonicalise(&target)),
                _ => NixPath::root(directory_of(&path)).join(&target),
            };
            found = self.metadata(&path, false)?;
        }
        if found.is_some_and(|m| m.file_type == FileType::Directory) {
            return Ok(path.join(b"default.nix"));
        }
        Ok(path)
    }

    /// The value of a file, evaluated once per session; a directory stands for its `default.nix`.
    ///
    /// # Errors
    /// When there is no such file, it is no program, or its evaluation fails.
    pub fn import(&mut self, path: &NixPath) -> Result<Value, Error> {
        let known = crate::evaluator::lock(&self.shared.imports).get(path).copied();
        if let Some(v) = known {
            return self.force(v);
        }
        let file = self.resolve_import(path)?;
        let known = crate::evaluator::lock(&self.shared.imports).get(&file).copied();
        let v = match known {
            Some(v) => v,
            None => {
                let unit = self.load_file(&file, None)?;
                // A helper that has left out a warning must not be the one who read the file.
                if self.spoiled.get() {
                    return Err(error::cancelled());
                }
                self.root_thunk(unit, None)
            }
        };
        let mut imports = crate::evaluator::lock(&self.shared.imports);
        // Another machine may have been faster: a file has one value.
        let v = *imports.entry(file.clone()).or_insert(v);
        imports.insert(path.clone(), v);
        drop(imports);
        self.force(v).map_err(|e| self.in_file(e, &file))
    }

    /// The value of a file with the attributes of `scope` as variables; not memoised.
    ///
    /// # Errors
    /// As [`Machine::import`].
    pub fn scoped_import(&mut self, scope: Value, path: &NixPath) -> Result<Value, Error> {
        let scope = self.force_attrs(scope, "the first argument of 'builtins.scopedImport'")?;
        let file = self.resolve_import(path)?;
        let unit = self.load_file(&file, Some(scope))?;
        let v = self.root_thunk(unit, Some(scope));
        self.force(v).map_err(|e| self.in_file(e, &file))
    }

    fn load_file<'a>(&mut self, file: &NixPath, scope: Option<Attrs>) -> Result<&'a Unit, Error> {
        let (text, origin) = self.source_of(file)?;
        self.load(text, origin, file.accessor, directory_of(file), scope)
    }

    /// Text and name of a file.
    fn source_of(&mut self, file: &NixPath) -> Result<(Arc<[u8]>, Origin), Error> {
        let text = self.read_file(file)?;
        Ok((text, Origin::Path(self.path_text(file).into())))
    }

    #[cold]
    fn in_file(&self, e: Error, file: &NixPath) -> Error {
        let text = String::from_utf8_lossy(&self.path_text(file)).into_owned();
        e.frame(FrameKind::Import, format!("while importing '{text}'"), None)
    }
}

/// Where the relative paths of a file begin.
fn directory_of(file: &NixPath) -> &[u8] {
    let end = file.text.iter().rposition(|&b| b == b'/').unwrap_or(0).max(1);
    &file.text[..end]
}
