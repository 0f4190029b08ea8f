//! Lists and sets whose elements are calls of one function: `map`, `genList`, `mapAttrs`.
//!
//! The elements' thunks lie side by side behind the function and what it is mapped over, so that each takes
//! one word; its number, which its word holds, leads to the others:
//!
//! | words | |
//! |---|---|
//! | 0 | the function |
//! | 1 | a list: it is called with the element; a flat set: with name and value; null: with the number |
//! | 2 … | one thunk for each element |

use super::Machine;
use crate::{
    error::Error,
    heap::Cells,
    value::{Attrs, List, Thunk, Value, View},
};

const HEADER: usize = 2;

impl Machine {
    /// `map f list`. Polls once an element.
    ///
    /// # Errors
    /// When there is no room for the list, or a limit or the token says so.
    pub(crate) fn map_list(&mut self, f: Value, list: List) -> Result<Value, Error> {
        if list.is_empty() {
            return Ok(Value::EMPTY_LIST);
        }
        self.mapped_list(f, list.value(), list.len())
    }

    /// `genList f n`. Polls once an element.
    ///
    /// # Errors
    /// When the list would pass the limit, or a limit or the token says so.
    pub(crate) fn generate_list(&mut self, f: Value, n: u64) -> Result<Value, Error> {
        self.check_list_len(n)?;
        if n == 0 {
            return Ok(Value::EMPTY_LIST);
        }
        self.mapped_list(f, Value::NULL, n as usize)
    }

    fn mapped_list(&mut self, f: Value, source: Value, n: usize) -> Result<Value, Error> {
        let block = self.block(f, source, n)?;
        let cells = self.new_list_cells(n);
        for i in 0..n {
            cells.put(1 + i, Thunk(block.skip(i)).value().0);
        }
        Ok(List(cells).value())
    }

    /// `mapAttrs f attrs`. Polls once an attribute. Where the names were written is not kept.
    ///
    /// # Errors
    /// When there is no room for the set, or a limit or the token says so.
    pub(crate) fn map_attrs(&mut self, f: Value, attrs: Attrs) -> Result<Value, Error> {
        if attrs.is_empty() {
            return Ok(self.empty_attrs());
        }
        let shared = &*self.shared;
        let flat = attrs.flatten(&shared.shapes, &mut self.bump, &shared.heap);
        let shape = flat.top_shape().without_positions(&mut self.bump, &shared.heap);
        let block = self.block(f, flat.value(), shape.len())?;
        let mapped = Attrs::alloc(&mut self.bump, &self.shared.heap, shape);
        for i in 0..shape.len() {
            mapped.members().put(i, Thunk(block.skip(i)).value().0);
        }
        Ok(mapped.value())
    }

    /// The thunks of a new block. There has to be room for the collection, too.
    fn block(&mut self, f: Value, source: Value, n: usize) -> Result<Cells, Error> {
        self.check_room(16 * n as u64)?;
        let cells = self.any_words(HEADER + n);
        cells.put(0, f.0);
        cells.put(1, source.0);
        let thunks = cells.skip(HEADER);
        for i in 0..n {
            self.poll()?;
            thunks.put(i, Thunk::element_word(i));
        }
        self.stats.thunks_made += n as u64;
        Ok(thunks)
    }

    /// Makes the call that is element `index` of its collection.
    pub(super) fn run_element(&mut self, thunk: Thunk, index: usize) -> Result<Value, Error> {
        let block = Cells::at(thunk.address() - (HEADER + index) * 8);
        let (f, source) = (Value(block.word(0)), Value(block.word(1)));
        match source.view() {
            View::List(list) => self.call(f, &list.as_slice()[index..=index]),
            View::Attrs(attrs) => {
                let name = self.name_of(attrs.top_shape().names()[index]);
                self.call(f, &[name, attrs.slot(index)])
            }
            _ => {
                let number = self.new_int(index as i64);
                self.call(f, &[number])
            }
        }
    }
}
