#![doc = include_str!("../README.md")]

pub mod attest;
pub mod audit;
mod base;
pub mod emit;
mod event;
pub mod existing;
mod image;
pub mod layer;
pub mod oci;
pub mod registry;
pub mod rootfs;
pub mod serve;
pub mod sign;
mod sink;
mod start;
mod validate;
pub mod vulns;

pub use base::{Base, BaseError};
pub use emit::Emit;
pub use event::Event;
pub use image::{
    BaseReport, FileSpec, Image, ImageError, ImageReport, ImageSpec, LayerReport, PackOptions,
    PathReport, Port, StableReport,
};
pub use layer::Compression;
pub use oci::ImageName;
pub use rootfs::User;
pub use sink::{Format, SinkError, UnknownFormat, Written, write_file};
pub use start::StartError;
pub use validate::{Mismatch, MismatchKind, Validation, validate, validate_image};
