//! Which objects are valid: the SQLite database of the store, in C++ Nix's schema 10.
//!
//! Nothing is ever added to its tables; a C++ Nix may have the file open right now. All text
//! that comes out is checked, because a damaged row must not become a path that is opened.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix_formats::content_address::ContentAddress;
use nix_formats::hash::Hash;
use nix_formats::store_path::{StoreDir, StorePath};
use rusqlite::{CachedStatement, Connection, OpenFlags, OptionalExtension, TransactionBehavior};

use crate::error::StoreError;
use crate::store::PathInfo;

/// The schema that we and C++ Nix write.
pub(super) const SCHEMA_VERSION: &str = "10";

/// An open database.
#[derive(Debug)]
pub(super) struct Registry {
    connection: Connection,
    file: PathBuf,
    dir: StoreDir,
}

/// How to open the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Reading and writing; tables are made if there are none.
    Write {
        /// Wait for the disk at each commit.
        durable: bool,
    },
    /// Reading; the file may lie on a read-only file system.
    Read,
}

// The names are those that C++ Nix asks for in its queries.
const TABLES: &str = "
    create table if not exists ValidPaths (
        id integer primary key autoincrement not null,
        path text unique not null,
        hash text not null,
        registrationTime integer not null,
        deriver text,
        narSize integer,
        ultimate integer,
        sigs text,
        ca text
    );
    create table if not exists Refs (
        referrer integer not null,
        reference integer not null,
        primary key (referrer, reference),
        foreign key (referrer) references ValidPaths(id) on delete cascade,
        foreign key (reference) references ValidPaths(id) on delete restrict
    );
    create index if not exists IndexReferrer on Refs(referrer);
    create index if not exists IndexReference on Refs(reference);
    create trigger if not exists DeleteSelfRefs before delete on ValidPaths
        begin
            delete from Refs where referrer = old.id and reference = old.id;
        end;
    create table if not exists DerivationOutputs (
        drv integer not null,
        id text not null,
        path text not null,
        primary key (drv, id),
        foreign key (drv) references ValidPaths(id) on delete cascade
    );
    create index if not exists IndexDerivationOutputs on DerivationOutputs(path);
";

impl Registry {
    /// Opens the database `file`.
    pub(super) fn open(file: &Path, dir: &StoreDir, mode: Mode) -> Result<Registry, StoreError> {
        let fail = |source| StoreError::Database { path: file.to_owned(), source };
        let connection = match mode {
            Mode::Write { .. } => {
                let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
                Connection::open_with_flags(file, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)
                    .map_err(fail)?
            }
            Mode::Read => open_for_reading(file).map_err(fail)?,
        };
        connection.busy_timeout(Duration::from_secs(3600)).map_err(fail)?;
        connection.set_prepared_statement_cache_capacity(64);
        connection.pragma_update(None, "foreign_keys", 1).map_err(fail)?;
        if let Mode::Write { durable } = mode {
            // Answers with the mode that it set, hence a query.
            connection.query_row("pragma main.journal_mode = wal", [], |_| Ok(())).map_err(fail)?;
            let synchronous = if durable { "full" } else { "normal" };
            connection.pragma_update(None, "synchronous", synchronous).map_err(fail)?;
            connection
                .query_row("pragma main.journal_size_limit = 1099511627776", [], |_| Ok(()))
                .map_err(fail)?;
            connection
                .query_row("pragma wal_autocheckpoint = 40000", [], |_| Ok(()))
                .map_err(fail)?;
            connection.execute_batch(TABLES).map_err(fail)?;
        }
        Ok(Registry { connection, file: file.to_owned(), dir: dir.clone() })
    }

    fn fail(&self, source: rusqlite::Error) -> StoreError {
        StoreError::Database { path: self.file.clone(), source }
    }

    fn damaged(&self, path: &str, reason: impl ToString) -> StoreError {
        StoreError::DamagedEntry { path: path.to_owned(), reason: reason.to_string() }
    }

