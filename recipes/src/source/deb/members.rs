//! The members of a package's tar archive, as what they say and nothing they could trick with.
//!
//! Long names (GNU `L` and `K` records, PAX `path` and `linkpath`) are read here, with bounds, so that an archive cannot
//! make pith hold more than a few kilobytes for a name.

use std::borrow::Cow;
use std::io::{self, Read};

use tar::EntryType;

use super::DebError;

/// Records that only carry a name may not be larger.
const MAX_RECORD: u64 = 64 << 10;

/// What a member is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File { executable: bool },
    Directory,
    Symlink { target: Vec<u8> },
    HardLink { target: Vec<u8> },
    Special(&'static str),
}

/// One member, without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) name: Vec<u8>,
    pub(super) kind: Kind,
}

/// Reads a tar archive to its end and hands out every member with its bytes.
pub(super) fn read_members(
    deb: &str,
    reader: impl Read,
    visit: &mut dyn FnMut(Member, &mut dyn Read) -> Result<(), DebError>,
) -> Result<(), DebError> {
    let broken = |source: io::Error| match source.raw_os_error() {
        Some(_) => DebError::Read {
            deb: deb.to_owned(),
            source,
        },
        // What is wrong with an archive comes as an error without a system's number.
        None => DebError::Format {
            deb: deb.to_owned(),
            problem: format!("its archive is damaged: {source}"),
        },
    };
    let mut archive = tar::Archive::new(reader);
    let mut long = LongNames::default();
    for entry in archive.entries().map_err(broken)?.raw(true) {
        let mut entry = entry.map_err(broken)?;
        let header = entry.header().clone();
        let entry_type = header.entry_type();
        if LongNames::is_record(entry_type) {
            let mut record = Vec::new();
            entry
                .by_ref()
                .take(MAX_RECORD + 1)
                .read_to_end(&mut record)
                .map_err(broken)?;
            long.take(entry_type, record).map_err(broken)?;
            continue;
        }
        let LongNames { name, target } = std::mem::take(&mut long);
        let name = name.unwrap_or_else(|| header.path_bytes().into_owned());
        let target = target
            .or_else(|| header.link_name_bytes().map(Cow::into_owned))
            .unwrap_or_default();
        let kind = kind(&header, &name, target).map_err(broken)?;
        visit(Member { name, kind }, &mut entry)?;
    }
    Ok(())
}

fn kind(header: &tar::Header, name: &[u8], target: Vec<u8>) -> io::Result<Kind> {
    Ok(match header.entry_type() {
        // A file whose name ends in a slash is a directory of the oldest tars.
        EntryType::Regular | EntryType::Continuous if name.ends_with(b"/") => Kind::Directory,
        EntryType::Regular | EntryType::Continuous => Kind::File {
            executable: header.mode()? & 0o100 != 0,
        },
        EntryType::Directory => Kind::Directory,
        EntryType::Symlink => Kind::Symlink { target },
        EntryType::Link => Kind::HardLink { target },
        EntryType::Char => Kind::Special("character device"),
        EntryType::Block => Kind::Special("block device"),
        EntryType::Fifo => Kind::Special("fifo"),
        EntryType::GNUSparse => Kind::Special("sparse file"),
        _ => Kind::Special("member of unknown type"),
    })
}

/// What records before a member say about it.
#[derive(Default)]
struct LongNames {
    name: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
}

impl LongNames {
    fn is_record(entry_type: EntryType) -> bool {
        matches!(
            entry_type,
            EntryType::GNULongName
                | EntryType::GNULongLink
                | EntryType::XHeader
                | EntryType::XGlobalHeader
        )
    }

    fn take(&mut self, entry_type: EntryType, record: Vec<u8>) -> io::Result<()> {
        if record.len() as u64 > MAX_RECORD {
            return Err(io::Error::other("it has a name of more than 64 KiB"));
        }
        match entry_type {
            EntryType::GNULongName => self.name = Some(until_nul(record)),
            EntryType::GNULongLink => self.target = Some(until_nul(record)),
            EntryType::XHeader => {
                for field in tar::PaxExtensions::new(&record) {
                    let field = field?;
                    match field.key_bytes() {
                        b"path" => self.name = Some(field.value_bytes().to_vec()),
                        b"linkpath" => self.target = Some(field.value_bytes().to_vec()),
                        // The reader goes by the size of the header, so it would lose its place.
                        b"size" => {
                            return Err(io::Error::other("it has a member of extended size"));
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

fn until_nul(mut record: Vec<u8>) -> Vec<u8> {
    if let Some(end) = record.iter().position(|byte| *byte == 0) {
        record.truncate(end);
    }
    record
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(archive: &[u8]) -> Result<Vec<Member>, DebError> {
        let mut members = Vec::new();
        read_members("x.deb", archive, &mut |member, _| {
            members.push(member);
            Ok(())
        })?;
        Ok(members)
    }

    fn header(entry_type: EntryType, size: u64) -> tar::Header {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(entry_type);
        header.set_size(size);
        header.set_mode(0o4755);
        header
    }

    #[test]
    fn long_names_of_both_kinds_are_put_together() {
        let long = "d/".repeat(80) + "file";
        let mut builder = tar::Builder::new(Vec::new());
        builder
            .append_data(&mut header(EntryType::Regular, 1), &long, b"x".as_slice())
            .unwrap();
        builder
            .append_pax_extensions([("path", long.as_bytes())])
            .unwrap();
        let mut short = header(EntryType::Regular, 1);
        short.set_path("short").unwrap();
        short.set_cksum();
        builder.append(&short, b"y".as_slice()).unwrap();
        let names: Vec<_> = all(&builder.into_inner().unwrap())
            .unwrap()
            .into_iter()
            .map(|member| member.name)
            .collect();
        assert_eq!(names, [long.as_bytes(), long.as_bytes()]);
    }

    #[test]
    fn an_endless_name_is_refused_before_it_is_held() {
        let mut record = header(EntryType::GNULongName, 1 << 20);
        record.set_path("././@LongLink").unwrap();
        record.set_cksum();
        let mut archive = record.as_bytes().to_vec();
        archive.resize(archive.len() + (1 << 20), b'a');
        assert!(
            all(&archive)
                .unwrap_err()
                .to_string()
                .contains("a name of more than 64 KiB")
        );
    }

    #[test]
    fn a_truncated_archive_is_damaged() {
        let mut builder = tar::Builder::new(Vec::new());
        builder
            .append_data(
                &mut header(EntryType::Regular, 600),
                "x",
                [0; 600].as_slice(),
            )
            .unwrap();
        let archive = builder.into_inner().unwrap();
        assert!(
            all(&archive[..300])
                .unwrap_err()
                .to_string()
                .contains("damaged")
        );
    }
}
