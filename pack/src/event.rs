//! What happens while an image is made, for progress bars.

use std::path::Path;

/// One thing that happened. Given to the callback of [`Image::new`](crate::Image::new), from several threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Layers are about to be made.
    Started {
        /// How many.
        layers: usize,
        /// The bytes of the files in them; the tar is a little longer.
        file_bytes: u64,
    },
    /// So many further bytes of tar were read from the store, hashed and compressed. Never sent where nothing is read from the store.
    Encoded {
        /// How many.
        tar_bytes: u64,
    },
    /// Layers are about to be made and sent to a registry.
    Sending {
        /// The image.
        name: &'a str,
        /// How many.
        layers: usize,
        /// The bytes of the files in them.
        file_bytes: u64,
    },
    /// Blobs of an image that exists are about to be copied.
    Copying {
        /// The image.
        name: &'a str,
        /// How many, those that the target has already included.
        blobs: usize,
        /// Their sizes.
        bytes: u64,
    },
    /// So many further bytes of blobs are at the target, a registry or the place of a copy.
    Sent {
        /// How many.
        bytes: u64,
    },
    /// The target has a blob already.
    Present {
        /// Its size.
        bytes: u64,
    },
    /// The image is in the registry.
    Pushed {
        /// The image.
        name: &'a str,
        /// Whether it was there already.
        unchanged: bool,
    },
    /// The output is complete and in its place.
    Written {
        /// Where.
        path: &'a Path,
    },
    /// The output was there already, exactly as it would be written.
    Unchanged {
        /// Where.
        path: &'a Path,
    },
}
