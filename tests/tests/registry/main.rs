//! Images in registries: Debian's `docker-registry`, and servers that answer as none should. All on loopback, each on a port that the system chose.

mod adopted;
mod existing;
mod legacy;
mod login;
mod negotiation;
mod push;
mod races;
mod serving;
mod signing;
mod told;

use std::{error::Error, time::Duration};

use pack::oci::Digest;
use store::{MemoryNode, StorePath, registry::RegistryOptions, testing::TempStore};
use tests::{
    Random,
    http_server::{Asked, HttpServer, Reply, pass_on},
    other_servers::Registry,
};

pub(crate) type TestResult<T = ()> = Result<T, Box<dyn Error>>;

/// A small closure: `hello` refers to a library that does not get smaller by compression.
pub(crate) struct Fixture {
    pub(crate) store: TempStore,
    pub(crate) hello: StorePath,
}

impl Fixture {
    pub(crate) fn new() -> TestResult<Self> {
        let store = TempStore::new();
        let mut library = MemoryNode::directory();
        library.insert("lib/libc.so", MemoryNode::file(noise(300_000)))?;
        let library = store.add_tree("libc-1.0", library, &[])?;
        let mut hello = MemoryNode::directory();
        let program = format!("#!{}/lib/libc.so\n", library.path.to_logical());
        hello.insert("bin/hello", MemoryNode::program(program))?;
        let hello = store.add_tree("hello-2.10", hello, &[&library])?;
        Ok(Self {
            store,
            hello: hello.path,
        })
    }
}

/// The same bytes each time.
pub(crate) fn noise(count: usize) -> Vec<u8> {
    let mut random = Random::new(1);
    (0..count).map(|_| random.next().to_le_bytes()[0]).collect()
}

pub(crate) fn registry_options() -> RegistryOptions {
    let mut options = RegistryOptions::default();
    options.net.timeouts.retry_base = Duration::from_millis(1);
    options
}

/// A server before a registry that may answer in its place: `interfere` gets each request with a function that asks the registry.
pub(crate) fn before(
    registry: &Registry,
    interfere: impl Fn(&Asked, &dyn Fn() -> Reply) -> Option<Reply> + Send + Sync + 'static,
) -> HttpServer {
    let address = registry.address.clone();
    HttpServer::start(move |asked| {
        let ask = || pass_on(&address, asked);
        Some(interfere(asked, &ask).unwrap_or_else(ask))
    })
}

/// Reads something of a registry by another client than ours.
pub(crate) fn read(registry: &Registry, path: &str) -> Reply {
    let headers = [
        ("host".to_owned(), registry.address.clone()),
        (
            "accept".to_owned(),
            "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"
                .to_owned(),
        ),
    ];
    let asked = Asked {
        method: "GET".to_owned(),
        path: path.to_owned(),
        headers: headers.into(),
        body: Vec::new(),
    };
    pass_on(&registry.address, &asked)
}

/// Reads a manifest and everything below it, and compares all digests.
pub(crate) fn check_image(
    registry: &Registry,
    repository: &str,
    reference: &str,
    expected: Digest,
) -> TestResult {
    let manifest = read(registry, &format!("/v2/{repository}/manifests/{reference}"));
    assert_eq!(manifest.status, 200);
    assert_eq!(Digest::of(&manifest.body), expected);
    let manifest: serde_json::Value = serde_json::from_slice(&manifest.body)?;
    if let Some(manifests) = manifest["manifests"].as_array() {
        for one in manifests {
            let digest = one["digest"].as_str().ok_or("no digest")?;
            check_image(registry, repository, digest, digest.parse()?)?;
        }
        return Ok(());
    }
    let layers = manifest["layers"].as_array().ok_or("no layers")?;
    for blob in layers.iter().chain([&manifest["config"]]) {
        let digest = blob["digest"].as_str().ok_or("no digest")?;
        let bytes = read(registry, &format!("/v2/{repository}/blobs/{digest}")).body;
        assert_eq!(Some(bytes.len() as u64), blob["size"].as_u64());
        assert_eq!(Digest::of(&bytes).to_string(), digest);
    }
    Ok(())
}
