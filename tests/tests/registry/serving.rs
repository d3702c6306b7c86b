//! Pith's own registry, asked byte by byte.

use std::{
    collections::BTreeMap,
    error::Error,
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
};

use pack::{
    Image, ImageSpec, PackOptions,
    attest::{Parameters, Provenance},
    existing::{ExistingImage, ImageReference},
    oci::Digest,
    registry::open_repository,
    serve::{
        Depot, DepotError, ImageSource, Offer, RegistryService, RegistryServiceOptions, SourceError,
    },
    sign::{Attachment, ImageSecretKey},
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256, Sha512};
use store::{
    serve::{
        GateOptions, ListenError, ReadAccess, Scopes, Server, ServerHandle, ServerLimits,
        TokenEntry,
    },
    trust::SecretKey,
};

use crate::{Fixture, TestResult, noise, registry_options};

/// Has one name, `hello`, and counts how often it is asked.
pub(crate) struct Source {
    fixture: Fixture,
    platforms: Vec<&'static str>,
    pub(crate) offers: AtomicUsize,
    /// Whether it has documents about its images, and how often it was asked for them.
    is_documented: AtomicBool,
    documents: AtomicUsize,
    /// Whether it may answer.
    open: Mutex<bool>,
    opened: Condvar,
}

impl Source {
    pub(crate) fn new(platforms: &[&'static str]) -> TestResult<Arc<Self>> {
        Ok(Arc::new(Self {
            fixture: Fixture::new()?,
            platforms: platforms.to_vec(),
            offers: AtomicUsize::new(0),
            is_documented: AtomicBool::new(false),
            documents: AtomicUsize::new(0),
            open: Mutex::new(true),
            opened: Condvar::new(),
        }))
    }

    fn set_open(&self, is_open: bool) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = is_open;
        self.opened.notify_all();
    }

    fn image(&self, platform: &str) -> TestResult<Image<'static>> {
        let mut spec = ImageSpec::new("hello".parse()?);
        spec.platform = platform.parse()?;
        let options = PackOptions {
            // Nobody starts it.
            check_start: false,
            ..PackOptions::default()
        };
        let roots = [self.fixture.hello.clone()];
        Ok(Image::new(
            &self.fixture.store,
            &roots,
            &spec,
            &options,
            &|_| (),
        )?)
    }
}

struct Shared(Arc<Source>);

impl ImageSource for Shared {
    fn offer(&self, name: &str) -> Result<Offer, SourceError> {
        let source = &self.0;
        source.offers.fetch_add(1, Ordering::Relaxed);
        let open = source.open.lock().unwrap_or_else(PoisonError::into_inner);
        drop(source.opened.wait_while(open, |open| !*open));
        match name {
            "hello" => {
                let images = source.platforms.iter().map(|one| source.image(one));
                let images: TestResult<Vec<_>> = images.collect();
                let images = images.map_err(|error| SourceError::Failed {
                    message: error.to_string(),
                })?;
                Ok(Offer { images })
            }
            "broken" => Err(SourceError::Failed {
                message: "it does not build".to_owned(),
            }),
            _ => Err(SourceError::Unknown {
                message: format!("there is no package `{name}`"),
            }),
        }
    }

    fn documents(&self, _name: &str, manifest: Digest) -> Result<Vec<Attachment>, SourceError> {
        self.0.documents.fetch_add(1, Ordering::Relaxed);
        if !self.0.is_documented.load(Ordering::Relaxed) {
            return Ok(Vec::new());
        }
        let provenance = Provenance {
            parameters: Parameters::default(),
            builder: format!("urn:test:{manifest}"),
            ..Provenance::default()
        };
        Ok(vec![Attachment::provenance(&provenance)])
    }
}

/// A running registry.
pub(crate) struct Registry {
    pub(crate) address: SocketAddr,
    handle: ServerHandle,
    thread: Option<JoinHandle<Result<(), ListenError>>>,
}

impl Registry {
    pub(crate) fn start(source: &Arc<Source>, depot: Option<&Path>) -> TestResult<Self> {
        Self::with(source, depot, |_| ())
    }

