//! How answers are printed: a table, JSON, XML.

use nix_eval::{
    Error,
    builtins::json,
    machine::Machine,
    value::{ContextBuilder, Value},
};

/// Rows of equally many columns, aligned, two spaces between. Line breaks in a column become spaces.
pub(super) fn table(rows: &[Vec<Vec<u8>>], out: &mut Vec<u8>) {
    let n_columns = rows.first().map_or(0, Vec::len);
    let mut widths = vec![0; n_columns];
    for row in rows {
        for (width, column) in widths.iter_mut().zip(row) {
            *width = column.len().max(*width);
        }
    }
    for row in rows {
        for (i, column) in row.iter().enumerate() {
            out.extend(column.iter().map(|&b| if b == b'\n' { b' ' } else { b }));
            if i + 1 < n_columns {
                out.resize(out.len() + widths[i] - column.len() + 2, b' ');
            }
        }
        out.push(b'\n');
    }
}

/// A JSON object of objects, two spaces of indentation a level.
pub(super) struct Json {
    pub(super) out: Vec<u8>,
    /// For each open object, whether it has a member yet.
    open: Vec<bool>,
}

impl Json {
    /// With the outermost object open.
    pub(super) fn new() -> Json {
        Json { out: b"{".to_vec(), open: vec![false] }
    }

    /// How many objects are open.
    pub(super) fn depth(&self) -> usize {
        self.open.len()
    }

    /// Begins a member.
    pub(super) fn key(&mut self, name: &[u8]) -> Result<(), Error> {
        if let Some(has_members) = self.open.last_mut() {
            if *has_members {
                self.out.push(b',');
            }
            *has_members = true;
        }
        self.line();
        json::write_string(name, &mut self.out)?;
        self.out.extend_from_slice(b": ");
        Ok(())
    }

    fn line(&mut self) {
        self.out.push(b'\n');
        self.out.resize(self.out.len() + 2 * self.open.len(), b' ');
    }

    /// A member that is an object, which is open then.
    pub(super) fn object(&mut self, name: &[u8]) -> Result<(), Error> {
        self.key(name)?;
        self.out.push(b'{');
        self.open.push(false);
        Ok(())
    }

    /// A member that is a string, or `null`.
    pub(super) fn text(&mut self, name: &[u8], text: Option<&[u8]>) -> Result<(), Error> {
        self.key(name)?;
        match text {
            Some(text) => json::write_string(text, &mut self.out)?,
            None => self.out.extend_from_slice(b"null"),
        }
        Ok(())
    }

    /// A member that is any value, evaluated completely.
    pub(super) fn value(&mut self, m: &mut Machine, name: &[u8], v: Value) -> Result<(), Error> {
        let mut text = Vec::new();
        json::to_json(m, v, true, &mut ContextBuilder::new(), &mut text)?;
        self.key(name)?;
        spread(&text, self.open.len(), &mut self.out);
        Ok(())
    }

    /// Closes objects until `depth` are open.
    pub(super) fn close_to(&mut self, depth: usize) {
        while self.open.len() > depth {
            if self.open.pop() == Some(true) {
                self.line();
            }
            self.out.push(b'}');
        }
    }
}

/// JSON without spaces as JSON with a line for each member, `depth` levels deep.
fn spread(text: &[u8], mut depth: usize, out: &mut Vec<u8>) {
    let line = |depth: usize, out: &mut Vec<u8>| {
        out.push(b'\n');
        out.resize(out.len() + 2 * depth, b' ');
    };
    let (mut in_string, mut escaped) = (false, false);
    for (i, &byte) in text.iter().enumerate() {
        if in_string {
            out.push(byte);
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            continue;
        }
        let next = text.get(i + 1).copied();
        match byte {
            b'{' | b'[' => {
                out.push(byte);
                if next != Some(byte + 2) {
                    depth += 1;
                    line(depth, out);
                }
            }
            b'}' | b']' => {
                if i == 0 || text[i - 1] != byte - 2 {
                    depth -= 1;
                    line(depth, out);
                }
                out.push(byte);
            }
            b',' => {
                out.push(byte);
                line(depth, out);
            }
            b':' => out.extend_from_slice(b": "),
            byte => {
                in_string = byte == b'"';
                out.push(byte);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_the_last_is_not_padded() {
        let rows = [["a", "b\nc"], ["long", ""]];
        let rows: Vec<Vec<Vec<u8>>> =
            rows.iter().map(|r| r.iter().map(|c| c.as_bytes().to_vec()).collect()).collect();
        let mut out = Vec::new();
        table(&rows, &mut out);
        assert_eq!(String::from_utf8_lossy(&out), "a     b c\nlong  \n");
    }

    #[test]
    fn values_are_spread_over_lines() {
        let mut out = Vec::new();
        spread(br#"{"a":[1,{}],"b\"":"{[,:\\","c":[]}"#, 1, &mut out);
        let expected = r#"{
    "a": [
      1,
      {}
    ],
    "b\"": "{[,:\\",
    "c": []
  }"#;
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }
}