    fn prepare(&self, sql: &str) -> Result<CachedStatement<'_>, StoreError> {
        self.connection.prepare_cached(sql).map_err(|e| self.fail(e))
    }

    fn parse(&self, text: &str) -> Result<StorePath, StoreError> {
        self.dir.parse(text).map_err(|e| self.damaged(text, e))
    }

    /// The row number of a valid object.
    fn id(&self, path: &StorePath) -> Result<Option<i64>, StoreError> {
        self.prepare("select id from ValidPaths where path = ?")?
            .query_row([self.dir.display(path)], |row| row.get(0))
            .optional()
            .map_err(|e| self.fail(e))
    }

    pub(super) fn is_valid(&self, path: &StorePath) -> Result<bool, StoreError> {
        Ok(self.id(path)?.is_some())
    }

    /// The facts about an object, if it is valid.
    pub(super) fn path_info(&self, path: &StorePath) -> Result<Option<PathInfo>, StoreError> {
        let text = self.dir.display(path);
        type Row = (
            i64,
            String,
            i64,
            Option<String>,
            Option<i64>,
            Option<i64>,
            Option<String>,
            Option<String>,
        );
        let row: Option<Row> = self
            .prepare(
                "select id, hash, registrationTime, deriver, narSize, ultimate, sigs, ca
                 from ValidPaths where path = ?",
            )?
            .query_row([&text], |row| {
                Ok((
                    row.get(0)?,
                    row.get(1)?,
                    row.get(2)?,
                    row.get(3)?,
                    row.get(4)?,
                    row.get(5)?,
                    row.get(6)?,
                    row.get(7)?,
                ))
            })
            .optional()
            .map_err(|e| self.fail(e))?;
        let Some((id, hash, time, deriver, size, ultimate, signatures, ca)) = row else {
            return Ok(None);
        };
        let nar_hash = Hash::parse(&hash, None).map_err(|e| self.damaged(&text, e))?;
        let nar_size = u64::try_from(size.unwrap_or(0)).map_err(|e| self.damaged(&text, e))?;
        let mut info = PathInfo::new(path.clone(), nar_hash, nar_size);
        info.registration_time = time;
        info.deriver = deriver.filter(|d| !d.is_empty()).map(|d| self.parse(&d)).transpose()?;
        info.ultimate = ultimate.unwrap_or(0) != 0;
        info.signatures = signatures
            .map(|s| s.split(' ').filter(|s| !s.is_empty()).map(str::to_owned).collect())
            .unwrap_or_default();
        info.ca = ca
            .filter(|c| !c.is_empty())
            .map(|c| ContentAddress::parse(&c).map_err(|e| self.damaged(&text, e)))
            .transpose()?;
        info.references = self.paths(
            "select path from Refs join ValidPaths on reference = id where referrer = ?",
            [id],
        )?;
        Ok(Some(info))
    }

    fn paths<C: FromIterator<StorePath>>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
    ) -> Result<C, StoreError> {
        let mut statement = self.prepare(sql)?;
        let rows =
            statement.query_map(params, |row| row.get::<_, String>(0)).map_err(|e| self.fail(e))?;
        rows.map(|row| self.parse(&row.map_err(|e| self.fail(e))?)).collect()
    }

    pub(super) fn referrers(&self, path: &StorePath) -> Result<BTreeSet<StorePath>, StoreError> {
        self.paths(
            "select path from Refs join ValidPaths on referrer = id
             where reference = (select id from ValidPaths where path = ?)",
            [self.dir.display(path)],
        )
    }

    pub(super) fn valid_derivers(
        &self,
        path: &StorePath,
    ) -> Result<BTreeSet<StorePath>, StoreError> {
        self.paths(
            "select v.path from DerivationOutputs d join ValidPaths v on d.drv = v.id
             where d.path = ?",
            [self.dir.display(path)],
        )
    }

    pub(super) fn derivation_outputs(
        &self,
        drv: &StorePath,
    ) -> Result<BTreeMap<String, StorePath>, StoreError> {
        let mut statement = self.prepare(
            "select d.id, d.path from DerivationOutputs d join ValidPaths v on d.drv = v.id
             where v.path = ?",
        )?;
        let rows = statement
            .query_map([self.dir.display(drv)], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
            })
            .map_err(|e| self.fail(e))?;
        rows.map(|row| {
            let (name, path) = row.map_err(|e| self.fail(e))?;
            Ok((name, self.parse(&path)?))
        })
        .collect()
    }

    pub(super) fn path_from_hash_part(
        &self,
        hash_part: &str,
    ) -> Result<Option<StorePath>, StoreError> {
        let prefix = format!("{}/{hash_part}", self.dir.as_str());
        let found: Option<String> = self
            .prepare("select path from ValidPaths where path >= ? limit 1")?
            .query_row([&prefix], |row| row.get(0))
            .optional()
            .map_err(|e| self.fail(e))?;
        match found {
            Some(text) if text.starts_with(&prefix) => Ok(Some(self.parse(&text)?)),
            _ => Ok(None),
        }
    }

    pub(super) fn all_valid_paths(&self) -> Result<BTreeSet<StorePath>, StoreError> {
        self.paths("select path from ValidPaths", [])
    }

    /// All references at once: object → what it refers to. For whole-store work.
    pub(super) fn all_references(&self) -> Result<BTreeMap<StorePath, Vec<StorePath>>, StoreError> {
        self.pairs(
            "select a.path, b.path from Refs
             join ValidPaths a on referrer = a.id join ValidPaths b on reference = b.id",
        )
    }

    /// Registers objects in one transaction: all of them or, on error, none.
    ///
    /// `outputs` gives the known output paths of a derivation among them.
    ///
    /// # Errors
    /// [`StoreError::NotValid`] for a reference that is valid neither before nor with these;
    /// [`StoreError::Cycle`] if they refer to each other in a circle.
    pub(super) fn register(
        &mut self,
        infos: &[PathInfo],
        outputs: &HashMap<StorePath, BTreeMap<String, StorePath>>,
    ) -> Result<(), StoreError> {
        check_cycles(infos, &self.dir)?;
        let file = self.file.clone();
        let fail = |source| StoreError::Database { path: file.clone(), source };
        let dir = self.dir.clone();
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(fail)?;
        {
            let mut insert = transaction
                .prepare_cached(
                    "insert into ValidPaths
                     (path, hash, registrationTime, deriver, narSize, ultimate, sigs, ca)
                     values (?, ?, ?, ?, ?, ?, ?, ?)
                     on conflict (path) do update set hash = excluded.hash,
                     narSize = excluded.narSize, ultimate = excluded.ultimate,
                     sigs = excluded.sigs, ca = excluded.ca,
                     deriver = coalesce(deriver, excluded.deriver)
                     returning id",
                )
                .map_err(fail)?;
            let mut insert_output = transaction
                .prepare_cached(
                    "insert or replace into DerivationOutputs (drv, id, path) values (?, ?, ?)",
                )
                .map_err(fail)?;
            let mut find = transaction
                .prepare_cached("select id from ValidPaths where path = ?")
                .map_err(fail)?;
            let mut insert_reference = transaction
                .prepare_cached("insert or ignore into Refs (referrer, reference) values (?, ?)")
                .map_err(fail)?;
            let now = unix_time();
            let mut ids = Vec::with_capacity(infos.len());
            for info in infos {
                let time = if info.registration_time == 0 { now } else { info.registration_time };
                let signatures = (!info.signatures.is_empty()).then(|| info.signatures.join(" "));
                let size = i64::try_from(info.nar_size).unwrap_or(i64::MAX);
                let id: i64 = insert
                    .query_row(
                        rusqlite::params![
                            dir.display(&info.path),
                            info.nar_hash.to_prefixed_base16(),
                            time,
                            info.deriver.as_ref().map(|d| dir.display(d)),
                            (size != 0).then_some(size),
                            info.ultimate.then_some(1),
                            signatures,
                            info.ca.as_ref().map(ToString::to_string),
                        ],
                        |row| row.get(0),
                    )
                    .map_err(fail)?;
                ids.push(id);
                for (name, path) in outputs.get(&info.path).into_iter().flatten() {
                    insert_output
                        .execute(rusqlite::params![id, name, dir.display(path)])
                        .map_err(fail)?;
                }
            }
            for (info, id) in infos.iter().zip(ids) {
                for reference in &info.references {
                    let text = dir.display(reference);
                    let found: Option<i64> =
                        find.query_row([&text], |row| row.get(0)).optional().map_err(fail)?;
                    let Some(found) = found else {
                        return Err(StoreError::NotValid {
                            path: text,
                            needed_by: Some(dir.display(&info.path)),
                        });
                    };
                    insert_reference.execute([id, found]).map_err(fail)?;
                }
            }
        }
        transaction.commit().map_err(fail)
    }

    /// Makes objects invalid, in one transaction and in this order; gives those that now are.
    ///
    /// One that a valid object still refers to stays valid, and so does all that it needs.
    pub(super) fn invalidate_all(
        &mut self,
        paths: &[StorePath],
    ) -> Result<Vec<StorePath>, StoreError> {
        let file = self.file.clone();
        let fail = |source| StoreError::Database { path: file.clone(), source };
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(fail)?;
        let mut gone = Vec::with_capacity(paths.len());
        {
            let mut is_needed = transaction
                .prepare_cached(
                    "select 1 from Refs join ValidPaths v on reference = v.id
                     where v.path = ? and referrer != v.id limit 1",
                )
                .map_err(fail)?;
            let mut delete = transaction
                .prepare_cached("delete from ValidPaths where path = ?")
                .map_err(fail)?;
            for path in paths {
                let text = self.dir.display(path);
                if !is_needed.exists([&text]).map_err(fail)? {
                    delete.execute([&text]).map_err(fail)?;
                    gone.push(path.clone());
                }
            }
        }
        transaction.commit().map_err(fail)?;
        Ok(gone)
    }

    /// Valid derivation → the valid objects that name it as their deriver and are its outputs.
    pub(super) fn all_derivers(&self) -> Result<BTreeMap<StorePath, Vec<StorePath>>, StoreError> {
        self.pairs(
            "select d.path, o.path from ValidPaths o join ValidPaths d on o.deriver = d.path",
        )
    }

    /// Valid derivation → its valid outputs.
    pub(super) fn all_outputs(&self) -> Result<BTreeMap<StorePath, Vec<StorePath>>, StoreError> {
        self.pairs(
            "select v.path, o.path from DerivationOutputs o
             join ValidPaths v on o.drv = v.id join ValidPaths p on o.path = p.path",
        )
    }

    fn pairs(&self, sql: &str) -> Result<BTreeMap<StorePath, Vec<StorePath>>, StoreError> {
        let mut statement = self.prepare(sql)?;
        let mut rows = statement.query([]).map_err(|e| self.fail(e))?;
        let mut all: BTreeMap<StorePath, Vec<StorePath>> = BTreeMap::new();
        while let Some(row) = rows.next().map_err(|e| self.fail(e))? {
            let from: String = row.get(0).map_err(|e| self.fail(e))?;
            let to: String = row.get(1).map_err(|e| self.fail(e))?;
            all.entry(self.parse(&from)?).or_default().push(self.parse(&to)?);
        }
        Ok(all)
    }

    /// SQLite's own check of the file; the first complaint, if there is one.
    pub(super) fn check(&self) -> Result<Option<String>, StoreError> {
        let answer: String = self
            .connection
            .query_row("pragma quick_check(1)", [], |row| row.get(0))
            .map_err(|e| self.fail(e))?;
        Ok((answer != "ok").then_some(answer))
    }
}