    /// One that signs what it makes.
    pub(crate) fn signing(source: &Arc<Source>, key: ImageSecretKey) -> TestResult<Self> {
        Self::with(source, None, |options| options.key = Some(key))
    }

    fn with(
        source: &Arc<Source>,
        depot: Option<&Path>,
        change: impl FnOnce(&mut RegistryServiceOptions),
    ) -> TestResult<Self> {
        let gate = GateOptions {
            read: ReadAccess::Public,
            public_write: depot.is_some(),
            tokens: None,
            limits: ServerLimits {
                requests_per_second: 0,
                ..ServerLimits::default()
            },
            on_event: None,
            counters: "registry",
        };
        let mut options = RegistryServiceOptions {
            gate,
            depot: depot.map(Depot::open).transpose()?,
            key: None,
        };
        change(&mut options);
        let service = RegistryService::new(Box::new(Shared(Arc::clone(source))), options)?;
        let server = Server::bind("127.0.0.1:0".parse()?, service)?;
        Ok(Self {
            address: server.address(),
            handle: server.handle(),
            thread: Some(thread::spawn(|| server.run())),
        })
    }

    pub(crate) fn ask(&self, request: &str) -> TestResult<Answer> {
        self.send(request, &[], &[])
    }

    pub(crate) fn get(&self, path: &str) -> TestResult<Answer> {
        self.ask(&format!("GET {path}"))
    }

    /// Sends a request in a connection of its own, and reads everything that comes back.
    pub(crate) fn send(
        &self,
        request: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> TestResult<Answer> {
        let headers: String = headers
            .iter()
            .map(|(name, value)| [*name, ": ", *value, "\r\n"].concat())
            .collect();
        let head = format!(
            "{request} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n",
            body.len()
        );
        let mut stream = TcpStream::connect(self.address)?;
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        let mut bytes = Vec::new();
        // A connection that breaks in the middle has said what it said.
        stream.read_to_end(&mut bytes).ok();
        Answer::parse(&bytes)
    }

    /// Pushes a blob whole.
    pub(crate) fn push(&self, name: &str, bytes: &[u8]) -> TestResult<Answer> {
        let path = format!("/v2/{name}/blobs/uploads/?digest={}", sha256(bytes));
        self.send(&format!("POST {path}"), &[], bytes)
    }

    pub(crate) fn put_manifest(
        &self,
        name: &str,
        reference: &str,
        manifest: &Value,
    ) -> TestResult<Answer> {
        let media_type = manifest["mediaType"].as_str().unwrap_or_default();
        self.send(
            &format!("PUT /v2/{name}/manifests/{reference}"),
            &[("Content-Type", media_type)],
            manifest.to_string().as_bytes(),
        )
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.handle.shutdown();
        if let Some(thread) = self.thread.take() {
            thread.join().expect("it ends").expect("without an error");
        }
    }
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    fn parse(bytes: &[u8]) -> TestResult<Self> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let end = end.ok_or("no answer")?;
        let head = std::str::from_utf8(&bytes[..end])?;
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1));
        let headers = lines.filter_map(|line| line.split_once(": "));
        Ok(Self {
            status: status.ok_or("no status")?.parse()?,
            headers: headers
                .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
                .collect(),
            body: bytes[end + 4..].to_vec(),
        })
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(crate) fn json(&self) -> TestResult<Value> {
        Ok(serde_json::from_slice(&self.body)?)
    }

    /// The code and the message of a refusal.
    fn error(&self) -> TestResult<(u16, String, String)> {
        let error = self.json()?["errors"][0].clone();
        let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
        Ok((self.status, text("code"), text("message")))
    }
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex("sha256", &Sha256::digest(bytes))
}

fn hex(algorithm: &str, digest: &[u8]) -> String {
    let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{algorithm}:{digits}")
}

pub(crate) fn manifest_of(config: &[u8], layers: &[&[u8]], subject: Option<&Value>) -> Value {
    let layers: Vec<Value> = layers
        .iter()
        .map(
            |layer| json!({ "mediaType": "a/layer", "digest": sha256(layer), "size": layer.len() }),
        )
        .collect();
    let mut manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": { "mediaType": "a/config", "digest": sha256(config), "size": config.len() },
        "layers": layers,
    });
    if let Some(subject) = subject {
        manifest["subject"] = json!({
            "mediaType": subject["mediaType"],
            "digest": sha256(subject.to_string().as_bytes()),
            "size": subject.to_string().len(),
        });
        manifest["artifactType"] = json!("a/signature");
        manifest["annotations"] = json!({ "by": "me" });
    }
    manifest
}

