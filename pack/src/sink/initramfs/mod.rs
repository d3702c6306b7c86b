//! The root file system as an initramfs: a kernel that is given it boots into the image's program. Linux,
//! `Documentation/driver-api/early-userspace/buffer-format.rst`.
//!
//! `/init` is a program of a few hundred bytes that is written here, because an image has no shell and a kernel gives its first process neither variables nor
//! arguments. It mounts `/proc`, `/sys`, `/dev` and `/dev/shm`, starts the image's program as its user, in its directory, with its variables and the console as its
//! terminal, collects every process that ends, and powers the machine off when the program has ended. An image that has an `/init` of its own starts with that.

mod cpio;
mod init;
mod machine;
mod write;

pub(super) use write::{stream, write};
