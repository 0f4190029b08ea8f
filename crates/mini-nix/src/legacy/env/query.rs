//! `-q`: finds packages, chooses among them, and prints what was asked for.

use std::{
    cell::Cell,
    collections::{BTreeSet, HashMap},
    io::{IsTerminal, Write},
};

use clap::ArgMatches;
use nix_eval::{
    Error,
    builtins::xml::XmlWriter,
    error::{self, Class},
    machine::Machine,
    packages::{
        Failures, Names, OutputPaths, Package, PackageName, Seen, Selector, Walk, Wants,
        compare_versions,
    },
    value::{Value, View, print},
};
use nix_formats::store_path::StorePath;
use nix_store::Store;

use super::{order, output, source};
use crate::{
    args, derivations,
    exit::Failure,
    files,
    open::{self, Session, Writes},
};

/// Names that are suggested for a pattern that fits nothing.
const MAX_SUGGESTIONS: usize = 3;

/// What a query shows, and how.
struct Query<'a> {
    matches: &'a ArgMatches,
    session: &'a Session,
    verbose: bool,
    /// Valid paths of the store, if they are asked for.
    valid: Option<BTreeSet<StorePath>>,
}

impl Query<'_> {
    fn has(&self, name: &str) -> bool {
        self.matches.get_flag(name)
    }

    /// Whether outputs are shown with their paths.
    fn output_paths(&self) -> OutputPaths {
        if self.has("out-path") { OutputPaths::Yes } else { OutputPaths::No }
    }

    /// What will be wanted of packages that are found.
    fn wants(&self, patterns: &[String]) -> Wants {
        let paths = self.has("drv-path") || self.has("out-path") || self.valid.is_some();
        if paths && patterns.is_empty() { Wants::Drv } else { Wants::Name }
    }
}

/// Answers a query.
///
/// # Errors
/// Usage, evaluation, store.
pub(super) fn run(matches: &ArgMatches) -> Result<u8, Failure> {
    let available = matches.get_flag("available");
    if matches.get_flag("attr-path") && !available {
        return Err(Failure::usage(
            "mini-nix-env",
            "'--attr-path' (-P) only works with '--available' (-a)",
        ));
    }
    let session = open_session(matches)?;
    if let Some(text) = session.known_text() {
        std::io::stdout().write_all(&text)?;
        return Ok(0);
    }
    let needs_store = matches.get_flag("status") || matches.get_flag("prebuilt-only");
    let valid = match needs_store.then(|| open::store(&session.settings)).transpose()? {
        None => None,
        Some(None) => Some(BTreeSet::new()),
        Some(Some(store)) => Some(store.all_valid_paths().map_err(Failure::new)?),
    };
    let verbose = matches.get_count("verbose") > 0;
    let query = Query { matches, session: &session, verbose, valid };
    let compares = query.has("compare-versions");

    let arguments = files::arguments(&session, matches)?;
    let wants_profile = !available || compares || query.has("status");
    let profile = if wants_profile { source::installed(&session, matches)? } else { None };
    let wants_expression = available || compares;
    let expression =
        if wants_expression { Some(source::available(&session, matches)?) } else { None };
    let patterns = args::many(matches, "patterns");

    let text = session.evaluator.with_machine(|m| {
        let arguments: Vec<(String, Value)> =
            arguments.iter().map(|(name, handle)| (name.clone(), handle.value())).collect();
        let mut installed = Vec::new();
        if let Some(root) = &profile {
            let (failures, names, wants) = (Failures::Raise, Names::Plain, Wants::Name);
            let walk = Walk { arguments: &[], failures, names, wants };
            installed = collect(m, walk, root.value())?;
        }
        let mut offered = Vec::new();
        if let Some(root) = &expression {
            let prefix = args::many(matches, "attr").pop().unwrap_or_default();
            let v = derivations::select(m, root.value(), &prefix, &arguments)?;
            let failures = Failures::SkipAssertions;
            let (names, wants) = (Names::Plain, query.wants(&patterns));
            let walk = Walk { arguments: &arguments, failures, names, wants };
            offered = collect(m, walk, v)?;
            if let Some(system) = args::many(matches, "system-filter").pop() {
                keep_system(m, &mut offered, system.as_bytes())?;
            }
            if !prefix.is_empty() {
                offered.iter_mut().for_each(|p| p.attr_path.insert(0, prefix.clone()));
            }
        }
        let (these, others) =
            if available { (&offered, &installed) } else { (&installed, &offered) };
        let mut chosen = choose(m, these, &patterns)?;
        order::sort(&mut chosen, &|a, b| order::name_before(a.name().full, b.name().full));
        answer(m, &query, &chosen, &installed, others)
    });
    let text = text.map_err(|e| session.failure(&e))?;
    std::io::stdout().write_all(&text)?;
    session.keep_text(&text);
    Ok(0)
}