#[test]
fn an_image_is_made_when_it_is_asked_for() -> TestResult {
    let source = Source::new(&["linux/amd64"])?;
    let registry = Registry::start(&source, None)?;
    assert_eq!(registry.get("/v2/")?.status, 200);
    assert_eq!(source.offers.load(Ordering::Relaxed), 0);

    let answer = registry.get("/v2/hello/manifests/latest")?;
    let digest = answer.header("docker-content-digest").to_owned();
    assert_eq!((answer.status, &digest), (200, &sha256(&answer.body)));
    let packed = source.image("linux/amd64")?.manifest_digest()?;
    assert_eq!(digest, packed.to_string());
    let head = registry.ask("HEAD /v2/hello/manifests/latest")?;
    let length = answer.body.len().to_string();
    assert_eq!(head.header("content-length"), length);
    assert!(head.body.is_empty());
    let same = registry.get(&format!("/v2/hello/manifests/{digest}"))?;
    assert_eq!(same.body, answer.body);

    let manifest = answer.json()?;
    assert_eq!(answer.header("content-type"), manifest["mediaType"]);
    let layers = manifest["layers"].as_array().ok_or("no layers")?;
    assert!(layers.len() > 1);
    for blob in layers.iter().chain([&manifest["config"]]) {
        let expected = blob["digest"].as_str().ok_or("no digest")?;
        let path = format!("/v2/hello/blobs/{expected}");
        let found = registry.get(&path)?;
        assert_eq!(
            (found.status, sha256(&found.body)),
            (200, expected.to_owned())
        );
        assert_eq!(blob["size"], found.body.len());
        let head = registry.ask(&format!("HEAD {path}"))?;
        assert_eq!(head.header("content-length"), found.body.len().to_string());
        let size = found.body.len();
        for (range, part) in [
            ("bytes=0-0".to_owned(), 0..1),
            (format!("bytes=7-{}", size - 2), 7..size - 1),
            ("bytes=-5".to_owned(), size - 5..size),
            (format!("bytes={}-", size / 2), size / 2..size),
        ] {
            let answer = registry.send(&format!("GET {path}"), &[("Range", &range)], &[])?;
            assert_eq!(answer.status, 206, "{range}");
            let expected = format!("bytes {}-{}/{size}", part.start, part.end - 1);
            assert_eq!(answer.header("content-range"), expected);
            assert!(answer.body == found.body[part], "{range}");
        }
        let behind = format!("bytes={size}-");
        let answer = registry.send(&format!("GET {path}"), &[("Range", &behind)], &[])?;
        assert_eq!((answer.status, answer.body.len()), (416, 0));
    }
    let tags = registry.get("/v2/hello/tags/list")?.json()?;
    assert_eq!(tags["name"], "hello");
    assert_eq!(tags["tags"], json!(["latest"]));
    let none = registry.get(&format!("/v2/hello/referrers/{digest}"))?;
    assert_eq!(none.json()?["manifests"], json!([]));
    Ok(())
}

