//! Looks inside compressed files: gzip, xz, zstd, and the members of zip archives.
//!
//! Written for hostile input: a decompression bomb costs at most [`MEMBER_BYTES`] of decoding and a bounded window of memory, nesting is bounded
//! by [`MEMBER_DEPTH`], and what does not decode is data, not an error. Readers are pulled, so nothing is held but buffers.

use std::io::{self, BufRead, BufReader, Read};

use super::{Findings, Needles, Scanner};

/// Containers within one another that are looked into.
pub const MEMBER_DEPTH: usize = 4;
/// Uncompressed bytes of one file that are looked at, over all its members and depths.
pub const MEMBER_BYTES: u64 = 1 << 30;

/// Memory that an xz decoder may take: the largest preset needs 65 MiB.
const XZ_MEMORY: u64 = 128 << 20;
/// The largest zstd window that is accepted, as a power of two.
const ZSTD_WINDOW_LOG: u32 = 27;

/// A kind of compressed file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    /// RFC 1952, one or more members.
    Gzip,
    /// The .xz file format, one or more streams.
    Xz,
    /// RFC 8878, one or more frames.
    Zstd,
    /// PKWARE's APPNOTE, with or without something before the first member.
    Zip,
}

impl Container {
    /// Bytes at the front that tell the kind.
    pub const HEAD: usize = 6;
    /// Bytes at the end that tell a zip archive with a program before it.
    pub const TAIL: usize = 22;

    /// Tells the kind of a file by its first and last bytes.
    #[must_use]
    pub fn detect(head: &[u8], tail: &[u8]) -> Option<Self> {
        match head {
            [0x1f, 0x8b, 8, ..] => Some(Self::Gzip),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Self::Xz),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            [b'P', b'K', 3, 4, ..] => Some(Self::Zip),
            _ if tail.len() >= Self::TAIL
                && tail[tail.len() - Self::TAIL..].starts_with(b"PK\x05\x06") =>
            {
                Some(Self::Zip)
            }
            _ => None,
        }
    }
}

/// Looks into a compressed file, given from its start, and adds what is found to `findings`.
///
/// Never fails: what cannot be read or decoded ends the search where it stands.
pub fn scan_members(
    needles: &Needles,
    container: Container,
    file: &mut dyn Read,
    findings: &mut Findings,
) {
    if needles.is_empty() {
        return;
    }
    let mut search = Search {
        needles,
        findings,
        budget: MEMBER_BYTES,
    };
    search.open(container, &mut BufReader::with_capacity(64 << 10, file), 1);
}

struct Search<'a> {
    needles: &'a Needles,
    findings: &'a mut Findings,
    /// Uncompressed bytes that may still be looked at.
    budget: u64,
}

