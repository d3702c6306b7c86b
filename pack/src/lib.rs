#![doc = include_str!("../README.md")]

mod attest;
mod event;
mod image;
pub mod layer;
pub mod oci;
pub mod registry;
pub mod rootfs;
mod sink;
mod start;
mod validate;

pub use event::Event;
pub use image::{
    FileSpec, Image, ImageError, ImageReport, ImageSpec, LayerReport, PackOptions, PathReport, Port,
};
pub use layer::Compression;
pub use oci::ImageName;
pub use rootfs::User;
pub use sink::{Format, SinkError, UnknownFormat, Written};
pub use start::StartError;
pub use validate::{Mismatch, ValidateError, Validation, validate};