#[test]
fn documents_about_what_is_made_are_made_once_and_when_somebody_asks() -> TestResult {
    let source = Source::new(&["linux/amd64", "linux/arm64"])?;
    source.is_documented.store(true, Ordering::Relaxed);
    let registry = Registry::start(&source, None)?;
    let index = registry.get("/v2/hello/manifests/latest")?;
    assert_eq!(source.documents.load(Ordering::Relaxed), 0);
    let index_digest = sha256(&index.body);
    let of_index = registry.get(&format!("/v2/hello/referrers/{index_digest}"))?;
    assert_eq!(of_index.json()?["manifests"], json!([]));
    let images = index.json()?["manifests"].clone();
    for image in images.as_array().ok_or("an index")? {
        let subject = image["digest"].as_str().ok_or("no digest")?;
        let path = format!("/v2/hello/referrers/{subject}");
        let listed = registry.get(&path)?.json()?["manifests"].clone();
        assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
        let statement = "application/vnd.in-toto+json";
        assert_eq!(listed[0]["artifactType"], statement);
        // A pull in between changes nothing.
        registry.get("/v2/hello/manifests/latest")?;
        let digest = listed[0]["digest"].as_str().ok_or("no digest")?;
        let manifest = registry.get(&format!("/v2/hello/manifests/{digest}"))?;
        assert_eq!(sha256(&manifest.body), digest);
        let manifest = manifest.json()?;
        assert_eq!(manifest["subject"]["digest"], subject);
        for blob in [&manifest["config"], &manifest["layers"][0]] {
            let digest = blob["digest"].as_str().ok_or("no digest")?;
            let found = registry.get(&format!("/v2/hello/blobs/{digest}"))?;
            assert_eq!(sha256(&found.body), digest);
        }
        let layer = manifest["layers"][0]["digest"]
            .as_str()
            .ok_or("no digest")?;
        let said = registry.get(&format!("/v2/hello/blobs/{layer}"))?.json()?;
        assert_eq!(
            said["predicate"]["runDetails"]["builder"]["id"],
            format!("urn:test:{subject}")
        );
        let filtered = registry.get(&format!("{path}?artifactType=application/x"))?;
        assert_eq!(filtered.json()?["manifests"], json!([]));
    }
    assert_eq!(source.documents.load(Ordering::Relaxed), 2);
    let unknown = registry.get(&format!("/v2/nobody/referrers/{index_digest}"))?;
    assert_eq!(unknown.json()?["manifests"], json!([]));
    Ok(())
}

#[test]
fn what_is_made_is_signed_by_the_key_of_the_registry() -> TestResult {
    let key = |seed| {
        let key = SecretKey::from_seed("test".parse()?, &[seed; 32]);
        Ok::<_, Box<dyn Error>>(ImageSecretKey::from(key))
    };
    let (own, other) = (key(1)?, key(2)?);
    for platforms in [&["linux/amd64"][..], &["linux/amd64", "linux/arm64"]] {
        let source = Source::new(platforms)?;
        source.is_documented.store(true, Ordering::Relaxed);
        let registry = Registry::signing(&source, key(1)?)?;
        let reference: ImageReference = format!("{}/hello:latest", registry.address).parse()?;
        let repository = open_repository(reference.name(), &registry_options())?;
        let image = ExistingImage::fetch(&reference, &repository)?;
        let check = |key: &ImageSecretKey| {
            let key = key.public();
            let signature = image.check_signatures(&repository, &key)?.result;
            let attested = image.check_attestations(&repository, Some(&key))?;
            Ok::<_, Box<dyn Error>>((signature.is_ok(), attested.provenances, attested.signed))
        };
        let count = platforms.len();
        assert_eq!(check(&own)?, (true, count, count));
        assert_eq!(check(&other)?, (false, 0, 0));
    }
    Ok(())
}

#[test]
fn several_platforms_are_an_index() -> TestResult {
    let source = Source::new(&["linux/amd64", "linux/arm64"])?;
    let registry = Registry::start(&source, None)?;
    let answer = registry.get("/v2/hello/manifests/latest")?;
    let index = answer.json()?;
    assert_eq!(index["manifests"][0]["platform"]["architecture"], "amd64");
    assert_eq!(index["manifests"][1]["platform"]["architecture"], "arm64");
    for entry in index["manifests"].as_array().ok_or("an index")? {
        let digest = entry["digest"].as_str().ok_or("no digest")?;
        let manifest = registry.get(&format!("/v2/hello/manifests/{digest}"))?;
        assert_eq!(sha256(&manifest.body), digest);
        let layer = manifest.json()?["layers"][0]["digest"].clone();
        let layer = layer.as_str().ok_or("no digest")?;
        let blob = registry.get(&format!("/v2/hello/blobs/{layer}"))?;
        assert_eq!(sha256(&blob.body), layer);
    }
    Ok(())
}

