//! One file that runs the image's program on any Linux, without root and without `pith`: a script for `sh`, and behind it a tar of the tree.
//!
//! The launcher is a script and no program, so that it can be read before it is run, is the same for every processor, and nothing has to be compiled or fetched
//! to make it. It needs `sh`, `tail`, `tar`, `mktemp`, `mv`, `id` and, as the image is compressed, `gzip` or `zstd`, all of which are in busybox or everywhere;
//! for namespaces, `unshare` and `mount` of util-linux 2.38 or later.

mod script;
mod write;

pub(super) use write::write;
