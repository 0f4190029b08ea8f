//! ELF files: what they need, and how to point them at the store.
//!
//! Only 64-bit little-endian files (x86-64, aarch64, riscv64) are understood; others are
//! [`ElfError::Unsupported`]. Rewriting moves nothing: every byte that a relocation, a symbol or a
//! debugger may point to stays where it is. New strings go into one segment appended at the end of
//! the file; its program header replaces one that only describes a note, because the table of
//! program headers cannot grow without moving what follows it.
//!
//! Trap: the loader maps segments in the order of the table and wants ascending addresses, so the
//! new header stands directly after the last `PT_LOAD`, not where the note was.

use std::io;

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
const PT_NOTE: u32 = 4;
const PT_GNU_PROPERTY: u32 = 0x6474_e553;
const DT_NULL: u64 = 0;
const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;
const DT_STRSZ: u64 = 10;
const DT_SONAME: u64 = 14;
const DT_RPATH: u64 = 15;
const DT_RUNPATH: u64 = 29;
const SHT_STRTAB: u32 = 3;
const SHT_DYNAMIC: u32 = 6;

const HEADER_SIZE: usize = 64;
const PHDR_SIZE: usize = 56;
const SHDR_SIZE: usize = 64;
/// Upper bound for string tables, dynamic sections and names read from a file, in bytes.
const MAX_TABLE: u64 = 64 << 20;