#[test]
fn what_cannot_be_answered_is_said_in_the_words_of_the_specification() -> TestResult {
    let source = Source::new(&["linux/amd64"])?;
    let registry = Registry::start(&source, None)?;
    let nothing = sha256(b"nothing");
    for (request, status, code, message) in [
        (
            "GET /v2/nobody/manifests/latest",
            404,
            "NAME_UNKNOWN",
            "there is no package `nobody`",
        ),
        (
            "GET /v2/broken/manifests/latest",
            422,
            "UNKNOWN",
            "it does not build",
        ),
        (
            "GET /v2/hello/manifests/1.0",
            404,
            "MANIFEST_UNKNOWN",
            "there is no manifest `1.0` of `hello`",
        ),
        (
            "GET /v2/Hello/manifests/latest",
            400,
            "NAME_INVALID",
            "the name is none of a repository",
        ),
        (
            "GET /v2/hello/manifests/.x",
            400,
            "MANIFEST_INVALID",
            "the tag is none",
        ),
        (
            "GET /v2/hello/blobs/sha256:1",
            400,
            "DIGEST_INVALID",
            "the digest is none of sha256 or sha512",
        ),
        (
            "GET /v2/_catalog",
            404,
            "UNSUPPORTED",
            "there is nothing at this path",
        ),
        (
            "GET /v1/",
            404,
            "UNSUPPORTED",
            "there is nothing at this path",
        ),
        (
            "POST /v2/hello/blobs/uploads/",
            405,
            "UNSUPPORTED",
            "this registry takes nothing; `pith serve --registry --allow-push DIR` makes one that does",
        ),
    ] {
        let expected = (status, code.to_owned(), message.to_owned());
        assert_eq!(registry.ask(request)?.error()?, expected, "{request}");
    }
    let (status, code, _) = registry
        .get(&format!("/v2/hello/blobs/{nothing}"))?
        .error()?;
    assert_eq!((status, code.as_str()), (404, "BLOB_UNKNOWN"));
    assert_eq!(registry.get("/healthz")?.body, b"ok\n");
    Ok(())
}

#[test]
fn who_asks_while_others_do_waits_for_the_same_answer() -> TestResult {
    const CLIENTS: usize = 8;
    let source = Source::new(&["linux/amd64"])?;
    let registry = Registry::start(&source, None)?;
    source.set_open(false);
    thread::scope(|scope| -> TestResult {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                scope.spawn(|| {
                    let answer = registry.get("/v2/hello/manifests/latest");
                    answer
                        .map(|answer| answer.body)
                        .map_err(|error| error.to_string())
                })
            })
            .collect();
        // Each question about this is one of those that wait.
        let all = format!("pith_registry_requests_in_flight {}", CLIENTS + 1);
        loop {
            let counters = String::from_utf8(registry.get("/metrics")?.body)?;
            if counters.lines().any(|line| line == all) {
                break;
            }
            thread::yield_now();
        }
        source.set_open(true);
        let mut bodies = Vec::new();
        for client in clients {
            bodies.push(client.join().map_err(|_| "a client panicked")??);
        }
        bodies.dedup();
        assert_eq!(bodies.len(), 1);
        Ok(())
    })?;
    // Those that had not yet asked for the name when the first was answered ask again.
    assert!(source.offers.load(Ordering::Relaxed) < CLIENTS);
    Ok(())
}

#[test]
fn a_layer_that_is_not_what_it_was_never_comes_whole() -> TestResult {
    let source = Source::new(&["linux/amd64"])?;
    let registry = Registry::start(&source, None)?;
    let manifest = registry.get("/v2/hello/manifests/latest")?.json()?;
    let mut layers = manifest["layers"].as_array().ok_or("no layers")?.iter();
    let largest = layers.by_ref().max_by_key(|layer| layer["size"].as_u64());
    let digest = largest
        .and_then(|layer| layer["digest"].as_str())
        .ok_or("no digest")?;
    let path = format!("/v2/hello/blobs/{digest}");
    assert_eq!(sha256(&registry.get(&path)?.body), digest);

    let store = &source.fixture.store;
    let info = store
        .path_info(&source.fixture.hello)?
        .ok_or("it is valid")?;
    let library = &info.references.first().ok_or("it has one")?.path;
    let file = store.real_path(library).join("lib/libc.so");
    let mut bytes = fs::read(&file)?;
    bytes[100_000] ^= 1;
    store::testing::make_writable(store.real_path(library).as_ref())?;
    // No file of the store can be written, but by root.
    fs::remove_file(&file)?;
    fs::write(&file, bytes)?;
    let answer = registry.get(&path)?;
    assert_eq!(answer.status, 200);
    let length: usize = answer.header("content-length").parse()?;
    assert!(
        answer.body.len() < length,
        "{} of {length}",
        answer.body.len()
    );
    Ok(())
}

