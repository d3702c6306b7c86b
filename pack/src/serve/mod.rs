//! A registry that makes images when they are asked for, and keeps what is pushed.
//!
//! `GET /v2/hello/jq/manifests/latest` asks an [`ImageSource`] for the images called `hello/jq`, which may build them, and answers with the manifest. Layers are
//! made from the store while they are sent, and stored nowhere. What clients push lies in a [`Depot`], a directory, and comes before what a source has.
//!
//! | request | what |
//! | --- | --- |
//! | `GET`, `HEAD` `/v2/` | that this is a registry, and whether the token is good |
//! | `GET`, `HEAD` `/v2/<name>/manifests/<tag or digest>` | a manifest, or an index for several platforms; under a tag in a form that the client takes: OCI's or docker's, and one image for who reads no indices |
//! | `GET`, `HEAD` `/v2/<name>/blobs/<digest>` | a blob, or one range of it |
//! | `GET` `/v2/<name>/tags/list` | tags, sorted, in pages |
//! | `GET` `/v2/<name>/referrers/<digest>` | what was pushed about a manifest, or the source has about its own: made when somebody asks |
//! | `POST` `/v2/<name>/blobs/uploads/` | begins an upload, takes a whole blob, or mounts one |
//! | `GET`, `PATCH`, `PUT`, `DELETE` `/v2/<name>/blobs/uploads/<id>` | where it stands, a chunk, its end, its abandoning |
//! | `PUT` `/v2/<name>/manifests/<tag or digest>` | takes a manifest whose blobs are there, and keeps those of them that images have that are made here |
//! | `DELETE` `/v2/<name>/manifests/<tag or digest>`, `/v2/<name>/blobs/<digest>` | forgets |
//! | `GET` `/healthz`, `/metrics` | as a cache's server |
//!
//! This is the OCI distribution specification 1.1, whose words for errors the refusals use. Clients log in with a token as the password, whatever the name, or as
//! a bearer.
//!
//! [`Image::serve_while`](crate::Image::serve_while) is a small one of these for a single image that is at hand, while a program of this machine takes it.
//!
//! **Invariant.** No layer that is made here is answered whole whose bytes have not the digest that was asked for: the last piece goes out when the digest of all
//! of them is right. What is pushed is hashed when it comes, and sent as it lies on the disk; clients hash it again. What clients can make the server keep has
//! limits: layers that are made, questions that wait for a build, uploads, and what is listed about one manifest.

mod accept;
mod adopt;
mod answers;
mod depot;
mod depot_error;
mod document;
mod facts;
mod images;
mod layer;
mod layer_turns;
mod loopback;
mod one_image;
mod packed;
mod part;
mod refusal;
mod route;
mod service;
mod source;
mod unknown_names;
mod upload;

pub use depot::Depot;
pub use depot_error::DepotError;
pub use loopback::{Loopback, LoopbackError};
pub use refusal::RegistryRefusal;
pub use service::{RegistryService, RegistryServiceOptions};
pub use source::{ImageSource, Offer, SourceError};
