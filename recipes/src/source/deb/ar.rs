//! The outer archive of a `.deb`: a few named members, one after the other (deb(5); `ar` in its common form).

use std::io::{self, Read};

const MAGIC: &[u8; 8] = b"!<arch>\n";
const HEADER_BYTES: usize = 60;
/// A package has three members; more than this is something else.
const MAX_MEMBERS: usize = 16;

/// Finds the member whose name starts with `wanted`, `data.tar` or `control.tar`, and returns its name and its bytes.
///
/// The problem is a sentence for [`DebError::Format`](super::DebError::Format), unless reading itself failed.
pub(super) fn find<R: Read>(mut reader: R, wanted: &str) -> Result<(String, io::Take<R>), Problem> {
    let mut magic = [0; 8];
    reader
        .read_exact(&mut magic)
        .map_err(Problem::truncated("its head"))?;
    if &magic != MAGIC {
        return Err(Problem::Format(
            "it does not begin as an `ar` archive".to_owned(),
        ));
    }
    for _ in 0..MAX_MEMBERS {
        let mut header = [0; HEADER_BYTES];
        reader
            .read_exact(&mut header)
            .map_err(Problem::truncated("the head of a member"))?;
        let (name, size) = parse_header(&header)?;
        if name.starts_with(wanted) {
            return Ok((name, reader.take(size)));
        }
        // Members begin at even offsets.
        let padded = size
            .checked_add(size & 1)
            .ok_or_else(|| Problem::Format(format!("`{name}` is too large")))?;
        let skipped =
            io::copy(&mut (&mut reader).take(padded), &mut io::sink()).map_err(Problem::Read)?;
        if skipped != padded {
            return Err(Problem::Format(format!("it ends within `{name}`")));
        }
    }
    Err(Problem::Format(format!("it has no member `{wanted}`")))
}

/// Why there is no data.
#[derive(Debug)]
pub(super) enum Problem {
    Format(String),
    Read(io::Error),
}

impl Problem {
    fn truncated(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Format(format!("it ends within {what}")),
            _ => Self::Read(error),
        }
    }
}

fn parse_header(header: &[u8; HEADER_BYTES]) -> Result<(String, u64), Problem> {
    if header[58..] != *b"`\n" {
        return Err(Problem::Format(
            "the head of a member does not end as it should".to_owned(),
        ));
    }
    let text = |range: std::ops::Range<usize>| {
        String::from_utf8_lossy(&header[range])
            .trim_end()
            .to_owned()
    };
    let name = text(0..16).trim_end_matches('/').to_owned();
    let size = text(48..58);
    let digits = !size.is_empty() && size.bytes().all(|byte| byte.is_ascii_digit());
    let size = size.parse().ok().filter(|_| digits);
    Ok((
        name,
        size.ok_or_else(|| Problem::Format("a member has no size".to_owned()))?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, bytes: &[u8]) -> Vec<u8> {
        let mut all = format!(
            "{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n",
            0,
            0,
            0,
            100_644,
            bytes.len()
        )
        .into_bytes();
        all.extend(bytes);
        if bytes.len() % 2 == 1 {
            all.push(b'\n');
        }
        all
    }

    fn problem(bytes: &[u8]) -> String {
        match find(bytes, "data.tar") {
            Err(Problem::Format(problem)) => problem,
            other => panic!("{:?}", other.map(|(name, _)| name)),
        }
    }

    #[test]
    fn the_data_is_found_behind_members_of_odd_size() {
        let mut archive = MAGIC.to_vec();
        archive.extend(member("debian-binary", b"2.0"));
        archive.extend(member("control.tar.xz/", b"abcd"));
        archive.extend(member("data.tar.gz", b"content"));
        archive.extend(b"trailing");
        let (name, mut data) = find(archive.as_slice(), "data.tar").unwrap();
        let mut content = String::new();
        data.read_to_string(&mut content).unwrap();
        assert_eq!(
            (name.as_str(), content.as_str()),
            ("data.tar.gz", "content")
        );
    }

    #[test]
    fn a_damaged_archive_is_refused_with_its_problem() {
        assert_eq!(problem(b"!<arch"), "it ends within its head");
        assert_eq!(
            problem(b"PK\x03\x04....."),
            "it does not begin as an `ar` archive"
        );
        assert_eq!(
            problem(&[MAGIC.as_slice(), b"debian"].concat()),
            "it ends within the head of a member"
        );
        let mut huge = MAGIC.to_vec();
        huge.extend(member("debian-binary", b""));
        huge[MAGIC.len() + 48..MAGIC.len() + 58].copy_from_slice(b"9999999999");
        assert_eq!(problem(&huge), "it ends within `debian-binary`");
        let mut negative = MAGIC.to_vec();
        negative.extend(member("debian-binary", b""));
        negative[MAGIC.len() + 48..MAGIC.len() + 58].copy_from_slice(b"-1        ");
        assert_eq!(problem(&negative), "a member has no size");
        let mut endless = MAGIC.to_vec();
        endless.extend((0..20).flat_map(|_| member("x", b"")));
        assert_eq!(problem(&endless), "it has no member `data.tar`");
    }
}