/// Why a file that begins like ELF cannot be read or rewritten.
#[derive(Debug, thiserror::Error)]
pub enum ElfError {
    /// A class, byte order or entry size that this reader does not know.
    #[error("{0} is not supported (only 64-bit little-endian ELF is)")]
    Unsupported(&'static str),
    /// A table lies outside of the file.
    #[error("the {0} lies outside of the file")]
    Outside(&'static str),
    /// The file has no program header that may be replaced.
    #[error("no program header can be given up for the new segment")]
    NoSpareHeader,
    /// An interpreter is to be set in a file that has none.
    #[error("the file has no interpreter to replace")]
    NoInterpreter,
    /// A run path is to be set in a file without dynamic section.
    #[error("the file has no dynamic section")]
    NotDynamic,
    /// Reading failed.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
}

/// Random access to the bytes of a file; lets discovery read headers of large files only.
pub trait ReadAt {
    /// Exactly `len` bytes from `offset`; shorter files are an error.
    ///
    /// # Errors
    /// What the file system says; `UnexpectedEof` beyond the end.
    fn read_at(&self, offset: u64, len: usize) -> io::Result<Vec<u8>>;
}

impl ReadAt for [u8] {
    fn read_at(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let start = usize::try_from(offset).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        let end = start.checked_add(len).ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(self.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?.to_vec())
    }
}

impl ReadAt for std::fs::File {
    fn read_at(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        std::os::unix::fs::FileExt::read_exact_at(self, &mut bytes, offset)?;
        Ok(bytes)
    }
}

/// What an ELF file says about the files that it needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ElfInfo {
    /// The machine number of the header (62 is x86-64, 183 is aarch64).
    pub machine: u16,
    /// The program interpreter (loader); none for libraries and static programs.
    pub interpreter: Option<Vec<u8>>,
    /// `DT_NEEDED` in file order.
    pub needed: Vec<Vec<u8>>,
    /// `DT_SONAME`.
    pub soname: Option<Vec<u8>>,
    /// `DT_RUNPATH`, else `DT_RPATH`: directories joined by `:`, unexpanded.
    pub run_path: Option<Vec<u8>>,
    /// Whether there is a dynamic section at all.
    pub is_dynamic: bool,
}

impl ElfInfo {
    /// Reads the facts of an ELF file; `None` if it does not begin with the ELF magic.
    ///
    /// # Errors
    /// [`ElfError`] for a file that begins like ELF and then is not readable as such.
    pub fn read(file: &(impl ReadAt + ?Sized)) -> Result<Option<ElfInfo>, ElfError> {
        match Layout::read(file)? {
            Some(layout) => layout.info(file).map(Some),
            None => Ok(None),
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Phdr {
    kind: u32,
    flags: u32,
    offset: u64,
    vaddr: u64,
    paddr: u64,
    file_size: u64,
    mem_size: u64,
    align: u64,
}

impl Phdr {
    fn parse(bytes: &[u8]) -> Phdr {
        Phdr {
            kind: u32_at(bytes, 0),
            flags: u32_at(bytes, 4),
            offset: u64_at(bytes, 8),
            vaddr: u64_at(bytes, 16),
            paddr: u64_at(bytes, 24),
            file_size: u64_at(bytes, 32),
            mem_size: u64_at(bytes, 40),
            align: u64_at(bytes, 48),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.kind.to_le_bytes());
        out.extend(self.flags.to_le_bytes());
        for word in [self.offset, self.vaddr, self.paddr, self.file_size, self.mem_size, self.align]
        {
            out.extend(word.to_le_bytes());
        }
    }
}

/// The tables of a file, before any string is looked at.
struct Layout {
    machine: u16,
    ph_offset: u64,
    sh_offset: u64,
    n_sections: u16,
    phdrs: Vec<Phdr>,
    /// (tag, value) with everything after the first `DT_NULL` kept: spare entries.
    dynamic: Vec<(u64, u64)>,
}

impl Layout {
    fn read(file: &(impl ReadAt + ?Sized)) -> Result<Option<Layout>, ElfError> {
        let header = match file.read_at(0, HEADER_SIZE) {
            Ok(header) => header,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if !header.starts_with(b"\x7fELF") {
            return Ok(None);
        }
        if header[4] != 2 {
            return Err(ElfError::Unsupported("this ELF class"));
        }
        if header[5] != 1 {
            return Err(ElfError::Unsupported("this byte order"));
        }
        let (n_headers, entry_size) = (u16_at(&header, 56), u16_at(&header, 54));
        if n_headers > 0 && usize::from(entry_size) != PHDR_SIZE {
            return Err(ElfError::Unsupported("this program header size"));
        }
        let ph_offset = u64_at(&header, 32);
        let table = file
            .read_at(ph_offset, usize::from(n_headers) * PHDR_SIZE)
            .map_err(|_| ElfError::Outside("table of program headers"))?;
        let phdrs: Vec<Phdr> = table.chunks_exact(PHDR_SIZE).map(Phdr::parse).collect();
        let mut dynamic = Vec::new();
        if let Some(segment) = phdrs.iter().find(|p| p.kind == PT_DYNAMIC) {
            let bytes = read_table(file, segment.offset, segment.file_size, "dynamic section")?;
            dynamic = bytes.chunks_exact(16).map(|e| (u64_at(e, 0), u64_at(e, 8))).collect();
        }
        let n_sections =
            if usize::from(u16_at(&header, 58)) == SHDR_SIZE { u16_at(&header, 60) } else { 0 };
        Ok(Some(Layout {
            machine: u16_at(&header, 18),
            ph_offset,
            sh_offset: u64_at(&header, 40),
            n_sections,
            phdrs,
            dynamic,
        }))
    }

    fn dynamic_value(&self, tag: u64) -> Option<u64> {
        self.dynamic.iter().take_while(|e| e.0 != DT_NULL).find(|e| e.0 == tag).map(|e| e.1)
    }

    fn file_offset(&self, vaddr: u64) -> Option<u64> {
        let segment = self
            .phdrs
            .iter()
            .find(|p| p.kind == PT_LOAD && vaddr >= p.vaddr && vaddr - p.vaddr < p.file_size)?;
        segment.offset.checked_add(vaddr - segment.vaddr)
    }

    fn strings(&self, file: &(impl ReadAt + ?Sized)) -> Result<Vec<u8>, ElfError> {
        const WHAT: &str = "dynamic string table";
        let (Some(address), Some(size)) =
            (self.dynamic_value(DT_STRTAB), self.dynamic_value(DT_STRSZ))
        else {
            return Ok(Vec::new());
        };
        let offset = self.file_offset(address).ok_or(ElfError::Outside(WHAT))?;
        read_table(file, offset, size, WHAT)
    }

    fn interpreter(&self, file: &(impl ReadAt + ?Sized)) -> Result<Option<Vec<u8>>, ElfError> {
        let Some(segment) = self.phdrs.iter().find(|p| p.kind == PT_INTERP) else {
            return Ok(None);
        };
        let bytes = read_table(file, segment.offset, segment.file_size, "name of the interpreter")?;
        Ok(Some(until_nul(&bytes).to_vec()))
    }

    fn info(&self, file: &(impl ReadAt + ?Sized)) -> Result<ElfInfo, ElfError> {
        let strings = self.strings(file)?;
        let text = |offset: u64| -> Result<Vec<u8>, ElfError> {
            usize::try_from(offset)
                .ok()
                .and_then(|o| strings.get(o..))
                .map(|rest| until_nul(rest).to_vec())
                .ok_or(ElfError::Outside("name in the dynamic section"))
        };
        let mut info = ElfInfo {
            machine: self.machine,
            interpreter: self.interpreter(file)?,
            is_dynamic: self.phdrs.iter().any(|p| p.kind == PT_DYNAMIC),
            ..ElfInfo::default()
        };
        for (tag, value) in self.dynamic.iter().take_while(|e| e.0 != DT_NULL) {
            match *tag {
                DT_NEEDED => info.needed.push(text(*value)?),
                DT_SONAME => info.soname = Some(text(*value)?),
                DT_RUNPATH => info.run_path = Some(text(*value)?),
                DT_RPATH if info.run_path.is_none() => info.run_path = Some(text(*value)?),
                _ => {}
            }
        }
        Ok(info)
    }
}

/// What [`rewrite`] changes; `None` leaves a part as it is.
#[derive(Debug, Clone, Default)]
pub struct Rewrite {
    /// The new program interpreter, an absolute path.
    pub interpreter: Option<Vec<u8>>,
    /// The new run path (`DT_RUNPATH`; an old `DT_RPATH` becomes one), directories joined by `:`.
    pub run_path: Option<Vec<u8>>,
}

/// Sets interpreter and run path of a file. Returns `None` when the file already has both.
///
/// # Errors
/// [`ElfError`] when the file is not understood or offers no program header to give up.
pub fn rewrite(bytes: &[u8], wanted: &Rewrite) -> Result<Option<Vec<u8>>, ElfError> {
    let layout = Layout::read(bytes)?.ok_or(ElfError::Unsupported("a file without ELF magic"))?;
    let old = layout.info(bytes)?;
    let interpreter = wanted.interpreter.as_ref().filter(|i| old.interpreter.as_ref() != Some(*i));
    let run_path = wanted.run_path.as_ref().filter(|r| old.run_path.as_ref() != Some(*r));
    if interpreter.is_none() && run_path.is_none() {
        return Ok(None);
    }
    if interpreter.is_some() && old.interpreter.is_none() {
        return Err(ElfError::NoInterpreter);
    }
    if run_path.is_some() && !old.is_dynamic {
        return Err(ElfError::NotDynamic);
    }
    let mut edit = Edit::new(bytes, layout)?;
    if let Some(interpreter) = interpreter {
        edit.set_interpreter(interpreter);
    }
    if let Some(run_path) = run_path {
        edit.set_run_path(run_path)?;
    }
    edit.finish().map(Some)
}

/// A file being rewritten: its bytes, changed in place, and the segment that is to be appended.
struct Edit {
    bytes: Vec<u8>,
    layout: Layout,
    /// Contents of the new segment.
    added: Vec<u8>,
    /// Where it begins in the file and in memory.
    offset: u64,
    vaddr: u64,
    page: u64,
    writable: bool,
}

impl Edit {
    fn new(bytes: &[u8], layout: Layout) -> Result<Edit, ElfError> {
        let loads = || layout.phdrs.iter().filter(|p| p.kind == PT_LOAD);
        let page = loads().map(|p| p.align).max().unwrap_or(0).max(0x1000);
        let end = loads()
            .map(|p| p.vaddr.checked_add(p.mem_size))
            .try_fold(0, |end, e| e.map(|e| e.max(end)))
            .filter(|end| *end < 1 << 62)
            .ok_or(ElfError::Outside("loaded segment"))?;
        if !page.is_power_of_two() || page > 1 << 30 {
            return Err(ElfError::Unsupported("this segment alignment"));
        }
        let mut bytes = bytes.to_vec();
        bytes.resize(bytes.len().next_multiple_of(16), 0);
        let offset = bytes.len() as u64;
        // File offset and address must be equal modulo the page size.
        let vaddr = end.next_multiple_of(page) + offset % page;
        Ok(Edit { bytes, layout, added: Vec::new(), offset, vaddr, page, writable: false })
    }

    /// Appends to the new segment; returns file offset and address of what was appended.
    fn append(&mut self, data: &[u8]) -> (u64, u64) {
        self.added.resize(self.added.len().next_multiple_of(16), 0);
        let at = self.added.len() as u64;
        self.added.extend_from_slice(data);
        (self.offset + at, self.vaddr + at)
    }

    fn set_interpreter(&mut self, interpreter: &[u8]) {
        let text = [interpreter, b"\0"].concat();
        let (offset, vaddr) = self.append(&text);
        let size = text.len() as u64;
        let mut old_offset = 0;
        for phdr in self.layout.phdrs.iter_mut().filter(|p| p.kind == PT_INTERP) {
            old_offset = phdr.offset;
            (phdr.offset, phdr.vaddr, phdr.paddr) = (offset, vaddr, vaddr);
            (phdr.file_size, phdr.mem_size) = (size, size);
        }
        self.move_section(|kind, _, old| kind == 1 && old == old_offset, offset, vaddr, size);
    }

    fn set_run_path(&mut self, run_path: &[u8]) -> Result<(), ElfError> {
        let mut strings = self.layout.strings(&self.bytes[..])?;
        let old_strings = self.layout.dynamic_value(DT_STRTAB).unwrap_or(0);
        let at = strings.len() as u64;
        strings.extend_from_slice(run_path);
        strings.push(0);
        let (offset, vaddr) = self.append(&strings);
        let size = strings.len() as u64;
        self.move_section(
            |kind, address, _| kind == SHT_STRTAB && address == old_strings,
            offset,
            vaddr,
            size,
        );

        let mut entries = std::mem::take(&mut self.layout.dynamic);
        let n_used = entries.iter().position(|e| e.0 == DT_NULL).unwrap_or(entries.len());
        let n_room = entries.len();
        entries.truncate(n_used);
        let has_run_path = entries.iter().any(|e| e.0 == DT_RUNPATH);
        entries.retain(|e| !(has_run_path && e.0 == DT_RPATH));
        let mut is_set = false;
        for entry in &mut entries {
            match entry.0 {
                DT_RUNPATH | DT_RPATH => {
                    *entry = (DT_RUNPATH, at);
                    is_set = true;
                }
                DT_STRTAB => entry.1 = vaddr,
                DT_STRSZ => entry.1 = size,
                _ => {}
            }
        }
        if !is_set {
            entries.push((DT_RUNPATH, at));
        }
        let fits = entries.len() < n_room;
        entries.resize(n_room.max(entries.len() + 1), (DT_NULL, 0));
        let table: Vec<u8> =
            entries.iter().flat_map(|e| [e.0.to_le_bytes(), e.1.to_le_bytes()].concat()).collect();
        self.layout.dynamic = entries;
        let position = self.layout.phdrs.iter().position(|p| p.kind == PT_DYNAMIC);
        let position = position.ok_or(ElfError::NotDynamic)?;
        if fits {
            let start = self.layout.phdrs[position].offset;
            return put(&mut self.bytes, start, &table, "dynamic section");
        }
        // No spare entry (lld leaves none): the table moves, and the loader writes into it.
        self.writable = true;
        let (offset, vaddr) = self.append(&table);
        let size = table.len() as u64;
        let phdr = &mut self.layout.phdrs[position];
        (phdr.offset, phdr.vaddr, phdr.paddr) = (offset, vaddr, vaddr);
        (phdr.file_size, phdr.mem_size) = (size, size);
        self.move_section(|kind, _, _| kind == SHT_DYNAMIC, offset, vaddr, size);
        Ok(())
    }

    /// Keeps section headers true where `is_it(kind, address, offset)`; the loader ignores them.
    fn move_section(
        &mut self,
        is_it: impl Fn(u32, u64, u64) -> bool,
        offset: u64,
        vaddr: u64,
        size: u64,
    ) {
        let Ok(start) = usize::try_from(self.layout.sh_offset) else { return };
        let n_bytes = usize::from(self.layout.n_sections) * SHDR_SIZE;
        let Some(table) = start.checked_add(n_bytes).and_then(|end| self.bytes.get_mut(start..end))
        else {
            return;
        };
        for header in table.chunks_exact_mut(SHDR_SIZE) {
            if is_it(u32_at(header, 4), u64_at(header, 16), u64_at(header, 24)) {
                header[16..24].copy_from_slice(&vaddr.to_le_bytes());
                header[24..32].copy_from_slice(&offset.to_le_bytes());
                header[32..40].copy_from_slice(&size.to_le_bytes());
            }
        }
    }

    fn finish(mut self) -> Result<Vec<u8>, ElfError> {
        let phdrs = &mut self.layout.phdrs;
        let spare = phdrs
            .iter()
            .position(|p| p.kind == PT_GNU_PROPERTY)
            .or_else(|| phdrs.iter().rposition(|p| p.kind == PT_NOTE))
            .ok_or(ElfError::NoSpareHeader)?;
        phdrs.remove(spare);
        let after = phdrs.iter().rposition(|p| p.kind == PT_LOAD).map_or(0, |at| at + 1);
        let size = self.added.len() as u64;
        let segment = Phdr {
            kind: PT_LOAD,
            flags: if self.writable { 6 } else { 4 },
            offset: self.offset,
            vaddr: self.vaddr,
            paddr: self.vaddr,
            file_size: size,
            mem_size: size,
            align: self.page,
        };
        phdrs.insert(after, segment);
        let mut table = Vec::with_capacity(phdrs.len() * PHDR_SIZE);
        for phdr in phdrs.iter() {
            phdr.write(&mut table);
        }
        put(&mut self.bytes, self.layout.ph_offset, &table, "table of program headers")?;
        self.bytes.extend_from_slice(&self.added);
        Ok(self.bytes)
    }
}

fn put(bytes: &mut [u8], at: u64, data: &[u8], what: &'static str) -> Result<(), ElfError> {
    let start = usize::try_from(at).map_err(|_| ElfError::Outside(what))?;
    let end = start.checked_add(data.len()).ok_or(ElfError::Outside(what))?;
    bytes.get_mut(start..end).ok_or(ElfError::Outside(what))?.copy_from_slice(data);
    Ok(())
}

fn read_table(
    file: &(impl ReadAt + ?Sized),
    offset: u64,
    size: u64,
    what: &'static str,
) -> Result<Vec<u8>, ElfError> {
    if size > MAX_TABLE {
        return Err(ElfError::Outside(what));
    }
    let size = usize::try_from(size).map_err(|_| ElfError::Outside(what))?;
    file.read_at(offset, size).map_err(|_| ElfError::Outside(what))
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    &bytes[..end]
}

// The callers hand in slices of at least the entry's size.
fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A minimal shared library: one loaded segment, a note, a dynamic section with `n_spare`
    /// unused entries and the run path `old` if given.
    fn library(n_spare: usize, old: Option<&str>) -> Vec<u8> {
        let mut strings = b"\0libc.so.6\0libx.so.1\0".to_vec();
        let mut entries = vec![(DT_NEEDED, 1u64), (DT_SONAME, 11)];
        if let Some(old) = old {
            entries.push((DT_RPATH, strings.len() as u64));
            strings.extend(old.as_bytes());
            strings.push(0);
        }
        let dynamic_at = 64 + 3 * 56;
        let n_entries = entries.len() + 3 + n_spare;
        let strings_at = dynamic_at + n_entries * 16;
        entries.push((DT_STRTAB, strings_at as u64));
        entries.push((DT_STRSZ, strings.len() as u64));
        entries.resize(n_entries, (DT_NULL, 0));
        let total = (strings_at + strings.len()) as u64;
        let mut out = vec![0; 64];
        out[..6].copy_from_slice(b"\x7fELF\x02\x01");
        out[18..20].copy_from_slice(&62u16.to_le_bytes());
        out[32..40].copy_from_slice(&64u64.to_le_bytes());
        out[54..56].copy_from_slice(&56u16.to_le_bytes());
        out[56..58].copy_from_slice(&3u16.to_le_bytes());
        let mut phdr = |kind, offset, size| {
            let segment = Phdr {
                kind,
                flags: 4,
                offset,
                vaddr: offset,
                paddr: offset,
                file_size: size,
                mem_size: size,
                align: 0x1000,
            };
            segment.write(&mut out);
        };
        phdr(PT_NOTE, 0, 0);
        phdr(PT_LOAD, 0, total);
        phdr(PT_DYNAMIC, dynamic_at as u64, n_entries as u64 * 16);
        out.extend(entries.iter().flat_map(|e| [e.0.to_le_bytes(), e.1.to_le_bytes()].concat()));
        out.extend(strings);
        out
    }

    fn run_path(text: &str) -> Rewrite {
        Rewrite { interpreter: None, run_path: Some(text.into()) }
    }

    #[test]
    fn a_run_path_is_added_in_a_spare_entry() {
        let file = library(1, None);
        let new = rewrite(&file, &run_path("/nix/store/x/lib")).expect("works").expect("differs");
        let info = ElfInfo::read(&new[..]).expect("reads").expect("is ELF");
        assert_eq!(info.run_path.as_deref(), Some(&b"/nix/store/x/lib"[..]));
        assert_eq!(info.needed, [b"libc.so.6".to_vec()]);
        assert_eq!(info.soname.as_deref(), Some(&b"libx.so.1"[..]));
        let layout = Layout::read(&new[..]).expect("reads").expect("is ELF");
        let loads: Vec<_> = layout.phdrs.iter().filter(|p| p.kind == PT_LOAD).collect();
        assert_eq!(loads.len(), 2);
        assert_eq!(loads[1].offset % 0x1000, loads[1].vaddr % 0x1000);
        assert!(loads[1].vaddr >= loads[0].vaddr + loads[0].mem_size);
        assert_eq!(rewrite(&new, &run_path("/nix/store/x/lib")).expect("works"), None);
    }

    #[test]
    fn an_old_run_path_is_replaced_and_a_full_table_moves() {
        for file in [library(0, Some("/usr/lib/private")), library(0, None)] {
            let new = rewrite(&file, &run_path("$ORIGIN")).expect("works").expect("differs");
            let info = ElfInfo::read(&new[..]).expect("reads").expect("is ELF");
            assert_eq!(info.run_path.as_deref(), Some(&b"$ORIGIN"[..]));
            assert_eq!(info.needed, [b"libc.so.6".to_vec()]);
        }
    }

    #[test]
    fn damaged_files_are_errors_and_texts_are_not_elf() {
        assert_eq!(ElfInfo::read(&b"#!/bin/sh\n"[..]).expect("reads"), None);
        let file = library(1, None);
        for n in 0..file.len() {
            // Any answer will do; what matters is that there is one.
            let _ = rewrite(&file[..n], &run_path("/x"));
            let mut damaged = file.clone();
            damaged[n] ^= 0xff;
            let _ = rewrite(&damaged, &run_path("/x"));
        }
        assert!(matches!(
            rewrite(&file, &Rewrite { interpreter: Some(b"/x".to_vec()), run_path: None }),
            Err(ElfError::NoInterpreter)
        ));
    }
}
