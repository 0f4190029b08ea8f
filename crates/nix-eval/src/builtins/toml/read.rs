//! TOML 1.0 text to values.
//!
//! Own reader, because a text may be long: it polls the limits wherever it loops, and depth of the text never chooses
//! our stack. Tables stay open until the end, since later headers add to them; they lie in flat lists, so
//! that giving them up is quick. Values are made once everything is read.

use std::collections::HashMap;

use super::scalar::is_refused;
use crate::{
    error::{self, Error},
    machine::Machine,
    symbol::Symbol,
    value::Value,
};

/// How a table came to be: this decides who may add to it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// On the way of a header: may get its own header yet.
    Implicit,
    /// By its header, or an element of an array of tables.
    Header,
    /// On the way of a dotted key.
    Dotted,
    /// Between braces.
    Inline,
}

/// No entry, or no table.
const NONE: u32 = u32::MAX;

struct Table {
    kind: Kind,
    /// Its entries, linked by [`Entry::next`].
    first: u32,
    last: u32,
    /// The element after it in an array of tables.
    next: u32,
}

#[derive(Clone, Copy)]
enum Item {
    Value(Value),
    Table(u32),
    /// An array of tables, linked by [`Table::next`].
    Tables {
        first: u32,
        last: u32,
    },
}

#[derive(Clone, Copy)]
struct Entry {
    name: Symbol,
    item: Item,
    next: u32,
}

/// A value between brackets that is being read.
enum Open {
    List(Vec<Value>),
    /// An inline table, and where the next value goes: in itself or in a table of a dotted key.
    Inline {
        table: u32,
        holder: u32,
        name: Symbol,
    },
}

/// What an open list or table takes, and an element of a list: it lies in a vector that doubles, and is copied.
const OPEN_BYTES: u64 = 96;
const ITEM_BYTES: u64 = 24;

/// A table or array of tables whose value is being made; `at` is the entry or element that is next.
enum Making {
    Table { at: u32, attrs: Vec<(Symbol, Value)> },
    Tables { at: u32, items: Vec<Value> },
}

/// Bytes that are looked at between two looks at the limits.
pub(super) const STRIDE: usize = 4096;

/// A text, and what was read of it.
pub(super) struct Reader<'a> {
    pub(super) text: &'a str,
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
    tables: Vec<Table>,
    entries: Vec<Entry>,
    /// Table and name → entry.
    index: HashMap<(u32, Symbol), u32>,
}

/// The value of a TOML text.
///
/// # Errors
/// Class `format`, naming the line.
pub(super) fn read(m: &mut Machine, text: &str) -> Result<Value, Error> {
    let mut reader = Reader {
        text,
        bytes: text.as_bytes(),
        at: 0,
        tables: Vec::new(),
        entries: Vec::new(),
        index: HashMap::new(),
    };
    if reader.starts_with("\u{feff}".as_bytes()) {
        reader.at += "\u{feff}".len();
    }
    let root = reader.new_table(Kind::Header);
    let mut current = root;
    loop {
        reader.blank(m)?;
        m.check_room(reader.size_bytes())?;
        match reader.peek() {
            None => break,
            Some(b'[') => current = reader.header(m, root)?,
            Some(_) => {
                let (holder, name) = reader.key(m, current)?;
                let value = reader.value(m)?;
                reader.insert(holder, name, Item::Value(value))?;
            }
        }
        reader.end_of_line(m)?;
    }
    reader.make(m, root)
}

