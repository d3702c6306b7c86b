//! What others call an image, who are not on this machine.

use std::path::Path;

use pack::registry::Pushed;
use pack::{Image, ImageName, Written};

use crate::error::CommandError;
use crate::output::Printer;
use crate::registry::digest_reference;

/// Returns what a document that deploys the image calls it: always with its digest, so that it is no other one that has the name somewhere.
pub(crate) fn deployed_as(
    image: &Image<'_>,
    pushed: Option<(&ImageName, &Pushed)>,
    written: Option<&Written>,
    printer: &Printer,
) -> Result<String, CommandError> {
    if let Some((name, pushed)) = pushed {
        return Ok(digest_reference(name, pushed.manifest_digest));
    }
    printer.note(
        "the document names the image by its digest, which is in no registry yet: `--push REF` says where it is pulled from",
    );
    let digest = match written.and_then(|written| written.manifest_digest) {
        Some(digest) => digest,
        None => image.manifest_digest()?,
    };
    Ok(digest_reference(image.name(), digest))
}

/// Returns a place without the directory of this machine that it is in, which means nothing elsewhere.
pub(crate) fn without_directory(place: &str) -> String {
    let (kind, path) = match place.split_once(':') {
        Some((kind, path)) if path.starts_with('/') && !path.starts_with("//") => {
            (format!("{kind}:"), path)
        }
        _ => (String::new(), place),
    };
    match Path::new(path).file_name() {
        Some(name) if path.starts_with('/') => kind + &name.to_string_lossy(),
        _ => place.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_directories_of_this_machine_are_left_out() {
        for (place, expected) in [
            ("/home/me/base.tar", "base.tar"),
            ("oci:/home/me/base", "oci:base"),
            ("docker://debian:12", "docker://debian:12"),
            ("localhost:5000/a/b", "localhost:5000/a/b"),
            ("images/base.tar", "images/base.tar"),
        ] {
            assert_eq!(without_directory(place), expected);
        }
    }
}
