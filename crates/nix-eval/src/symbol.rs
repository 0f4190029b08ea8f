//! Interned names.

use std::{collections::HashMap, sync::RwLock};

/// An interned name. Equal names of one [`Symbols`] table have equal numbers; numbers do not sort like names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct Symbol(pub u32);

#[derive(Default)]
struct Table {
    numbers: HashMap<&'static [u8], u32>,
    names: Vec<&'static [u8]>,
}

/// All names of an engine.
#[derive(Default)]
pub struct Symbols {
    table: RwLock<Table>,
}

impl Symbols {
    /// The symbol of a name.
    pub fn intern(&self, name: &[u8]) -> Symbol {
        if let Some(&n) = self.table.read().unwrap_or_else(|e| e.into_inner()).numbers.get(name) {
            return Symbol(n);
        }
        let mut table = self.table.write().unwrap_or_else(|e| e.into_inner());
        if let Some(&n) = table.numbers.get(name) {
            return Symbol(n);
        }
        let n = table.names.len() as u32;
        let owned: &'static [u8] = Box::leak(name.into());
        table.names.push(owned);
        table.numbers.insert(owned, n);
        Symbol(n)
    }

    /// The name of a symbol of this table.
    pub fn name(&self, symbol: Symbol) -> &[u8] {
        self.table.read().unwrap_or_else(|e| e.into_inner()).names[symbol.0 as usize]
    }
}