fn is_bare(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

impl Reader<'_> {
    /// What was read takes so much beside the values.
    fn size_bytes(&self) -> u64 {
        const INDEX: usize = size_of::<((u32, Symbol), u32)>() + 1;
        let tables = self.tables.capacity() * size_of::<Table>();
        let entries = self.entries.capacity() * size_of::<Entry>();
        (tables + entries + self.index.capacity() * INDEX) as u64
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(super) fn starts_with(&self, prefix: &[u8]) -> bool {
        self.bytes[self.at..].starts_with(prefix)
    }

    #[cold]
    pub(super) fn fail(&self, why: &str) -> Error {
        let at = self.at.min(self.bytes.len());
        let line = self.bytes[..at].iter().filter(|&&b| b == b'\n').count() + 1;
        error::format(format!("invalid TOML in line {line}: {why}"))
    }

    pub(super) fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
    }

    /// Passes a line end, if there is one.
    pub(super) fn line_end(&mut self) -> bool {
        let n = match self.peek() {
            Some(b'\n') => 1,
            Some(b'\r') if self.bytes.get(self.at + 1) == Some(&b'\n') => 2,
            _ => return false,
        };
        self.at += n;
        true
    }

    fn comment(&mut self, m: &mut Machine) -> Result<(), Error> {
        while let Some(byte) = self.peek() {
            if self.at.is_multiple_of(STRIDE) {
                m.poll()?;
            }
            if byte == b'\n' || self.starts_with(b"\r\n") {
                break;
            }
            if is_refused(byte) {
                return Err(self.fail("control characters are not allowed in comments"));
            }
            self.at += 1;
        }
        Ok(())
    }

    /// Passes spaces, line ends and comments.
    fn blank(&mut self, m: &mut Machine) -> Result<(), Error> {
        loop {
            m.poll()?;
            self.space();
            if self.peek() == Some(b'#') {
                self.comment(m)?;
            } else if !self.line_end() {
                return Ok(());
            }
        }
    }

    fn end_of_line(&mut self, m: &mut Machine) -> Result<(), Error> {
        self.space();
        if self.peek() == Some(b'#') {
            self.comment(m)?;
        }
        if self.peek().is_none() || self.line_end() {
            return Ok(());
        }
        Err(self.fail("expected the end of the line"))
    }

    fn new_table(&mut self, kind: Kind) -> u32 {
        self.tables.push(Table { kind, first: NONE, last: NONE, next: NONE });
        (self.tables.len() - 1) as u32
    }

    fn find(&self, table: u32, name: Symbol) -> Option<u32> {
        self.index.get(&(table, name)).copied()
    }

    fn insert(&mut self, table: u32, name: Symbol, item: Item) -> Result<(), Error> {
        let number = self.entries.len() as u32;
        if self.index.insert((table, name), number).is_some() {
            return Err(self.fail("this name has a value already"));
        }
        self.entries.push(Entry { name, item, next: NONE });
        let table = &mut self.tables[table as usize];
        match table.last {
            NONE => table.first = number,
            last => self.entries[last as usize].next = number,
        }
        table.last = number;
        Ok(())
    }

    /// One part of a key, and the spaces after it.
    fn name(&mut self, m: &mut Machine) -> Result<Symbol, Error> {
        m.poll()?;
        let symbol = match self.peek() {
            Some(quote @ (b'"' | b'\'')) => {
                if self.starts_with(&[quote; 3]) {
                    return Err(self.fail("a name cannot be a text of several lines"));
                }
                let name = self.line_text(m)?;
                m.symbol_of(name.as_bytes())
            }
            _ => {
                let start = self.at;
                while self.peek().is_some_and(is_bare) {
                    self.at += 1;
                }
                if self.at == start {
                    return Err(self.fail("expected a name"));
                }
                m.symbol_of(&self.bytes[start..self.at])
            }
        };
        self.space();
        Ok(symbol)
    }

    /// A key of `table` and the `=` after it: the table that it leads to, and its last name.
    fn key(&mut self, m: &mut Machine, mut table: u32) -> Result<(u32, Symbol), Error> {
        loop {
            let name = self.name(m)?;
            match self.peek() {
                Some(b'=') => {
                    self.at += 1;
                    self.space();
                    return Ok((table, name));
                }
                Some(b'.') => {
                    self.at += 1;
                    self.space();
                }
                _ => return Err(self.fail("expected '='")),
            }
            table = match self.find(table, name).map(|at| self.entries[at as usize].item) {
                None => {
                    let inner = self.new_table(Kind::Dotted);
                    self.insert(table, name, Item::Table(inner))?;
                    inner
                }
                Some(Item::Table(inner)) if self.tables[inner as usize].kind == Kind::Dotted => {
                    inner
                }
                Some(_) => return Err(self.fail("a dotted name cannot add to this value")),
            };
        }
    }

    /// A header: the table that it begins.
    fn header(&mut self, m: &mut Machine, root: u32) -> Result<u32, Error> {
        let is_array = self.starts_with(b"[[");
        self.at += if is_array { 2 } else { 1 };
        self.space();
        let mut table = root;
        loop {
            let name = self.name(m)?;
            let known = self.find(table, name);
            if self.peek() == Some(b'.') {
                self.at += 1;
                self.space();
                table = match known.map(|at| self.entries[at as usize].item) {
                    None => {
                        let inner = self.new_table(Kind::Implicit);
                        self.insert(table, name, Item::Table(inner))?;
                        inner
                    }
                    Some(Item::Table(inner)) => inner,
                    Some(Item::Tables { last, .. }) => last,
                    Some(Item::Value(_)) => {
                        return Err(self.fail("a header cannot add to this value"));
                    }
                };
                continue;
            }
            if !self.starts_with(if is_array { b"]]" } else { b"]" }) {
                return Err(self.fail(if is_array { "expected ']]'" } else { "expected ']'" }));
            }
            self.at += if is_array { 2 } else { 1 };
            return match known.map(|at| (at as usize, self.entries[at as usize].item)) {
                None => {
                    let new = self.new_table(Kind::Header);
                    let item = match is_array {
                        true => Item::Tables { first: new, last: new },
                        false => Item::Table(new),
                    };
                    self.insert(table, name, item)?;
                    Ok(new)
                }
                Some((at, Item::Tables { first, last })) if is_array => {
                    let new = self.new_table(Kind::Header);
                    self.tables[last as usize].next = new;
                    self.entries[at].item = Item::Tables { first, last: new };
                    Ok(new)
                }
                Some((_, Item::Table(inner)))
                    if !is_array && self.tables[inner as usize].kind == Kind::Implicit =>
                {
                    self.tables[inner as usize].kind = Kind::Header;
                    Ok(inner)
                }
                Some(_) => Err(self.fail("this table is there already")),
            };
        }
    }

    fn value(&mut self, m: &mut Machine) -> Result<Value, Error> {
        let mut open: Vec<Open> = Vec::new();
        let mut n_items = 0;
        loop {
            m.poll()?;
            let beside = open.len() as u64 * OPEN_BYTES + n_items * ITEM_BYTES;
            m.check_room(beside + self.size_bytes())?;
            // A value begins here.
            let mut value = match self.peek() {
                Some(b'[') => {
                    self.at += 1;
                    self.blank(m)?;
                    if self.peek() != Some(b']') {
                        open.push(Open::List(Vec::new()));
                        continue;
                    }
                    self.at += 1;
                    Value::EMPTY_LIST
                }
                Some(b'{') => {
                    self.at += 1;
                    self.space();
                    if self.peek() != Some(b'}') {
                        let table = self.new_table(Kind::Inline);
                        let (holder, name) = self.key(m, table)?;
                        open.push(Open::Inline { table, holder, name });
                        continue;
                    }
                    self.at += 1;
                    m.empty_attrs()
                }
                _ => self.scalar(m)?,
            };
            // A value ended here; it may end others.
            loop {
                match open.last_mut() {
                    None => return Ok(value),
                    Some(Open::List(items)) => {
                        items.push(value);
                        n_items += 1;
                        self.blank(m)?;
                        let is_more = self.peek() == Some(b',');
                        if is_more {
                            self.at += 1;
                            self.blank(m)?;
                        }
                        if self.peek() != Some(b']') {
                            if is_more {
                                break;
                            }
                            return Err(self.fail("expected ',' or ']'"));
                        }
                        n_items -= items.len() as u64;
                        value = m.new_list(items);
                    }
                    Some(Open::Inline { table, holder, name }) => {
                        self.insert(*holder, *name, Item::Value(value))?;
                        self.space();
                        match self.peek() {
                            Some(b',') => {
                                self.at += 1;
                                self.space();
                                if self.peek() == Some(b'}') {
                                    return Err(self.fail(
                                        "an inline table may not end in a comma (TOML 1.1)",
                                    ));
                                }
                                (*holder, *name) = self.key(m, *table)?;
                                break;
                            }
                            Some(b'}') => value = self.make(m, *table)?,
                            Some(b'\n' | b'\r' | b'#') => {
                                return Err(
                                    self.fail("an inline table must stand on one line (TOML 1.1)")
                                );
                            }
                            _ => return Err(self.fail("expected ',' or '}'")),
                        }
                    }
                }
                self.at += 1;
                open.pop();
            }
        }
    }

    /// The value of a table that is complete.
    fn make(&self, m: &mut Machine, table: u32) -> Result<Value, Error> {
        let begin =
            |table: u32| Making::Table { at: self.tables[table as usize].first, attrs: Vec::new() };
        let mut open = vec![begin(table)];
        let mut ended: Option<Value> = None;
        while let Some(top) = open.last_mut() {
            m.poll()?;
            let next = match top {
                Making::Table { at, attrs } => {
                    if let Some(value) = ended.take() {
                        let entry = self.entries[*at as usize];
                        attrs.push((entry.name, value));
                        *at = entry.next;
                    }
                    match *at {
                        NONE => {
                            ended = Some(m.new_attrs(attrs));
                            None
                        }
                        number => match self.entries[number as usize].item {
                            Item::Value(value) => {
                                ended = Some(value);
                                continue;
                            }
                            Item::Table(inner) => Some(begin(inner)),
                            Item::Tables { first, .. } => {
                                Some(Making::Tables { at: first, items: Vec::new() })
                            }
                        },
                    }
                }
                Making::Tables { at, items } => {
                    if let Some(value) = ended.take() {
                        items.push(value);
                        *at = self.tables[*at as usize].next;
                    }
                    match *at {
                        NONE => {
                            ended = Some(m.new_list(items));
                            None
                        }
                        element => Some(begin(element)),
                    }
                }
            };
            match next {
                Some(inner) => open.push(inner),
                None => drop(open.pop()),
            }
        }
        Ok(ended.unwrap_or(Value::NULL))
    }
}
