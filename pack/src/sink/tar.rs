//! The root file system as one uncompressed tar.

use std::{io::Write, path::Path};

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
    let layer = Layer::new(image.objects.clone(), Some(&image.root));
    image.tell_one_started();
    let mut encoded_bytes = 0;
    let file = new.file();
    image
        .encoder(Compression::None)
        .encode(&[(0, &layer)], &mut |encoded| match encoded {
            Encoded::Begin(_) => Ok(()),
            Encoded::Bytes(bytes) => file.write_all(bytes).map_err(SinkError::writing(&target)),
            Encoded::End(_, digests) => {
                encoded_bytes = digests.tar_size_bytes;
                Ok(())
            }
        })?;
    receipts.finish(new, path, None, encoded_bytes)
}