/// A session that keeps its answer, if that depends on nothing but an expression: not on what the store holds, not on
/// a profile.
fn open_session(matches: &ArgMatches) -> Result<Session, Failure> {
    let others = ["status", "prebuilt-only", "compare-versions"];
    let only_expression =
        matches.get_flag("available") && !others.iter().any(|name| matches.get_flag(name));
    match only_expression {
        true => Session::open_kept(matches, Writes::No),
        false => Session::open(matches, Writes::No),
    }
}

fn collect(m: &mut Machine, walk: Walk<'_>, root: Value) -> Result<Vec<Package>, Error> {
    let mut packages = Vec::new();
    walk.run(m, root, &mut |_, seen| {
        if let Seen::Package(package) = seen {
            packages.push(package);
        }
        Ok(())
    })?;
    Ok(packages)
}

fn keep_system(m: &mut Machine, packages: &mut Vec<Package>, system: &[u8]) -> Result<(), Error> {
    if system == b"*" {
        return Ok(());
    }
    let mut kept = Vec::with_capacity(packages.len());
    for package in packages.drain(..) {
        if package.system(m).map_err(|e| package.blame(e))? == system {
            kept.push(package);
        }
    }
    *packages = kept;
    Ok(())
}

/// The packages that fit the patterns: those of the first pattern, then those that the second adds, and so on.
fn choose<'a>(
    m: &mut Machine,
    all: &'a [Package],
    patterns: &[String],
) -> Result<Vec<&'a Package>, Error> {
    if patterns.is_empty() {
        return Ok(all.iter().collect());
    }
    let mut taken = vec![false; all.len()];
    let mut chosen = Vec::new();
    for pattern in patterns {
        let selector = Selector::new(pattern.as_bytes()).map_err(|reason| {
            error::format(format!("invalid regular expression '{pattern}'"))
                .note(reason.to_string())
        })?;
        let mut fits_any = false;
        for (i, package) in all.iter().enumerate() {
            if selector.matches(m, package.name())? {
                fits_any = true;
                if !std::mem::replace(&mut taken[i], true) {
                    chosen.push(package);
                }
            }
        }
        if !fits_any && !selector.is_all() {
            return Err(no_match(pattern, selector.name(), all));
        }
    }
    Ok(chosen)
}

#[cold]
fn no_match(pattern: &str, prefix: &[u8], all: &[Package]) -> Error {
    let message = format!("selector '{pattern}' matches no derivations");
    let error = Error::new(Class::Argument, message);
    let mut near = BTreeSet::new();
    for package in all {
        if package.name().name.starts_with(prefix) && near.len() < MAX_SUGGESTIONS {
            near.insert(String::from_utf8_lossy(package.name().name).into_owned());
        }
    }
    if near.is_empty() {
        return error;
    }
    let near: Vec<String> = near.into_iter().collect();
    error.hint(format!("maybe you meant: {}", near.join(", ")))
}

/// How a package's version stands to those of the other side.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Only older ones there.
    Newer,
    Same,
    /// A newer one there.
    Older,
    /// None of that name there.
    Alone,
}

/// The other side's versions, by name.
struct Versions<'a>(HashMap<&'a [u8], Vec<&'a [u8]>>);

