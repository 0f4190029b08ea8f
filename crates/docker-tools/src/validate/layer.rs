//! The entries of a layer of ours.
//!
//! A header is parsed and written again; any difference is a fault. So nothing that the writer
//! cannot express, whatever a field holds, passes here.

use std::io::{self, Read};

use super::{Expected, Finding};
use crate::layer::tar::{BLOCK, Entry, Kind, header, padding};

/// Longest PAX header in bytes.
const MAX_PAX: u64 = 1 << 20;

/// Files that a runtime opens in the root before the program starts.
const IDENTITY_FILES: [&[u8]; 6] = [
    b"etc/group",
    b"etc/hosts",
    b"etc/nsswitch.conf",
    b"etc/passwd",
    b"etc/resolv.conf",
    b"etc/shadow",
];

/// What a header says, with the PAX records before it.
struct Header {
    path: Vec<u8>,
    target: Vec<u8>,
    size: u64,
    uid: u64,
    gid: u64,
    /// The blocks as they were read.
    blocks: Vec<u8>,
    main: [u8; BLOCK],
}

/// Checks all entries up to the end of the archive; the first fault ends the reading.
pub(super) fn check(reader: &mut impl Read, expected: &Expected<'_>) -> Result<(), Finding> {
    let mut previous: Option<Vec<Vec<u8>>> = None;
    // The directories that contain the current entry.
    let mut open: Vec<Vec<u8>> = Vec::new();
    while let Some(found) = read_header(reader)? {
        let shown = String::from_utf8_lossy(&found.path).into_owned();
        let wrong = |rule, text: &str| Finding { rule, text: format!("entry {shown:?} {text}") };
        let kind = match found.main[156] {
            b'0' => Kind::File(found.size),
            b'2' => Kind::Symlink(&found.target),
            b'5' => Kind::Directory,
            b'1' => return Err(wrong("V18", "is a hard link")),
            _ => return Err(wrong("V19", "is no file, directory or symbolic link")),
        };
        let path = match kind {
            Kind::Directory => found.path.strip_suffix(b"/").unwrap_or(&found.path),
            _ => &found.path,
        };
        let components: Vec<Vec<u8>> =
            path.split(|&byte| byte == b'/').map(<[u8]>::to_vec).collect();
        if components.iter().any(|name| matches!(&name[..], b"" | b"." | b"..")) {
            return Err(wrong("V17", "has an empty, '.' or '..' component"));
        }
        let (name, parents) = components.split_last().expect("split gives at least one part");
        if name.starts_with(b".wh.") {
            return Err(wrong("V15", "would hide a file of a lower layer"));
        }
        match &previous {
            Some(before) if *before == components => return Err(wrong("V12", "is there twice")),
            Some(before) if *before > components => return Err(wrong("V14", "is out of order")),
            _ => {}
        }
        open.truncate(parents.len());
        if open != parents {
            return Err(wrong("V13", "comes before its directory"));
        }
        if kind == Kind::Directory {
            open.push(name.clone());
        }
        if let Kind::Symlink(target) = kind
            && target.starts_with(b"/")
            && IDENTITY_FILES.contains(&path)
        {
            return Err(wrong("V22", "is a link out of the root; runtimes refuse it"));
        }
        check_metadata(&found, path, kind, expected)?;
        if let Kind::File(size) = kind {
            skip(reader, size).map_err(|_| wrong("V20", "ends early"))?;
        }
        previous = Some(components);
    }
    Ok(())
}

/// Writes the header again with an owner and time that are allowed.
fn check_metadata(
    found: &Header,
    path: &[u8],
    kind: Kind<'_>,
    expected: &Expected<'_>,
) -> Result<(), Finding> {
    let shown = String::from_utf8_lossy(path);
    let wrong = |text: &str| Finding { rule: "V16", text: format!("entry {shown:?} {text}") };
    let mode = u32::try_from(octal(&found.main[100..107])?)
        .map_err(|_| wrong("has a mode that is too large"))?;
    if octal(&found.main[136..147])? != expected.mtime {
        return Err(wrong("has another time than the layer"));
    }
    let owner =
        expected.owners.iter().find(|owner| (owner.uid, owner.gid) == (found.uid, found.gid));
    let owner = owner.ok_or_else(|| wrong("has another owner than was asked for"))?;
    let entry = Entry { path, kind, mode, owner, mtime: expected.mtime };
    if header(&entry) != found.blocks {
        return Err(wrong("has a header that we would not write"));
    }
    Ok(())
}