impl Search<'_> {
    fn open(&mut self, container: Container, file: &mut dyn BufRead, depth: usize) {
        match container {
            Container::Gzip => self.member(&mut flate2::bufread::MultiGzDecoder::new(file), depth),
            Container::Xz => {
                if let Ok(stream) = liblzma::stream::Stream::new_stream_decoder(
                    XZ_MEMORY,
                    liblzma::stream::CONCATENATED,
                ) {
                    self.member(
                        &mut liblzma::bufread::XzDecoder::new_stream(file, stream),
                        depth,
                    );
                }
            }
            Container::Zstd => {
                if let Ok(mut decoder) = zstd::stream::read::Decoder::with_buffer(file)
                    && decoder.window_log_max(ZSTD_WINDOW_LOG).is_ok()
                {
                    self.member(&mut decoder, depth);
                }
            }
            Container::Zip => {
                // An archive that ends early has been searched as far as it goes.
                let _ended: io::Result<()> = self.zip(file, depth);
            }
        }
    }

    /// Scans one uncompressed stream, and what is compressed in it.
    fn member(&mut self, stream: &mut dyn Read, depth: usize) {
        let mut tee = BufReader::with_capacity(
            64 << 10,
            Tee {
                stream,
                scanner: Scanner::new(self.needles),
                budget: self.budget,
            },
        );
        if depth < MEMBER_DEPTH
            && let Ok(head) = tee.fill_buf()
            && let Some(container) = Container::detect(head, &[])
        {
            let before = tee.get_ref().budget;
            // The inner search spends from what the outer has not read; both are bounded by the one sum.
            self.budget = before / 2;
            tee.get_mut().budget = before - before / 2;
            self.open(container, &mut tee, depth + 1);
        } else {
            self.budget = 0;
        }
        let _drained: io::Result<u64> = io::copy(&mut tee, &mut io::sink());
        let tee = tee.into_inner();
        self.budget += tee.budget;
        self.findings.absorb_member(&tee.scanner.finish());
    }

    fn zip(&mut self, file: &mut dyn BufRead, depth: usize) -> io::Result<()> {
        while let Some(header) = next_local_header(file)? {
            match (header.method, header.compressed) {
                (8, None) => {
                    self.member(&mut flate2::bufread::DeflateDecoder::new(&mut *file), depth);
                }
                (_, None) => {}
                (method, Some(size)) => {
                    let mut bytes = file.take(size);
                    match method {
                        0 => self.member(&mut bytes, depth),
                        8 => self
                            .member(&mut flate2::bufread::DeflateDecoder::new(&mut bytes), depth),
                        93 => self.open(Container::Zstd, &mut bytes, depth),
                        95 => self.open(Container::Xz, &mut bytes, depth),
                        _ => {}
                    }
                    io::copy(&mut bytes, &mut io::sink())?;
                }
            }
        }
        Ok(())
    }
}

/// What the search needs of a zip member's local header (APPNOTE 4.3.7).
struct LocalHeader {
    method: u16,
    /// `None` where the size follows the bytes or needs the 64-bit extension.
    compressed: Option<u64>,
}

/// Skips to the next local header and past it; `None` at the central directory or the end.
fn next_local_header(file: &mut dyn BufRead) -> io::Result<Option<LocalHeader>> {
    let mut last = [0u8; 4];
    loop {
        let mut byte = [0];
        if file.read(&mut byte)? == 0 {
            return Ok(None);
        }
        last = [last[1], last[2], last[3], byte[0]];
        match &last {
            b"PK\x03\x04" => break,
            b"PK\x01\x02" | b"PK\x05\x06" => return Ok(None),
            _ => {}
        }
    }
    let mut fields = [0u8; 26];
    file.read_exact(&mut fields)?;
    let u16_at = |at: usize| u16::from_le_bytes([fields[at], fields[at + 1]]);
    let size = u32::from_le_bytes([fields[14], fields[15], fields[16], fields[17]]);
    let skip = u64::from(u16_at(22)) + u64::from(u16_at(24));
    io::copy(&mut file.take(skip), &mut io::sink())?;
    let follows = u16_at(2) & 8 != 0;
    Ok(Some(LocalHeader {
        method: u16_at(4),
        compressed: (!follows && size != u32::MAX).then_some(u64::from(size)),
    }))
}

/// A reader that scans what passes, and ends when the budget is spent.
struct Tee<'a> {
    stream: &'a mut dyn Read,
    scanner: Scanner<'a>,
    budget: u64,
}

