//! Images that exist already, to and from Debian's registry, and from servers that answer as no registry should.

use std::{
    collections::BTreeSet,
    fs,
    path::PathBuf,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use pack::{
    Format, Image, ImageName, ImageSpec, PackOptions,
    existing::{ExistingError, ExistingImage, FileKind, ImageReference, SourceError},
    oci::Digest,
    registry::{PushOptions, Pushed, open_repository},
    validate, validate_image,
};
use store::registry::{RegistryError, Repository};
use tests::{
    http_server::{HttpServer, Reply, Then, pass_on},
    other_servers::Registry,
};

use crate::{Fixture, TestResult, before, check_image, registry_options};

/// The layer of the library has several chunks of this size, the others have one.
const CHUNK: usize = 64 << 10;

pub(crate) struct Places {
    fixture: Fixture,
    outputs: tempfile::TempDir,
}

impl Places {
    pub(crate) fn new() -> TestResult<Self> {
        Ok(Self {
            fixture: Fixture::new()?,
            outputs: tempfile::tempdir()?,
        })
    }

    fn place(&self, name: &str) -> PathBuf {
        self.outputs.path().join(name)
    }

    /// Writes `hello` for the given platforms as an archive.
    pub(crate) fn archive(&self, platforms: &[&str]) -> TestResult<PathBuf> {
        let mut images = Vec::new();
        for platform in platforms {
            let mut spec = ImageSpec::new("hello".parse()?);
            spec.platform = platform.parse()?;
            let roots = [self.fixture.hello.clone()];
            let options = PackOptions {
                check_start: false,
                ..PackOptions::default()
            };
            let store = &self.fixture.store;
            images.push(Image::new(store, &roots, &spec, &options, &|_| ())?);
        }
        let (first, others) = images.split_first().ok_or("no platform")?;
        let place = self.place(&format!("{}.tar", platforms.len()));
        first.write_with(others, Format::Archive, &place)?;
        Ok(place)
    }
}

impl Places {
    /// Pushes `hello` for the given platforms to a registry. Returns its digest.
    pub(crate) fn push(
        &self,
        registry: &str,
        name: &str,
        platforms: &[&str],
    ) -> TestResult<Digest> {
        let archive = self.archive(platforms)?;
        let image = ExistingImage::open(&archive, None)?;
        Ok(push(&image, &format!("{registry}/{name}"))?.manifest_digest)
    }
}

fn repository(reference: &str) -> TestResult<(ImageReference, Repository)> {
    let reference: ImageReference = reference.parse()?;
    let repository = open_repository(reference.name(), &registry_options())?;
    Ok((reference, repository))
}

fn push(image: &ExistingImage<'_>, reference: &str) -> Result<Pushed, ExistingError> {
    let name: ImageName = reference.parse().expect("a legal name");
    let repository = open_repository(&name, &registry_options()).expect("it asks nobody");
    let options = PushOptions {
        uploads: 2,
        chunk_bytes: CHUNK,
    };
    image.push(None, &name, &repository, &options)
}

#[test]
fn an_archive_is_pushed_and_pulled_with_every_byte() -> TestResult {
    let places = Places::new()?;
    let registry = Registry::start("")?;
    let archive = places.archive(&["linux/amd64", "linux/arm64"])?;
    let image = ExistingImage::open(&archive, None)?;
    let text = format!("{}/team/app:1", registry.address);
    let pushed = push(&image, &text)?;
    assert_eq!(pushed.manifest_digest, image.digest()?);
    assert!(pushed.sent_blobs > 3 && !pushed.unchanged);
    check_image(&registry, "team/app", "1", pushed.manifest_digest)?;
    assert!(push(&image, &text)?.unchanged);

    let by_digest = format!("{}/team/app@{}", registry.address, pushed.manifest_digest);
    for reference in [&text, &by_digest] {
        let (reference, repository) = repository(reference)?;
        let remote = ExistingImage::fetch(&reference, &repository)?;
        let found = validate_image(&remote, &BTreeSet::new())?;
        assert_eq!((found.mismatches, found.manifests.len()), (vec![], 2));
        let pulled = places.place("pulled.tar");
        remote.copy(None, FileKind::Archive, &"hello".parse()?, &pulled)?;
        assert_eq!(validate(&pulled)?.mismatches, []);
        let copy = ExistingImage::open(&pulled, None)?;
        assert_eq!(copy.digest()?, pushed.manifest_digest);
        assert_eq!(copy.inspect(None)?, image.inspect(None)?);
    }
    Ok(())
}

#[test]
fn only_what_is_for_one_platform_is_asked_for_and_sent() -> TestResult {
    let places = Places::new()?;
    let registry = Registry::start("")?;
    let archive = places.archive(&["linux/amd64", "linux/arm64"])?;
    let image = ExistingImage::open(&archive, None)?;
    push(&image, &format!("{}/app:1", registry.address))?;
    let server = before(&registry, |_, _| None);
    let (reference, source) = repository(&format!("{}/app:1", server.address()))?;
    let remote = ExistingImage::fetch(&reference, &source)?;
    let arm = "linux/arm64".parse()?;
    let place = places.place("arm.tar");
    remote.copy(Some(&arm), FileKind::Archive, &"app".parse()?, &place)?;
    let manifests = server.asked();
    let manifests = manifests
        .iter()
        .filter(|one| one.path.contains("/manifests/"));
    assert_eq!(manifests.count(), 2);
    let one = ExistingImage::open(&place, None)?;
    assert_eq!(one.inspect(None)?.images[0].platform, "linux/arm64/v8");
    Ok(())
}

#[test]
fn a_copy_within_a_registry_moves_no_blob() -> TestResult {
    let places = Places::new()?;
    let registry = Registry::start("")?;
    let archive = places.archive(&["linux/amd64"])?;
    let server = before(&registry, |_, _| None);
    let address = server.address();
    let first = push(
        &ExistingImage::open(&archive, None)?,
        &format!("{address}/one:1"),
    )?;
    let so_far = server.asked().len();
    let (reference, source) = repository(&format!("{address}/one:1"))?;
    let image = ExistingImage::fetch(&reference, &source)?;
    let second = push(&image, &format!("{address}/two/deep:2"))?;
    assert_eq!((second.sent_blobs, second.sent_bytes), (0, 0));
    assert_eq!(second.mounted_blobs, first.sent_blobs);
    let asked = server.asked();
    let gets = asked[so_far..].iter().filter(|one| one.method == "GET");
    assert!(gets.clone().all(|one| one.path.contains("/manifests/")));
    check_image(&registry, "two/deep", "2", first.manifest_digest)
}

#[test]
fn a_blob_whose_connection_breaks_is_read_on_where_it_ended() -> TestResult {
    let places = Places::new()?;
    let registry = Registry::start("")?;
    let archive = places.archive(&["linux/amd64"])?;
    let image = ExistingImage::open(&archive, None)?;
    let pushed = push(&image, &format!("{}/app:1", registry.address))?;
    let address = registry.address.clone();
    // Each answer ends after 100 000 bytes, and each second question finds nobody in.
    let count = AtomicUsize::new(0);
    let server = HttpServer::start(move |asked| {
        let reply = pass_on(&address, asked);
        if !asked.path.contains("/blobs/") || reply.body.len() < 100_000 {
            return Some(reply);
        }
        if count.fetch_add(1, Ordering::Relaxed) % 2 == 1 {
            return Some(Reply::new(503, "").with("Retry-After", "0"));
        }
        let length = reply.body.len();
        let mut short = reply;
        short.body.truncate(100_000);
        Some(short.claiming(length, Then::Close))
    });
    let (reference, source) = repository(&format!("{}/app:1", server.address()))?;
    let remote = ExistingImage::fetch(&reference, &source)?;
    let place = places.place("copy.tar");
    remote.copy(None, FileKind::Archive, &"app".parse()?, &place)?;
    assert_eq!(validate(&place)?.manifests, [pushed.manifest_digest]);
    let asked = server.asked();
    let ranges = asked.iter().filter_map(|one| one.header("range"));
    let ranges: BTreeSet<&str> = ranges.collect();
    assert!(ranges.contains("bytes=100000-"), "{ranges:?}");
    Ok(())
}

#[test]
fn a_registry_that_sends_something_else_is_not_believed() -> TestResult {
    let places = Places::new()?;
    let registry = Registry::start("")?;
    let archive = places.archive(&["linux/amd64"])?;
    let image = ExistingImage::open(&archive, None)?;
    let pushed = push(&image, &format!("{}/app:1", registry.address))?;
    for (path, in_manifest) in [("/blobs/", false), ("/manifests/", true)] {
        let address = registry.address.clone();
        let server = HttpServer::start(move |asked| {
            let mut reply = pass_on(&address, asked);
            if asked.path.contains(path)
                && let Some(byte) = reply.body.first_mut()
            {
                *byte ^= 1;
            }
            Some(reply)
        });
        let by_digest = format!("{}/app@{}", server.address(), pushed.manifest_digest);
        let (reference, source) = repository(&by_digest)?;
        let remote = ExistingImage::fetch(&reference, &source);
        if in_manifest {
            assert!(matches!(
                remote,
                Err(SourceError::Registry {
                    source: RegistryError::Digest { .. },
                    ..
                })
            ));
            continue;
        }
        let remote = remote?;
        assert!(
            !validate_image(&remote, &BTreeSet::new())?
                .mismatches
                .is_empty()
        );
        let place = places.place("copy");
        let copied = remote.copy(None, FileKind::Layout, &"app".parse()?, &place);
        assert!(matches!(copied, Err(ExistingError::Damaged { .. })));
        assert!(!place.exists());
    }
    Ok(())
}

#[test]
fn an_upload_whose_end_is_refused_for_a_while_is_not_sent_again() -> TestResult {
    for status in [429, 503] {
        let places = Places::new()?;
        let registry = Registry::start("")?;
        let archive = places.archive(&["linux/amd64"])?;
        let seen = Mutex::new(BTreeSet::new());
        let server = before(&registry, move |asked, _| {
            if asked.method != "PUT" || !asked.path.contains("digest=") {
                return None;
            }
            let (_, digest) = asked.path.split_once("digest=")?;
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.insert(digest.to_owned())
                .then(|| Reply::new(status, "").with("Retry-After", "0"))
        });
        let image = ExistingImage::open(&archive, None)?;
        let pushed = push(&image, &format!("{}/app:1", server.address()))?;
        check_image(&registry, "app", "1", pushed.manifest_digest)?;
        let asked = server.asked();
        let begun = asked.iter().filter(|one| one.method == "POST").count();
        assert_eq!(begun, pushed.sent_blobs, "{status}");
    }
    Ok(())
}

#[test]
fn tags_come_page_by_page() -> TestResult {
    let server = HttpServer::start(|asked| {
        let (tags, next) = match asked.path.as_str() {
            "/v2/app/tags/list" => (r#"{"name":"app","tags":["b","a"]}"#, Some("b")),
            "/v2/app/tags/list?last=b" => (r#"{"name":"app","tags":["c"]}"#, Some("c")),
            "/v2/app/tags/list?last=c" => (r#"{"name":"app","tags":null}"#, None),
            _ => return Some(Reply::new(404, "")),
        };
        let reply = Reply::new(200, tags);
        Some(match next {
            Some(last) => reply.with(
                "Link",
                format!("</v2/app/tags/list?last={last}>; rel=\"next\""),
            ),
            None => reply,
        })
    });
    let (_, repository) = repository(&format!("{}/app", server.address()))?;
    assert_eq!(repository.fetch_tags("app")?, ["b", "a", "c"]);

    let registry = Registry::start("")?;
    let places = Places::new()?;
    let archive = places.archive(&["linux/amd64"])?;
    let image = ExistingImage::open(&archive, None)?;
    for tag in ["2", "1"] {
        push(&image, &format!("{}/app:{tag}", registry.address))?;
    }
    let name = format!("{}/app", registry.address);
    let (_, repository) = self::repository(&name)?;
    let mut tags = repository.fetch_tags("app")?;
    tags.sort_unstable();
    assert_eq!(tags, ["1", "2"]);
    Ok(())
}

#[test]
fn a_layout_of_another_tool_is_pushed_as_it_is() -> TestResult {
    let places = Places::new()?;
    let registry = Registry::start("")?;
    let archive = places.archive(&["linux/amd64"])?;
    let expected = ExistingImage::open(&archive, None)?.digest()?;
    for (format, name) in [
        ("oci", "layout"),
        ("oci-archive", "oci.tar"),
        ("docker-archive", "docker.tar"),
    ] {
        let place = places.place(name);
        let from = format!("oci-archive:{}", archive.display());
        let to = format!("{format}:{}:app:1", place.display());
        let status = std::process::Command::new("skopeo")
            .args(["--insecure-policy", "copy", "-q", &from, &to])
            .env_remove("AWS_CA_BUNDLE")
            .status()?;
        assert!(status.success(), "{format}");
        let image = ExistingImage::open(&place, None)?;
        let found = validate_image(&image, &BTreeSet::new())?;
        assert_eq!(found.mismatches, [], "{format}");
        let pushed = push(&image, &format!("{}/app:{name}", registry.address))?;
        if format == "docker-archive" {
            // Its layers are not compressed, so that is another image.
            assert_eq!(image.image_name()?, Some("app:1".parse()?));
        } else {
            assert_eq!(pushed.manifest_digest, expected, "{format}");
        }
        check_image(&registry, "app", name, pushed.manifest_digest)?;
        let remote = format!("docker://{}/app:{name}", registry.address);
        let back = places.place(&format!("back-{name}"));
        let status = std::process::Command::new("skopeo")
            .args(["--insecure-policy", "copy", "-q", "--src-tls-verify=false"])
            .args([&remote, &format!("dir:{}", back.display())])
            .status()?;
        assert!(status.success(), "{format}");
        let manifest = fs::read(back.join("manifest.json"))?;
        assert_eq!(Digest::of(&manifest), pushed.manifest_digest);
    }
    Ok(())
}
