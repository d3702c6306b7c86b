//! What an ELF file asks of its surroundings: its interpreter, where it looks for libraries, and which ones it needs or may load.
//!
//! Only executables and shared objects ask for anything. A file that begins like an ELF file and is damaged asks for
//! nothing, because no loader would take it.
//!
//! Format: System V ABI, "Program Loading and Dynamic Linking".

use std::io::{Read, Seek};

use object::elf;
use object::read::elf::{Dyn, FileHeader, ProgramHeader, SectionHeader};
use object::{Endianness, ReadCache, ReadRef};
use serde::Deserialize;

/// The magic number, by which everything else is passed over quickly.
pub const MAGIC: [u8; 4] = *b"\x7fELF";

/// What the loader is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// The processor that the file is for, `e_machine`.
    pub machine: u16,
    /// The loader, `PT_INTERP`; a library and a static program have none.
    pub interpreter: Option<Vec<u8>>,
    /// The directories of `DT_RUNPATH`, or of `DT_RPATH` where there is none.
    pub search_path: Vec<Vec<u8>>,
    /// Whether these directories also serve the libraries that this file's libraries need: they are `DT_RPATH`.
    pub search_path_is_inherited: bool,
    /// The libraries, `DT_NEEDED`.
    pub needed: Vec<Vec<u8>>,
    /// The libraries that it says to load on demand, its notes of the type `FDO_DLOPEN`: of each the names under which it is looked for, in this order.
    pub loaded: Vec<Vec<String>>,
}

/// One entry of a note that says what is loaded on demand; its other fields are for people.
///
/// Format: UAPI group, "`dlopen()` Metadata for ELF Files".
#[derive(Deserialize)]
struct OnDemand {
    soname: Vec<String>,
}

/// Whose notes those are, and their type.
const FDO: &[u8] = b"FDO";
const FDO_DLOPEN: u32 = 0x407c_0c0a;

/// Reads what an open file asks for; `None` when it is not for a loader, or cannot be read. Only headers and tables are read.
pub fn read_file(file: impl Read + Seek) -> Option<Requests> {
    read_requests(&ReadCache::new(file))
}

/// Reads what the file asks for; `None` when it is not for a loader.
fn read_requests<'data, R: ReadRef<'data>>(data: R) -> Option<Requests> {
    match object::FileKind::parse(data).ok()? {
        object::FileKind::Elf32 => read::<elf::FileHeader32<Endianness>, R>(data),
        object::FileKind::Elf64 => read::<elf::FileHeader64<Endianness>, R>(data),
        _ => None,
    }
}

fn read<'data, E, R>(data: R) -> Option<Requests>
where
    E: FileHeader<Endian = Endianness>,
    R: ReadRef<'data>,
{
    let header = E::parse(data).ok()?;
    let endian = header.endian().ok()?;
    if !matches!(header.e_type(endian), elf::ET_EXEC | elf::ET_DYN) {
        return None;
    }
    let segments = header.program_headers(endian, data).ok()?;
    let mut requests = Requests {
        machine: header.e_machine(endian),
        ..Requests::default()
    };
    let mut entries: &[E::Dyn] = &[];
    for segment in segments {
        if let Ok(Some(interpreter)) = segment.interpreter(endian, data) {
            requests.interpreter = Some(interpreter.to_vec());
        }
        if let Ok(Some(found)) = segment.dynamic(endian, data) {
            entries = found;
        }
        let notes = segment.notes(endian, data).ok().flatten();
        for note in notes.into_iter().flatten().map_while(Result::ok) {
            if note.name() == FDO && note.n_type(endian) == FDO_DLOPEN {
                requests.loaded.extend(read_note(note.desc()));
            }
        }
    }
    let value = |tag: i64| {
        entries
            .iter()
            .find(|entry| entry.tag(endian) == tag)
            .map(|entry| entry.val(endian))
    };
    // The table is given by its address in memory; the segment that is loaded there says where it is in the file.
    let table: Option<(u64, u64)> = value(elf::DT_STRTAB).and_then(|address: u64| {
        segments.iter().find_map(|segment| {
            let start: u64 = segment.p_vaddr(endian).into();
            let size: u64 = segment.p_filesz(endian).into();
            let offset: u64 = segment.p_offset(endian).into();
            let inside = segment.p_type(endian) == elf::PT_LOAD
                && address >= start
                && address - start < size;
            inside.then(|| (offset + (address - start), size - (address - start)))
        })
    });
    let Some((offset, size)) = table else {
        return Some(requests);
    };
    let string = |at: u64| -> Option<Vec<u8>> {
        let start = offset.checked_add(at).filter(|_| at < size)?;
        data.read_bytes_at_until(start..offset.checked_add(size)?, 0)
            .ok()
            .map(<[u8]>::to_vec)
    };
    for entry in entries {
        if entry.tag(endian) == elf::DT_NEEDED
            && let Some(name) = string(entry.val(endian))
        {
            requests.needed.push(name);
        }
    }
    let own = value(elf::DT_RUNPATH);
    requests.search_path_is_inherited = own.is_none();
    let search_path = own.or_else(|| value(elf::DT_RPATH)).and_then(string);
    if let Some(search_path) = search_path.filter(|path| !path.is_empty()) {
        requests.search_path = search_path
            .split(|byte| *byte == b':')
            .map(<[u8]>::to_vec)
            .collect();
    }
    Some(requests)
}