/// A read-only file system allows neither a journal nor shared memory beside the file; then the
/// file is taken as it is.
fn open_for_reading(file: &Path) -> Result<Connection, rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(uri(file, ""), flags)?;
    let probe = connection.query_row("select count(*) from ValidPaths limit 1", [], |_| Ok(()));
    if probe.is_ok() {
        return Ok(connection);
    }
    let connection = Connection::open_with_flags(uri(file, "?immutable=1"), flags)?;
    connection.query_row("select count(*) from ValidPaths limit 1", [], |_| Ok(()))?;
    Ok(connection)
}

fn uri(file: &Path, query: &str) -> String {
    use std::os::unix::ffi::OsStrExt;
    let mut uri = String::from("file:");
    for byte in file.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' => {
                uri.push(char::from(*byte));
            }
            other => uri.push_str(&format!("%{other:02x}")),
        }
    }
    uri + query
}

/// Refuses objects that refer to each other in a circle; self-references are fine.
fn check_cycles(infos: &[PathInfo], dir: &StoreDir) -> Result<(), StoreError> {
    let by_path: HashMap<&StorePath, &PathInfo> = infos.iter().map(|i| (&i.path, i)).collect();
    let mut done: BTreeSet<&StorePath> = BTreeSet::new();
    let mut open: BTreeSet<&StorePath> = BTreeSet::new();
    enum Step<'a> {
        Enter(&'a StorePath),
        Leave(&'a StorePath),
    }
    for info in infos {
        let mut steps = vec![Step::Enter(&info.path)];
        while let Some(step) = steps.pop() {
            match step {
                Step::Leave(path) => {
                    open.remove(path);
                    done.insert(path);
                }
                Step::Enter(path) => {
                    let Some(info) = by_path.get(path) else { continue };
                    if done.contains(path) || !open.insert(path) {
                        continue;
                    }
                    steps.push(Step::Leave(path));
                    for reference in info.references.iter().filter(|r| *r != path) {
                        if open.contains(reference) {
                            return Err(StoreError::Cycle {
                                path: dir.display(path),
                                through: dir.display(reference),
                            });
                        }
                        steps.push(Step::Enter(reference));
                    }
                }
            }
        }
    }
    Ok(())
}

/// Seconds since 1970; 0 if the clock is before that.
pub(super) fn unix_time() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX))
}