/// Reads a header; `None` after the two zero blocks and the end of the stream.
fn read_header(reader: &mut impl Read) -> Result<Option<Header>, Finding> {
    let early = |_| Finding { rule: "V20", text: "ends without two zero blocks".to_owned() };
    let mut main = [0; BLOCK];
    reader.read_exact(&mut main).map_err(early)?;
    if main == [0; BLOCK] {
        let mut rest = Vec::new();
        let limit = 2 * BLOCK as u64;
        reader.take(limit).read_to_end(&mut rest).map_err(early)?;
        if rest != [0; BLOCK] {
            let text = "does not end with exactly two zero blocks".to_owned();
            return Err(Finding { rule: "V20", text });
        }
        return Ok(None);
    }
    let mut blocks = main.to_vec();
    let mut records = Vec::new();
    if main[156] == b'x' {
        let size = octal(&main[124..135])?;
        if size > MAX_PAX {
            let text = format!("has a PAX header of {size} bytes");
            return Err(Finding { rule: "V16", text });
        }
        let mut pax = vec![0; size as usize + padding(size)];
        reader.read_exact(&mut pax).map_err(early)?;
        blocks.extend_from_slice(&pax);
        records = pax_records(&pax[..size as usize])?;
        reader.read_exact(&mut main).map_err(early)?;
        blocks.extend_from_slice(&main);
    }
    let record =
        |key: &[u8]| records.iter().find(|(other, _)| other == key).map(|(_, value)| value.clone());
    let number = |key: &[u8], field: &[u8]| match record(key) {
        Some(value) => std::str::from_utf8(&value)
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| Finding { rule: "V16", text: "has a damaged PAX number".to_owned() }),
        None => octal(field),
    };
    let text = |field: &[u8]| {
        let end = field.iter().position(|&byte| byte == 0).unwrap_or(field.len());
        field[..end].to_vec()
    };
    Ok(Some(Header {
        path: record(b"path").unwrap_or_else(|| text(&main[..100])),
        target: record(b"linkpath").unwrap_or_else(|| text(&main[157..257])),
        size: number(b"size", &main[124..135])?,
        uid: number(b"uid", &main[108..115])?,
        gid: number(b"gid", &main[116..123])?,
        blocks,
        main,
    }))
}

type Record = (Vec<u8>, Vec<u8>);

fn pax_records(mut bytes: &[u8]) -> Result<Vec<Record>, Finding> {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let record = split_record(bytes)
            .ok_or_else(|| Finding { rule: "V16", text: "has a damaged PAX header".to_owned() })?;
        records.push((record.0.to_vec(), record.1.to_vec()));
        bytes = record.2;
    }
    Ok(records)
}

/// Splits `LENGTH KEY=VALUE\n` and what follows it.
fn split_record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let blank = bytes.iter().position(|&byte| byte == b' ')?;
    let length: usize = std::str::from_utf8(&bytes[..blank]).ok()?.parse().ok()?;
    let (record, rest) = bytes.split_at_checked(length)?;
    let body = record.get(blank + 1..)?.strip_suffix(b"\n")?;
    let equals = body.iter().position(|&byte| byte == b'=')?;
    Some((&body[..equals], &body[equals + 1..], rest))
}

fn octal(field: &[u8]) -> Result<u64, Finding> {
    std::str::from_utf8(field)
        .ok()
        .and_then(|digits| u64::from_str_radix(digits, 8).ok())
        .ok_or_else(|| Finding {
            rule: "V16",
            text: "has a header with a damaged number".to_owned(),
        })
}

fn skip(reader: &mut impl Read, size: u64) -> io::Result<()> {
    let whole = size + padding(size) as u64;
    let n = io::copy(&mut reader.take(whole), &mut io::sink())?;
    if n == whole { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}