impl Read for Tee<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let limit = usize::try_from(self.budget)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let count = self.stream.read(&mut buffer[..limit])?;
        self.scanner.update(&buffer[..count]);
        self.budget -= u64::try_from(count).unwrap_or(u64::MAX).min(self.budget);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::{
        id::{PathDigest, scratch_path},
        scan::{Residue, ResidueForm},
    };

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn xz(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        zstd::encode_all(bytes, 1).unwrap()
    }

    fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut archive = Vec::new();
        for (name, bytes) in members {
            let mut encoder =
                flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(bytes).unwrap();
            let packed = encoder.finish().unwrap();
            let size = u32::try_from(packed.len()).unwrap();
            archive.extend_from_slice(b"PK\x03\x04\x14\0\0\0\x08\0\0\0\0\0\0\0\0\0");
            archive.extend_from_slice(&size.to_le_bytes());
            archive.extend_from_slice(&0u32.to_le_bytes());
            archive.extend_from_slice(&u16::try_from(name.len()).unwrap().to_le_bytes());
            archive.extend_from_slice(&0u16.to_le_bytes());
            archive.extend_from_slice(name.as_bytes());
            archive.extend_from_slice(&packed);
        }
        archive.extend_from_slice(b"PK\x05\x06");
        archive.extend_from_slice(&[0; 18]);
        archive
    }

    fn search(needles: &Needles, file: &[u8]) -> Findings {
        let mut findings = Findings::default();
        let container = Container::detect(file, file).unwrap();
        scan_members(needles, container, &mut &file[..], &mut findings);
        findings
    }

    fn candidate() -> PathDigest {
        PathDigest::from_bytes([0x3c; 25])
    }

    fn text() -> Vec<u8> {
        [
            &b"see /pith/store/"[..],
            &candidate().to_digits(),
            b"-zlib for more",
        ]
        .concat()
    }

    #[test]
    fn references_inside_each_kind_of_container_are_found() {
        let needles = Needles::new(&[candidate()], &[]);
        let program = [
            &b"#!/usr/bin/python\n"[..],
            &zip(&[("empty", b""), ("text", &text())]),
        ]
        .concat();
        for (kind, file) in [
            ("gzip", gzip(&text())),
            ("xz", xz(&text())),
            ("zstd", zstd(&text())),
            ("zip", zip(&[("first", b"nothing"), ("second", &text())])),
            ("zip behind a program", program),
            (
                "two gzip members",
                [gzip(b"nothing "), gzip(&text())].concat(),
            ),
            ("gzip in zip", zip(&[("a", &gzip(&text())), ("b", b"")])),
            ("zstd in xz in gzip", gzip(&xz(&zstd(&text())))),
        ] {
            assert_eq!(
                search(&needles, &file)
                    .candidates
                    .keys()
                    .collect::<Vec<_>>(),
                [&0],
                "{kind}"
            );
        }
    }

    #[test]
    fn scratch_digits_inside_a_container_are_a_residue() {
        let scratch = *scratch_path(&"x".parse().unwrap(), "out").digest();
        let needles = Needles::new(&[], &[scratch]);
        let whole = gzip(&[&b"12345"[..], &scratch.to_digits()].concat());
        let part = gzip(&[&b"12345"[..], &scratch.to_digits()[3..11]].concat());
        for file in [whole, part] {
            let residue = Residue {
                scratch: 0,
                offset: 5,
                form: ResidueForm::Compressed,
            };
            assert_eq!(search(&needles, &file).residue, Some(residue));
        }
    }

    #[test]
    fn a_decompression_bomb_ends_at_the_budget() {
        let needles = Needles::new(&[candidate()], &[]);
        let bomb = gzip(&vec![0; 4 << 20]);
        let mut findings = Findings::default();
        let mut search = Search {
            needles: &needles,
            findings: &mut findings,
            budget: 1 << 20,
        };
        search.open(Container::Gzip, &mut &bomb[..], 1);
        assert_eq!(search.budget, 0);
    }

    #[test]
    fn what_only_looks_like_a_container_is_data() {
        let needles = Needles::new(&[candidate()], &[]);
        for head in [
            &[0x1f, 0x8b, 8, 0][..],
            b"\xfd7zXZ\0",
            &[0x28, 0xb5, 0x2f, 0xfd],
            b"PK\x03\x04",
        ] {
            assert_eq!(
                search(&needles, &[head, &[0xff; 100]].concat()),
                Findings::default()
            );
        }
    }

    #[test]
    fn containers_nested_too_deep_are_not_opened() {
        let needles = Needles::new(&[candidate()], &[]);
        let nested = |depth| (0..depth).fold(text(), |bytes, _| gzip(&bytes));
        assert!(
            !search(&needles, &nested(MEMBER_DEPTH))
                .candidates
                .is_empty()
        );
        assert!(
            search(&needles, &nested(MEMBER_DEPTH + 1))
                .candidates
                .is_empty()
        );
    }
}