#[test]
fn what_is_pushed_is_there_after_a_restart() -> TestResult {
    let source = Source::new(&["linux/amd64"])?;
    let directory = tempfile::tempdir()?;
    let depot = directory.path().join("depot");
    let (config, layer) = (b"{}".to_vec(), noise(3_000_000));
    let manifest = manifest_of(&config, &[&layer], None);
    let registry = Registry::start(&source, Some(&depot))?;
    let missing = registry.put_manifest("team/app", "1", &manifest)?;
    let (status, code, _) = missing.error()?;
    assert_eq!((status, code.as_str()), (404, "MANIFEST_BLOB_UNKNOWN"));
    assert_eq!(registry.push("team/app", &config)?.status, 201);

    // In chunks, with a restart between them.
    let begun = registry.ask("POST /v2/team/app/blobs/uploads/")?;
    assert_eq!(begun.status, 202);
    let location = begun.header("location").to_owned();
    let (first, second) = layer.split_at(1_700_000);
    let range = ("Content-Range", "0-1699999");
    let taken = registry.send(&format!("PATCH {location}"), &[range], first)?;
    assert_eq!((taken.status, taken.header("range")), (202, "0-1699999"));
    let again = registry.send(&format!("PATCH {location}"), &[range], first)?;
    assert_eq!(again.status, 416);
    drop(registry);
    let registry = Registry::start(&source, Some(&depot))?;
    let state = registry.get(&location)?;
    assert_eq!((state.status, state.header("range")), (204, "0-1699999"));
    let end = format!("PUT {location}?digest={}", sha256(&layer));
    assert_eq!(registry.send(&end, &[], second)?.status, 201);

    let put = registry.put_manifest("team/app", "1", &manifest)?;
    assert_eq!(put.status, 201);
    let text = manifest.to_string();
    assert_eq!(put.header("docker-content-digest"), sha256(text.as_bytes()));
    drop(registry);
    let registry = Registry::start(&source, Some(&depot))?;
    let found = registry.get("/v2/team/app/manifests/1")?;
    assert_eq!(found.body, text.as_bytes());
    assert_eq!(found.header("content-type"), manifest["mediaType"]);
    let blob = registry.get(&format!("/v2/team/app/blobs/{}", sha256(&layer)))?;
    assert!(blob.body == layer);
    let error = Depot::open(&depot).expect_err("it is in use");
    assert!(matches!(error, DepotError::InUse { .. }), "{error}");
    Ok(())
}