/// Reads what a note says of libraries that are loaded on demand; nothing from one of another shape.
fn read_note(text: &[u8]) -> Vec<Vec<String>> {
    let end = text.iter().position(|byte| *byte == 0);
    let text = &text[..end.unwrap_or(text.len())];
    let entries = serde_json::from_slice::<Vec<OnDemand>>(text);
    let entries = entries.unwrap_or_default().into_iter();
    let names = entries.map(|entry| entry.soname);
    names.filter(|names| !names.is_empty()).collect()
}

/// Returns the BLAKE3 digest of the machine code of a program or library, its section `.text`; `None` for what has none, such as an object file.
///
/// Neither stripping symbols nor changing the run path touches it, so it tells which link a file comes from.
pub fn code_digest(file: impl Read + Seek) -> Option<[u8; 32]> {
    let data = ReadCache::new(file);
    match object::FileKind::parse(&data).ok()? {
        object::FileKind::Elf32 => code::<elf::FileHeader32<Endianness>, _>(&data),
        object::FileKind::Elf64 => code::<elf::FileHeader64<Endianness>, _>(&data),
        _ => None,
    }
}

fn code<'data, E, R>(data: R) -> Option<[u8; 32]>
where
    E: FileHeader<Endian = Endianness>,
    R: ReadRef<'data>,
{
    let header = E::parse(data).ok()?;
    let endian = header.endian().ok()?;
    if !matches!(header.e_type(endian), elf::ET_EXEC | elf::ET_DYN) {
        return None;
    }
    let sections = header.sections(endian, data).ok()?;
    let (_, text) = sections.section_by_name(endian, b".text")?;
    let code = text.data(endian, data).ok()?;
    (!code.is_empty()).then(|| blake3::hash(code).into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_program_of_this_machine_names_its_loader_and_libraries() {
        let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let requests = read_requests(program.as_slice()).unwrap();
        assert!(requests.interpreter.unwrap().starts_with(b"/lib"));
        assert!(
            requests
                .needed
                .iter()
                .any(|library| library.starts_with(b"libc.so"))
        );
        assert!(requests.search_path.is_empty());
    }

    #[test]
    fn a_note_names_each_library_by_all_its_names() {
        let note = br#"[{"feature":"x","soname":["libx.so.2","libx.so.1"]},{"soname":[]},{"soname":["liby.so"]}]"#;
        let expected = [vec!["libx.so.2", "libx.so.1"], vec!["liby.so"]];
        assert_eq!(read_note(note), expected);
        assert_eq!(read_note(&[note.as_slice(), b"\0\0\0"].concat()), expected);
        for other in [
            &b""[..],
            b"\0",
            b"[",
            br#"["libx.so"]"#,
            br#"{"soname":["libx.so"]}"#,
        ] {
            assert_eq!(read_note(other), Vec::<Vec<String>>::new());
        }
    }

    #[test]
    fn what_is_no_program_asks_for_nothing() {
        for bytes in [
            b"".as_slice(),
            b"\x7fELF",
            b"#!/bin/sh\n",
            b"\x7fELF\x02\x01\x01\0 garbage garbage garbage",
        ] {
            assert_eq!(read_requests(bytes), None);
        }
    }

    proptest! {
        /// A builder can write any bytes: whatever they are, reading them ends without a panic.
        #[test]
        fn a_damaged_program_is_survived(
            damage in prop::collection::vec((0usize..4096, any::<u8>()), 1..40), keep in 0usize..65_536,
        ) {
            static PROGRAM: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
            let program = PROGRAM.get_or_init(|| std::fs::read("/proc/self/exe").unwrap());
            let mut bytes = program[..keep.min(program.len())].to_vec();
            for (place, value) in damage {
                if let Some(byte) = bytes.get_mut(place) {
                    *byte = value;
                }
            }
            drop(read_requests(bytes.as_slice()));
        }
    }
}