impl<'a> Versions<'a> {
    fn new(packages: &'a [Package]) -> Versions<'a> {
        let mut versions: HashMap<&[u8], Vec<&[u8]>> = HashMap::new();
        for package in packages {
            let PackageName { name, version, .. } = package.name();
            versions.entry(name).or_default().push(version);
        }
        Versions(versions)
    }

    /// Where the version stands, and the version that decided it.
    fn standing(&self, of: PackageName<'_>) -> (Standing, &'a [u8]) {
        let mut answer: (Standing, &[u8]) = (Standing::Alone, b"?");
        for &version in self.0.get(of.name).map(Vec::as_slice).unwrap_or_default() {
            let (standing, best) = answer;
            let order = compare_versions(of.version, version);
            answer = match (order, standing) {
                (std::cmp::Ordering::Less, _) => (Standing::Older, version),
                (_, Standing::Older) => answer,
                (std::cmp::Ordering::Equal, _) => (Standing::Same, version),
                (_, Standing::Same) => answer,
                // COMPAT: `?` counts as a version here.
                _ if best.is_empty() || compare_versions(best, version).is_lt() => {
                    (Standing::Newer, version)
                }
                _ => (Standing::Newer, best),
            };
        }
        answer
    }
}

impl Standing {
    fn sign(self) -> char {
        match self {
            Standing::Newer => '>',
            Standing::Same => '=',
            Standing::Older => '<',
            Standing::Alone => '-',
        }
    }
}

/// What is known about all packages before one is shown.
struct Surroundings<'a> {
    installed: BTreeSet<StorePath>,
    others: Versions<'a>,
    store_dir: nix_formats::store_path::StoreDir,
    is_terminal: bool,
}

fn answer(
    m: &mut Machine,
    query: &Query<'_>,
    packages: &[&Package],
    installed: &[Package],
    others: &[Package],
) -> Result<Vec<u8>, Error> {
    let mut paths = BTreeSet::new();
    if query.has("status") {
        for package in installed {
            paths.insert(package.out_path(m).map_err(|e| package.blame(e))?);
        }
    }
    let around = Surroundings {
        installed: paths,
        others: Versions::new(others),
        store_dir: m.store_dir(),
        is_terminal: std::io::stdout().is_terminal(),
    };
    if query.has("json") {
        return json(m, query, packages, &around);
    }
    if query.has("xml") {
        return xml(m, query, packages, &around);
    }
    if query.wants(&[]) == Wants::Drv {
        let sets: Vec<Value> = packages.iter().map(|package| package.attrs().value()).collect();
        m.ahead(sets, |m, v| Wants::Drv.of(m, v));
    }
    let mut rows = Vec::with_capacity(packages.len());
    for package in packages {
        if let Some(row) = unless_skipped(query, package, columns(m, query, package, &around))? {
            rows.extend(row);
        }
    }
    let mut out = Vec::new();
    output::table(&rows, &mut out);
    Ok(out)
}

/// The result about one package; `None` if it failed in a way that passes the package over.
fn unless_skipped<T>(
    query: &Query<'_>,
    package: &Package,
    result: Result<T, Error>,
) -> Result<Option<T>, Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e) if e.is_catchable() => {
            if query.verbose {
                let name = package.name_text();
                let text =
                    format!("skipping derivation named '{name}' which gives an assertion failure");
                query.session.say(&text);
            }
            Ok(None)
        }
        Err(e) => Err(package.blame(e)),
    }
}

/// Installed, present, substitutable. `None` when only present ones are wanted and this one is not.
fn status(
    m: &mut Machine,
    query: &Query<'_>,
    package: &Package,
    around: &Surroundings<'_>,
) -> Result<Option<[bool; 3]>, Error> {
    let Some(valid) = &query.valid else { return Ok(Some([false; 3])) };
    let path = package.out_path(m)?;
    let is_valid = valid.contains(&path);
    if query.has("prebuilt-only") && !is_valid {
        return Ok(None);
    }
    Ok(Some([around.installed.contains(&path), is_valid, false]))
}