#[test]
fn blobs_are_checked_mounted_and_forgotten() -> TestResult {
    let source = Source::new(&["linux/amd64"])?;
    let directory = tempfile::tempdir()?;
    let registry = Registry::start(&source, Some(directory.path()))?;
    let bytes = noise(70_000);
    let digest = sha256(&bytes);
    let wrong = format!("POST /v2/a/blobs/uploads/?digest={}", sha256(b"x"));
    let (status, code, message) = registry.send(&wrong, &[], &bytes)?.error()?;
    assert_eq!((status, code.as_str()), (400, "DIGEST_INVALID"));
    assert!(message.contains(&digest), "{message}");
    let uploads = || fs::read_dir(directory.path().join("uploads")).map(Iterator::count);
    assert_eq!(uploads()?, 0, "nothing is left of it");

    let strong = hex("sha512", &Sha512::digest(&bytes));
    let push = format!("POST /v2/a/blobs/uploads/?digest={strong}");
    assert_eq!(registry.send(&push, &[], &bytes)?.status, 201);
    let blob = registry.get(&format!("/v2/a/blobs/{strong}"))?;
    assert!(blob.body == bytes);
    let absent = registry.get(&format!("/v2/a/blobs/{digest}"))?;
    assert_eq!(absent.status, 404, "it has another name");

    assert_eq!(registry.push("a", &bytes)?.status, 201);
    let elsewhere = |name: &str| registry.get(&format!("/v2/{name}/blobs/{digest}"));
    assert_eq!(
        elsewhere("b")?.status,
        404,
        "a repository has what it was given"
    );
    let mount = format!("POST /v2/b/blobs/uploads/?mount={digest}&from=c");
    assert_eq!(registry.ask(&mount)?.status, 202, "it is not there");
    let outside = directory.path().join("outside");
    fs::create_dir_all(outside.join("_blobs"))?;
    fs::write(outside.join("_blobs").join(digest.replace(':', "-")), "")?;
    let from = outside.to_str().ok_or("a path of text")?;
    let mount = format!("POST /v2/b/blobs/uploads/?mount={digest}&from={from}");
    assert_eq!(registry.ask(&mount)?.status, 400, "it is no repository");
    let nothing = "POST /v2/b/blobs/uploads/?digest=nonsense";
    let before = uploads()?;
    assert_eq!(registry.ask(nothing)?.status, 400);
    assert_eq!(uploads()?, before);
    let page = ("Origin", "http://page.example");
    let by_page = registry.send("POST /v2/b/blobs/uploads/", &[page], &[])?;
    assert_eq!(by_page.status, 403, "a page in a browser");
    let mount = format!("POST /v2/b/blobs/uploads/?mount={digest}&from=a");
    assert_eq!(registry.ask(&mount)?.status, 201);
    let forget = |name: &str| registry.ask(&format!("DELETE /v2/{name}/blobs/{digest}"));
    assert_eq!(forget("a")?.status, 202);
    assert_eq!(forget("a")?.status, 404);
    assert!(elsewhere("b")?.body == bytes, "the other one has it still");
    let hex = digest.strip_prefix("sha256:").ok_or("a digest")?;
    let file = directory.path().join("blobs/sha256").join(hex);
    assert!(file.exists());
    assert_eq!(forget("b")?.status, 202);
    assert!(!file.exists(), "nobody has it");
    Ok(())
}

#[test]
fn manifests_have_tags_and_referrers() -> TestResult {
    let source = Source::new(&["linux/amd64"])?;
    let directory = tempfile::tempdir()?;
    let registry = Registry::start(&source, Some(directory.path()))?;
    registry.push("app", b"{}")?;
    let image = manifest_of(b"{}", &[], None);
    let digest = sha256(image.to_string().as_bytes());
    for tag in ["v2", "v10", "v1"] {
        assert_eq!(registry.put_manifest("app", tag, &image)?.status, 201);
    }
    let page = registry.get("/v2/app/tags/list?n=2")?;
    assert_eq!(page.json()?["tags"], json!(["v1", "v10"]));
    assert_eq!(
        page.header("link"),
        "</v2/app/tags/list?n=2&last=v10>; rel=\"next\""
    );
    let rest = registry.get("/v2/app/tags/list?n=2&last=v10")?;
    assert_eq!(
        (rest.json()?["tags"].clone(), rest.header("link")),
        (json!(["v2"]), "")
    );

    let signature = manifest_of(b"{}", &[], Some(&image));
    let name = sha256(signature.to_string().as_bytes());
    let put = registry.put_manifest("app", &name, &signature)?;
    assert_eq!(
        (put.status, put.header("oci-subject")),
        (201, digest.as_str())
    );
    let path = format!("/v2/app/referrers/{digest}");
    let found = registry.get(&path)?.json()?;
    let expected = json!({
        "mediaType": signature["mediaType"],
        "digest": name,
        "size": signature.to_string().len(),
        "artifactType": "a/signature",
        "annotations": { "by": "me" },
    });
    assert_eq!(found["manifests"], json!([expected]));
    let filtered = registry.get(&format!("{path}?artifactType=a%2Fbill"))?;
    assert_eq!(filtered.json()?["manifests"], json!([]));
    assert_eq!(filtered.header("oci-filters-applied"), "artifactType");

    let forget = |what: &str| registry.ask(&format!("DELETE /v2/app/manifests/{what}"));
    assert_eq!(forget("v1")?.status, 202);
    let tags =
        || Ok::<_, Box<dyn Error>>(registry.get("/v2/app/tags/list")?.json()?["tags"].clone());
    assert_eq!(tags()?, json!(["v10", "v2"]));
    assert_eq!(forget(&name)?.status, 202);
    assert_eq!(registry.get(&path)?.json()?["manifests"], json!([]));
    assert_eq!(forget(&digest)?.status, 202);
    assert_eq!(tags()?, json!([]));
    assert_eq!(registry.get("/v2/app/manifests/v2")?.status, 404);
    Ok(())
}

