//! The digests of what components are delivered as.

use sha2::{Digest as _, Sha256, Sha512};
use store::facts::FileFacts;

use super::{Checksum, files::hex};
use crate::audit::Part;

/// How the digest of a directory is made; whoever has it can make it, too.
pub(super) const LISTING: &str = "the lines that `find . -type f | LC_ALL=C sort | xargs -r -d '\\n' sha512sum` (sha256sum) prints there";
/// The same for a closure.
pub(super) const CLOSURE_LISTING: &str = "the lines that sha512sum (sha256sum) prints for every file of the store paths, in the order of their names";

pub(super) fn checksums_of(file: &FileFacts) -> [Checksum; 2] {
    [
        Checksum::sha256(&file.sha256),
        Checksum::sha512(&file.sha512),
    ]
}

/// Returns the digests of the list of an object's files.
pub(super) fn of_files(files: &[FileFacts]) -> Vec<Checksum> {
    let mut hashers = (Sha256::new(), Sha512::new());
    hash_listing(&mut hashers, files, |file| format!("./{}", file.path));
    finish_listing(hashers)
}

/// Returns the digests of the list of a closure's files.
pub(super) fn of_closure(parts: &[Part]) -> Vec<Checksum> {
    let mut hashers = (Sha256::new(), Sha512::new());
    for part in parts {
        let files = part.facts.iter().flat_map(|facts| &facts.files);
        let before = part.info.path.to_logical();
        hash_listing(&mut hashers, files, |file| match file.path.is_empty() {
            true => before.clone(),
            false => format!("{before}/{}", file.path),
        });
    }
    finish_listing(hashers)
}

fn hash_listing<'f>(
    hashers: &mut (Sha256, Sha512),
    files: impl IntoIterator<Item = &'f FileFacts>,
    name: impl Fn(&FileFacts) -> String,
) {
    let mut files: Vec<(String, &FileFacts)> =
        files.into_iter().map(|file| (name(file), file)).collect();
    files.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    for (name, file) in files {
        hashers.0.update(format!("{}  {name}\n", file.sha256));
        hashers.1.update(format!("{}  {name}\n", file.sha512));
    }
}

fn finish_listing((sha256, sha512): (Sha256, Sha512)) -> Vec<Checksum> {
    vec![
        Checksum::sha256(hex(&sha256.finalize())),
        Checksum::sha512(hex(&sha512.finalize())),
    ]
}

/// Reads `sha256:…`; other digests have no place in documents.
pub(super) fn checksum(text: &str) -> Option<Checksum> {
    text.strip_prefix("sha256:").map(Checksum::sha256)
}
