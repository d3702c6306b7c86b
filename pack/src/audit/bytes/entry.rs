//! One entry, held against what it should be.

use std::{
    fs,
    io::{self, Read},
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _},
    path::Path,
};

use super::{BytesError, Stop, known::find_difference};
use crate::{layer::Member, oci::DigestWriter};

/// Compares an entry with what lies in the store; the answer is a beginning of a sentence that goes on with what it is compared with.
pub(super) fn compare(
    real: &Path,
    member: &Member,
    contents: &mut dyn Read,
) -> Result<Option<String>, Stop<BytesError>> {
    let Ok(metadata) = real.symlink_metadata() else {
        return Ok(Some("is not there in".to_owned()));
    };
    let is_same_kind = match member.flag {
        b'0' => metadata.is_file(),
        b'2' => metadata.is_symlink(),
        b'5' => metadata.is_dir(),
        _ => false,
    };
    if !is_same_kind {
        return Ok(Some("is something else than".to_owned()));
    }
    if member.flag == b'2' {
        let target = fs::read_link(real).map_err(|source| {
            Stop::Visit(BytesError::File {
                path: real.display().to_string(),
                source,
            })
        })?;
        let is_same = target.as_os_str().as_bytes() == member.target;
        return Ok((!is_same).then(|| "leads elsewhere than".to_owned()));
    }
    let is_executable = metadata.permissions().mode() & 0o100 != 0;
    if member.flag == b'0' && is_executable != (member.mode & 0o111 != 0) {
        return Ok(Some("may not be run by the same people as".to_owned()));
    }
    if member.flag == b'0' {
        let difference = find_difference(real, contents).map_err(Stop::Visit)??;
        return Ok(difference.map(|at| format!("differs at byte {at} from")));
    }
    Ok(None)
}

/// Whether an entry is a file with these contents, and nobody else when it runs.
pub(super) fn is_file(member: &Member, contents: &mut dyn Read, sha256: &str) -> io::Result<bool> {
    let mut hasher = DigestWriter::default();
    io::copy(contents, &mut hasher)?;
    let is_same = hasher.finish().to_hex() == sha256;
    Ok(is_same && member.flag == b'0' && member.mode & 0o7000 == 0)
}

/// A file that nobody runs, as all are that an image has by itself.
pub(super) const fn is_plain(member: &Member) -> bool {
    member.flag == b'0' && member.mode & 0o7111 == 0
}