/// The columns of a row; `None` for a package that is not shown.
fn columns(
    m: &mut Machine,
    query: &Query<'_>,
    package: &Package,
    around: &Surroundings<'_>,
) -> Result<Option<Vec<Vec<u8>>>, Error> {
    let mut columns = Vec::new();
    let Some(status) = status(m, query, package, around)? else { return Ok(None) };
    if query.has("status") {
        let letters = status.iter().zip(b"IPS");
        columns.push(letters.map(|(&is, &letter)| if is { letter } else { b'-' }).collect());
    }
    if query.has("attr-path") {
        columns.push(package.attr_path.join(".").into_bytes());
    }
    if !query.has("no-name") {
        columns.push(package.name().full.to_vec());
    }
    if query.has("compare-versions") {
        let (standing, version) = around.others.standing(package.name());
        let mut column = format!("{} ", standing.sign()).into_bytes();
        column.extend_from_slice(version);
        if standing == Standing::Older && around.is_terminal {
            column = [b"\x1b[31;1m", &column[..], b"\x1b[0m"].concat();
        }
        columns.push(column);
    }
    if query.has("show-system") {
        columns.push(package.system(m)?);
    }
    if query.has("drv-path") {
        let path = package.drv_path(m)?;
        let text = path.map_or_else(|| "-".to_owned(), |path| around.store_dir.display(&path));
        columns.push(text.into_bytes());
    }
    if query.has("out-path") {
        let mut column = Vec::new();
        for (name, path) in package.outputs(m, OutputPaths::Yes)? {
            let Some(path) = path else { continue };
            if !column.is_empty() {
                column.push(b';');
            }
            if name != b"out" {
                column.extend_from_slice(&name);
                column.push(b'=');
            }
            column.extend_from_slice(around.store_dir.display(&path).as_bytes());
        }
        columns.push(column);
    }
    if query.has("description") {
        columns.push(package.meta_text(m, "description")?);
    }
    Ok(Some(columns))
}

/// Says that an attribute of `meta` is passed over.
fn invalid_meta(query: &Query<'_>, package: &Package, name: &[u8]) {
    let text = format!(
        "derivation '{}' has invalid meta attribute '{}'",
        package.name_text(),
        String::from_utf8_lossy(name)
    );
    query.session.say(&text);
}

fn json(
    m: &mut Machine,
    query: &Query<'_>,
    packages: &[&Package],
    around: &Surroundings<'_>,
) -> Result<Vec<u8>, Error> {
    let mut json = output::Json::new();
    for package in packages {
        let depth = json.depth();
        // COMPAT: what was written of a package that fails then stays.
        let result = json_package(m, query, package, around, &mut json);
        json.close_to(depth);
        unless_skipped(query, package, result)?;
    }
    json.close_to(0);
    json.out.push(b'\n');
    Ok(json.out)
}

fn json_package(
    m: &mut Machine,
    query: &Query<'_>,
    package: &Package,
    around: &Surroundings<'_>,
    json: &mut output::Json,
) -> Result<(), Error> {
    if status(m, query, package, around)?.is_none() {
        return Ok(());
    }
    let PackageName { full, name, version } = package.name();
    json.object(package.attr_path.join(".").as_bytes())?;
    json.text(b"name", Some(full))?;
    json.text(b"pname", Some(name))?;
    json.text(b"version", Some(version))?;
    json.text(b"system", Some(&package.system(m)?))?;
    json.text(b"outputName", Some(&package.output_name(m)?))?;
    let outputs = package.outputs(m, query.output_paths())?;
    let depth = json.depth();
    json.object(b"outputs")?;
    for (name, path) in outputs {
        let path = path.map(|path| around.store_dir.display(&path));
        json.text(&name, path.as_deref().map(str::as_bytes))?;
    }
    json.close_to(depth);
    if query.has("meta") {
        let symbols = m.symbol_table();
        json.object(b"meta")?;
        for symbol in package.meta_names(m)? {
            let name = symbols.name(symbol);
            match package.meta(m, symbol)? {
                Some(v) => json.value(m, name, v)?,
                None => {
                    invalid_meta(query, package, name);
                    json.text(name, None)?;
                }
            }
        }
        json.close_to(depth);
    }
    if query.has("drv-path")
        && let Some(path) = package.drv_path(m)?
    {
        json.text(b"drvPath", Some(around.store_dir.display(&path).as_bytes()))?;
    }
    Ok(())
}

fn xml(
    m: &mut Machine,
    query: &Query<'_>,
    packages: &[&Package],
    around: &Surroundings<'_>,
) -> Result<Vec<u8>, Error> {
    let mut xml = XmlWriter::new();
    xml.open("items", &[]);
    for package in packages {
        let is_open = Cell::new(false);
        let result = xml_package(m, query, package, around, &mut xml, &is_open);
        if is_open.get() {
            xml.close("item");
        }
        unless_skipped(query, package, result)?;
    }
    xml.close("items");
    Ok(xml.finish())
}

