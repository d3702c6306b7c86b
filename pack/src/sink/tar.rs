//! The root file system as one uncompressed tar.

use std::{
    io::{self, Write},
    path::Path,
};

use super::{Format, SinkError, Written, place::NewFile, receipt::Receipts};
use crate::{
    Image,
    layer::{Compression, Encoded, Layer},
};

pub(super) fn write(image: &Image<'_>, path: &Path) -> Result<Written, SinkError> {
    let receipts = Receipts::new(image, &[], path, Format::Tar);
    if let Some(written) = receipts.find(path) {
        return Ok(written);
    }
    let mut new = NewFile::beside(path)?;
    let target = new.target().to_path_buf();
    let failed = |error| SinkError::writing(&target)(error);
    let encoded_bytes = write_to(image, new.file(), &failed)?;
    receipts.finish(new, path, None, encoded_bytes)
}

/// Writes the root file system to a reader that takes it as it comes.
pub(super) fn stream(image: &Image<'_>, out: &mut dyn Write) -> Result<(), SinkError> {
    write_to(image, out, &SinkError::Stream).map(drop)
}

/// Returns how much tar was made.
fn write_to(
    image: &Image<'_>,
    out: &mut dyn Write,
    failed: &dyn Fn(io::Error) -> SinkError,
) -> Result<u64, SinkError> {
    let layer = Layer::new(image.objects.clone(), Some(&image.root));
    image.tell_one_started();
    let mut encoded_bytes = 0;
    image
        .encoder(Compression::None)
        .encode(&[(0, &layer)], &mut |encoded| match encoded {
            Encoded::Begin(_) => Ok(()),
            Encoded::Bytes(bytes) => out.write_all(bytes).map_err(failed),
            Encoded::End(_, digests) => {
                encoded_bytes = digests.tar_size_bytes;
                Ok(())
            }
        })?;
    Ok(encoded_bytes)
}