#[test]
fn manifests_that_are_none_are_refused() -> TestResult {
    let source = Source::new(&["linux/amd64"])?;
    let directory = tempfile::tempdir()?;
    let registry = Registry::start(&source, Some(directory.path()))?;
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let long = vec![b' '; (4 << 20) + 1];
    let mut talkative = manifest_of(b"{}", &[], Some(&json!({ "mediaType": kind })));
    talkative["annotations"] = json!({ "by": "x".repeat(20_000) });
    let talkative = talkative.to_string();
    for (sent_as, bytes, status, code) in [
        (kind, &b"nonsense"[..], 400, "MANIFEST_INVALID"),
        (kind, br#"{"schemaVersion":1}"#, 400, "MANIFEST_INVALID"),
        (
            kind,
            br#"{"schemaVersion":2,"config":{}}"#,
            400,
            "MANIFEST_INVALID",
        ),
        (
            "a/b",
            br#"{"schemaVersion":2,"mediaType":"c/d","manifests":[]}"#,
            400,
            "MANIFEST_INVALID",
        ),
        (kind, &long[..], 413, "SIZE_INVALID"),
        (kind, talkative.as_bytes(), 400, "MANIFEST_INVALID"),
    ] {
        let request = "PUT /v2/app/manifests/1";
        let answer = registry.send(request, &[("Content-Type", sent_as)], bytes)?;
        let (found, said, message) = answer.error()?;
        assert_eq!((found, said.as_str()), (status, code), "{message}");
    }
    let image = manifest_of(b"{}", &[], None);
    registry.push("app", b"{}")?;
    let answer = registry.put_manifest("app", &sha256(b"another"), &image)?;
    assert_eq!(answer.error()?.1, "DIGEST_INVALID");
    assert_eq!(
        registry.get("/v2/app/tags/list")?.json()?["tags"],
        json!([])
    );
    Ok(())
}

#[test]
fn a_token_says_who_may_do_what() -> TestResult {
    let source = Source::new(&["linux/amd64"])?;
    let directory = tempfile::tempdir()?;
    let (reader, read) = TokenEntry::generate("reader".parse()?, Scopes::Read)?;
    let (writer, write) = TokenEntry::generate("writer".parse()?, Scopes::Write)?;
    let tokens = directory.path().join("tokens");
    fs::write(&tokens, format!("{reader}\n{writer}\n"))?;
    let depot = directory.path().join("depot");
    let registry = Registry::with(&source, Some(&depot), |options| {
        options.gate.read = ReadAccess::Tokens;
        options.gate.public_write = false;
        options.gate.tokens = Some(tokens);
    })?;
    let as_who = |request: &str, token: &str| -> TestResult<u16> {
        let bearer = format!("Bearer {token}");
        Ok(registry
            .send(request, &[("Authorization", &bearer)], &[])?
            .status)
    };
    let refused = registry.get("/v2/")?;
    assert_eq!(refused.error()?.1, "UNAUTHORIZED");
    assert_eq!(
        refused.header("www-authenticate"),
        "Basic realm=\"pith registry\""
    );
    assert_eq!(as_who("GET /v2/", "wrong")?, 401);
    for (request, by_reader, by_writer) in [
        ("GET /v2/", 200, 200),
        ("GET /v2/hello/manifests/latest", 200, 403),
        ("HEAD /v2/hello/manifests/latest", 200, 200),
        ("GET /metrics", 200, 403),
        ("POST /v2/app/blobs/uploads/", 403, 202),
        ("DELETE /v2/app/manifests/1", 403, 404),
    ] {
        assert_eq!(as_who(request, &read)?, by_reader, "{request}");
        assert_eq!(as_who(request, &write)?, by_writer, "{request}");
    }
    Ok(())
}