fn xml_package(
    m: &mut Machine,
    query: &Query<'_>,
    package: &Package,
    around: &Surroundings<'_>,
    xml: &mut XmlWriter,
    is_open: &Cell<bool>,
) -> Result<(), Error> {
    let Some([is_installed, is_valid, has_substitute]) = status(m, query, package, around)? else {
        return Ok(());
    };
    let digit = |is: bool| if is { b"1".to_vec() } else { b"0".to_vec() };
    let mut attributes: Vec<(&str, Vec<u8>)> = Vec::new();
    if query.has("status") {
        attributes.push(("installed", digit(is_installed)));
        attributes.push(("valid", digit(is_valid)));
        attributes.push(("substitutable", digit(has_substitute)));
    }
    let PackageName { full, name, version } = package.name();
    attributes.push(("attrPath", package.attr_path.join(".").into_bytes()));
    attributes.push(("name", full.to_vec()));
    attributes.push(("pname", name.to_vec()));
    attributes.push(("version", version.to_vec()));
    if query.has("compare-versions") {
        let (standing, version) = around.others.standing(package.name());
        if standing != Standing::Alone {
            attributes.push(("versionDiff", standing.sign().to_string().into_bytes()));
            attributes.push(("maxComparedVersion", version.to_vec()));
        }
    }
    let system = package.system(m)?;
    if !system.is_empty() {
        attributes.push(("system", system));
    }
    if query.has("drv-path")
        && let Some(path) = package.drv_path(m)?
    {
        attributes.push(("drvPath", around.store_dir.display(&path).into_bytes()));
    }
    attributes.push(("outputName", package.output_name(m)?));
    if query.has("description") {
        let description = package.meta_text(m, "description")?;
        if !description.is_empty() {
            attributes.push(("description", description));
        }
    }
    attributes.sort();
    let borrowed: Vec<(&str, &[u8])> =
        attributes.iter().map(|(name, value)| (*name, value.as_slice())).collect();
    xml.open("item", &borrowed);
    is_open.set(true);
    for (name, path) in package.outputs(m, query.output_paths())? {
        let path = path.map(|path| around.store_dir.display(&path));
        let mut attributes: Vec<(&str, &[u8])> = vec![("name", &name)];
        attributes.extend(path.as_ref().map(|path| ("path", path.as_bytes())));
        xml.empty("output", &attributes);
    }
    if query.has("meta") {
        xml_meta(m, query, package, xml)?;
    }
    Ok(())
}

fn xml_meta(
    m: &mut Machine,
    query: &Query<'_>,
    package: &Package,
    xml: &mut XmlWriter,
) -> Result<(), Error> {
    let symbols = m.symbol_table();
    for symbol in package.meta_names(m)? {
        let name = symbols.name(symbol);
        let Some(v) = package.meta(m, symbol)? else {
            invalid_meta(query, package, name);
            continue;
        };
        let kind: &[u8] = match v.view() {
            View::String(_) => b"string",
            View::Int(_) => b"int",
            View::Float(_) => b"float",
            View::Bool(_) => b"bool",
            _ => b"strings",
        };
        let head: [(&str, &[u8]); 2] = [("name", name), ("type", kind)];
        match v.view() {
            View::List(items) => {
                xml.open("meta", &head);
                for text in items.iter().filter_map(Value::as_string) {
                    xml.empty("string", &[("value", text.bytes())]);
                }
                xml.close("meta");
            }
            View::Attrs(attrs) => {
                xml.open("meta", &head);
                for (name, v) in attrs.iter_by_name(&symbols) {
                    if let Some(text) = v.as_string() {
                        let name = symbols.name(name);
                        xml.empty("string", &[("type", name), ("value", text.bytes())]);
                    }
                }
                xml.close("meta");
            }
            View::String(text) => {
                xml.empty("meta", &[head[0], head[1], ("value", text.bytes())]);
            }
            _ => {
                let text = print::eval_form(m, v);
                xml.empty("meta", &[head[0], head[1], ("value", &text)]);
            }
        }
    }
    Ok(())
}
