//! The root file system as one squashfs 4.0 file, which Linux mounts and `unsquashfs` unpacks.
//!
//! The bytes are a function of the tree and the compression alone: entries in the order of their names, mtime 1, owner 0, no attributes, blocks of 128 KiB that
//! are compressed each by itself, so the number of threads is not visible. Files that are shorter than a block share blocks, and those of the same bytes are
//! there once. Own code rather than a crate because these bytes are our contract, and because layers and this format then share their pinned compressors.
//!
//! Source: Linux, `Documentation/filesystems/squashfs.rst` and `fs/squashfs/squashfs_fs.h`.

mod block;
mod metadata;
mod superblock;
mod tree;
mod write;

pub(super) use write::write;
