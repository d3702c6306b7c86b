//! Images to Debian's registry, through servers that count, and to servers that answer as no registry should.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use pack::{
    Image, ImageName, ImageSpec, PackOptions,
    oci::Digest,
    registry::{PushError, PushOptions, Pushed, open_repository},
};
use store::registry::RegistryError;
use tests::{
    http_server::{Asked, HttpServer, Reply, Then, pass_on},
    other_servers::Registry,
};

use crate::{Fixture, TestResult, before, check_image, registry_options};

/// The layer of the library has several chunks of this size, the others have one.
const CHUNK: usize = 64 << 10;

/// Pushes `hello` for the given platforms, one layer at a time.
fn push_for(
    fixture: &Fixture,
    reference: &str,
    platforms: &[&str],
) -> Result<Pushed, Box<dyn std::error::Error>> {
    let name: ImageName = reference.parse()?;
    let repository = open_repository(&name, &registry_options())?;
    let mut images = Vec::new();
    for platform in platforms {
        let mut spec = ImageSpec::new("hello".parse()?);
        spec.platform = platform.parse()?;
        let roots = [fixture.hello.clone()];
        let options = PackOptions {
            // Nobody starts it.
            check_start: false,
            ..PackOptions::default()
        };
        images.push(Image::new(
            &fixture.store,
            &roots,
            &spec,
            &options,
            &|_| (),
        )?);
    }
    let options = PushOptions {
        uploads: 1,
        chunk_bytes: CHUNK,
    };
    let (image, others) = images.split_first().ok_or("no platform")?;
    Ok(image.push_with(others, &name, &repository, &options)?)
}

fn push(fixture: &Fixture, reference: &str) -> Result<Pushed, Box<dyn std::error::Error>> {
    push_for(fixture, reference, &["linux/amd64"])
}

/// What a push failed with.
fn push_error(fixture: &Fixture, server: &HttpServer) -> RegistryError {
    let reference = format!("{}/app:1", server.address());
    let error = push(fixture, &reference).expect_err("it cannot be pushed");
    match error.downcast::<PushError>() {
        Ok(error) => match *error {
            PushError::Registry { source, .. } => source,
            other => panic!("{other:?}"),
        },
        Err(other) => panic!("{other:?}"),
    }
}

/// The methods of what was asked, in order, runs of one method once.
fn methods(asked: &[Asked]) -> Vec<&str> {
    let mut methods: Vec<&str> = asked.iter().map(|asked| asked.method.as_str()).collect();
    methods.dedup();
    methods
}

fn sent_bytes(asked: &[Asked]) -> u64 {
    asked
        .iter()
        .filter(|asked| asked.path.contains("/blobs/uploads/"))
        .filter_map(|asked| asked.header("content-length")?.parse::<u64>().ok())
        .sum()
}

#[test]
fn what_is_pushed_is_there_and_a_second_push_asks_one_question() -> TestResult {
    let fixture = Fixture::new()?;
    let registry = Registry::start("")?;
    let server = before(&registry, |_, _| None);
    let reference = format!("{}/team/app:1.0", server.address());
    let first = push(&fixture, &reference)?;
    assert!(!first.unchanged && first.sent_blobs > 2 && first.encoded_bytes > 0);
    check_image(&registry, "team/app", "1.0", first.manifest_digest)?;
    let asked = server.asked();
    assert_eq!(
        asked.last().map(|asked| asked.path.as_str()),
        Some("/v2/team/app/manifests/1.0")
    );
    assert_eq!(sent_bytes(&asked), first.sent_bytes);
    let chunks = asked.iter().filter(|asked| asked.method == "PATCH");
    assert!(chunks.clone().count() > 3);
    assert!(
        chunks
            .clone()
            .all(|asked| asked.header("content-range").is_some())
    );

    let second = push(&fixture, &reference)?;
    assert_eq!(second.manifest_digest, first.manifest_digest);
    assert_eq!(
        (second.unchanged, second.sent_bytes, second.encoded_bytes),
        (true, 0, 0)
    );
    assert_eq!(methods(&server.asked()[asked.len()..]), ["HEAD"]);
    assert_eq!(server.asked().len(), asked.len() + 1);

    // Another tag costs questions and a manifest.
    let third = push(&fixture, &format!("{}/team/app:1.1", server.address()))?;
    assert_eq!((third.unchanged, third.sent_blobs), (false, 0));
    assert_eq!(methods(&server.asked()[asked.len() + 1..]), ["HEAD", "PUT"]);
    check_image(&registry, "team/app", "1.1", first.manifest_digest)
}

#[test]
fn an_index_is_pushed_after_its_images_and_shares_their_layers() -> TestResult {
    let fixture = Fixture::new()?;
    let registry = Registry::start("")?;
    let reference = format!("{}/app", registry.address);
    let platforms = ["linux/amd64", "linux/arm64"];
    let pushed = push_for(&fixture, &reference, &platforms)?;
    // The library is half as large as this.
    assert!(pushed.sent_bytes < 600_000);
    check_image(&registry, "app", "latest", pushed.manifest_digest)?;
    assert!(push_for(&fixture, &reference, &platforms)?.unchanged);
    assert!(!push(&fixture, &reference)?.unchanged);
    Ok(())
}

#[test]
fn what_another_repository_has_is_not_sent() -> TestResult {
    let fixture = Fixture::new()?;
    let registry = Registry::start("")?;
    let server = before(&registry, |_, _| None);
    let first = push(&fixture, &format!("{}/one:1", server.address()))?;
    let before_second = server.asked().len();
    let second = push(&fixture, &format!("{}/two/deep:1", server.address()))?;
    // Configurations are small, and differ wherever anything does.
    assert_eq!(second.sent_blobs, 1);
    assert_eq!(second.mounted_blobs, first.sent_blobs - 1);
    assert_eq!(second.encoded_bytes, 0);
    let mounts = &server.asked()[before_second..];
    assert!(mounts.iter().any(|asked| asked.path.contains("from=one")));
    check_image(&registry, "two/deep", "1", first.manifest_digest)
}

#[test]
fn a_mount_that_the_registry_refuses_or_ignores_is_an_upload() -> TestResult {
    for status in [202, 404, 403] {
        let fixture = Fixture::new()?;
        let registry = Registry::start("")?;
        let address = registry.address.clone();
        let server = before(&registry, move |asked, _| {
            let (path, _) = asked.path.split_once("?mount=")?;
            let path = path.to_owned();
            Some(match status {
                202 => pass_on(
                    &address,
                    &Asked {
                        path,
                        ..asked.clone()
                    },
                ),
                status => Reply::new(status, ""),
            })
        });
        let first = push(&fixture, &format!("{}/one:1", server.address()))?;
        let second = push(&fixture, &format!("{}/two:1", server.address()))?;
        assert_eq!(second.sent_bytes, first.sent_bytes, "{status}");
        assert_eq!(second.mounted_blobs, 0, "{status}");
        check_image(&registry, "two", "1", first.manifest_digest)?;
    }
    Ok(())
}

#[test]
fn the_right_to_read_what_is_mounted_is_asked_for() -> TestResult {
    let fixture = Fixture::new()?;
    let registry = spec_registry::Registry::default();
    let server = HttpServer::start(move |asked| {
        if asked.path.starts_with("/token") {
            let has_both = asked.path.contains("scope=repository%3Aone%3Apull&")
                || asked.path.ends_with("scope=repository%3Aone%3Apull");
            let token = if has_both { "both" } else { "one" };
            return Some(Reply::new(200, format!("{{\"token\":\"{token}\"}}")));
        }
        let is_mount = asked.path.contains("mount=");
        match (asked.header("authorization"), asked.method.as_str()) {
            (Some("Bearer both"), "POST") if is_mount => Some(Reply::new(201, "")),
            (Some("Bearer both" | "Bearer one"), _) if !is_mount => {
                let is_two = asked.method == "HEAD" && asked.path.starts_with("/v2/two/");
                Some(if is_two {
                    Reply::new(404, "")
                } else {
                    registry.answer(asked, usize::MAX)
                })
            }
            _ => {
                let host = asked.header("host").unwrap_or_default();
                let challenge = format!("Bearer realm=\"http://{host}/token\",service=\"s\"");
                Some(Reply::new(401, "").with("WWW-Authenticate", challenge))
            }
        }
    });
    let first = push(&fixture, &format!("{}/one:1", server.address()))?;
    let second = push(&fixture, &format!("{}/two:1", server.address()))?;
    assert_eq!(second.mounted_blobs, first.sent_blobs - 1);
    Ok(())
}

#[test]
fn a_push_that_was_killed_is_taken_up_where_it_ended() -> TestResult {
    let fixture = Fixture::new()?;
    let whole = {
        let other = Fixture::new()?;
        let registry = Registry::start("")?;
        push(&other, &format!("{}/app:1", registry.address))?
    };
    let registry = Registry::start("")?;
    // After the first blob nothing else comes through.
    let done = AtomicUsize::new(0);
    let server = before(&registry, move |asked, _| {
        let is_end = asked.method == "PUT" && asked.path.contains("digest=");
        (is_end && done.fetch_add(1, Ordering::Relaxed) > 0).then(|| Reply::new(400, ""))
    });
    assert!(matches!(
        push_error(&fixture, &server),
        RegistryError::Refused { code: 400, .. }
    ));
    let reference = format!("{}/app:1", registry.address);
    let rest = push(&fixture, &reference)?;
    assert_eq!(rest.sent_blobs, whole.sent_blobs - 1);
    assert!(rest.sent_bytes < whole.sent_bytes);
    check_image(&registry, "app", "1", whole.manifest_digest)
}

/// A registry with one repository, as the specification has it, that loses what tests want.
mod spec_registry {
    use std::{
        collections::BTreeMap,
        sync::{Mutex, PoisonError},
    };

    use super::{Asked, Digest, Reply};

    #[derive(Default)]
    pub(super) struct Registry {
        blobs: Mutex<BTreeMap<String, Vec<u8>>>,
        upload: Mutex<Vec<u8>>,
    }

    impl Registry {
        /// Answers; of the chunk of a `PATCH` only the first `taken` bytes are kept.
        pub(super) fn answer(&self, asked: &Asked, taken: usize) -> Reply {
            let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
            let (_, last) = path.rsplit_once('/').unwrap_or_default();
            let mut blobs = self.blobs.lock().unwrap_or_else(PoisonError::into_inner);
            let mut upload = self.upload.lock().unwrap_or_else(PoisonError::into_inner);
            let status = |code, upload: &[u8]| {
                let range = format!("0-{}", upload.len().saturating_sub(1));
                Reply::new(code, "")
                    .with("Location", "/v2/app/blobs/uploads/1")
                    .with("Range", range)
            };
            match asked.method.as_str() {
                "HEAD" if blobs.contains_key(last) => Reply::new(200, ""),
                "HEAD" => Reply::new(404, ""),
                "POST" => {
                    upload.clear();
                    status(202, &upload)
                }
                "PATCH" => {
                    let start = asked.header("content-range").and_then(|range| {
                        let (start, _) = range.split_once('-')?;
                        start.parse().ok()
                    });
                    if start != Some(upload.len()) {
                        return status(416, &upload);
                    }
                    upload.extend(asked.body.iter().take(taken));
                    status(202, &upload)
                }
                "GET" => status(204, &upload),
                "PUT" if query.starts_with("digest=") => {
                    upload.extend(&asked.body);
                    let digest = Digest::of(&upload).to_string();
                    if query != format!("digest={}", digest.replace(':', "%3A")) {
                        let text =
                            r#"{"errors":[{"code":"DIGEST_INVALID","message":"it differs"}]}"#;
                        return Reply::new(400, text);
                    }
                    blobs.insert(digest, std::mem::take(&mut upload));
                    Reply::new(201, "")
                }
                _ => Reply::new(201, ""),
            }
        }
    }
}

/// Pushes to a registry that treats the third chunk as `third` says. Returns what was asked and sent.
fn push_with_trouble(
    third: impl Fn(&spec_registry::Registry, &Asked) -> Option<Reply> + Send + Sync + 'static,
) -> Result<(Vec<Asked>, Pushed), Box<dyn std::error::Error>> {
    let fixture = Fixture::new()?;
    let registry = spec_registry::Registry::default();
    let chunks = AtomicUsize::new(0);
    let server = HttpServer::start(move |asked| {
        if asked.method == "PATCH" && chunks.fetch_add(1, Ordering::Relaxed) == 2 {
            return third(&registry, asked);
        }
        Some(registry.answer(asked, usize::MAX))
    });
    let pushed = push(&fixture, &format!("{}/app:1", server.address()))?;
    Ok((server.asked(), pushed))
}

#[test]
fn only_the_rest_of_a_chunk_is_sent_after_it_failed() -> TestResult {
    let (asked, pushed) =
        push_with_trouble(|registry, asked| Some(registry.answer(asked, usize::MAX)))?;
    let smooth = sent_bytes(&asked);
    assert_eq!(smooth, pushed.sent_bytes);
    // Of the third chunk, so many bytes arrive before the registry fails.
    for taken in [0, 1000, CHUNK] {
        let (asked, _) = push_with_trouble(move |registry, asked| {
            drop(registry.answer(asked, taken));
            Some(Reply::new(500, ""))
        })?;
        assert_eq!(sent_bytes(&asked) - smooth, (CHUNK - taken) as u64);
    }
    // It takes less than was sent, and says so.
    let (asked, _) = push_with_trouble(|registry, asked| Some(registry.answer(asked, 1000)))?;
    assert_eq!(sent_bytes(&asked) - smooth, (CHUNK - 1000) as u64);
    Ok(())
}

#[test]
fn an_upload_that_the_registry_lost_begins_again() -> TestResult {
    let (asked, pushed) = push_with_trouble(|_, _| Some(Reply::new(404, "")))?;
    assert_eq!(sent_bytes(&asked), pushed.sent_bytes + 3 * CHUNK as u64);
    Ok(())
}

#[test]
fn an_image_that_changes_on_its_way_is_refused() -> TestResult {
    let fixture = Fixture::new()?;
    let registry = spec_registry::Registry::default();
    let server = HttpServer::start(move |asked| {
        let mut asked = asked.clone();
        if let Some(byte) = asked.body.first_mut() {
            *byte ^= 1;
        }
        Some(registry.answer(&asked, usize::MAX))
    });
    assert_eq!(
        push_error(&fixture, &server).to_string(),
        format!(
            "the registry of `{}/app:1` answered 400: it differs",
            server.address()
        )
    );
    Ok(())
}

#[test]
fn a_registry_that_names_other_digests_is_not_believed() -> TestResult {
    let lie = format!("sha256:{}", "0".repeat(64));
    for (method, path) in [
        ("PUT", "digest="),
        ("PUT", "/manifests/"),
        ("HEAD", "/blobs/"),
    ] {
        let fixture = Fixture::new()?;
        let registry = spec_registry::Registry::default();
        let lie_here = lie.clone();
        let server = HttpServer::start(move |asked| {
            let reply = registry.answer(asked, usize::MAX);
            let is_here = asked.method == method && asked.path.contains(path);
            Some(if is_here {
                Reply::new(if method == "HEAD" { 200 } else { 201 }, "")
                    .with("Docker-Content-Digest", lie_here.clone())
            } else {
                reply
            })
        });
        let error = push_error(&fixture, &server);
        assert!(
            matches!(&error, RegistryError::Digest { found, .. } if *found == lie),
            "{method} {path}: {error:?}"
        );
    }
    Ok(())
}

#[test]
fn each_refusal_is_told_apart_and_passing_ones_are_waited_for() -> TestResult {
    for (status, tries, message) in [
        (
            401,
            1,
            "is denied: the registry wants credentials (Negotiate)",
        ),
        (403, 1, "is denied: not yours"),
        (404, 1, "is not in the registry"),
        (413, 1, "takes nothing that large (413)"),
        (429, 5, "is busy (429)"),
        (500, 5, "answered 500: not yours"),
        (503, 5, "is busy (503)"),
        (418, 1, "answered 418: not yours"),
    ] {
        let fixture = Fixture::new()?;
        let server = HttpServer::start(move |_| {
            let text = r#"{"errors":[{"code":"DENIED","message":"not yours"}]}"#;
            let reply = Reply::new(status, text)
                .with("Retry-After", "0")
                .with("WWW-Authenticate", "Negotiate x");
            Some(reply)
        });
        let error = push_error(&fixture, &server).to_string();
        assert!(error.ends_with(message), "{error}");
        assert_eq!(server.asked().len(), tries, "{status}");
    }
    Ok(())
}

#[test]
fn a_registry_that_is_busy_at_first_gets_the_image() -> TestResult {
    let fixture = Fixture::new()?;
    let registry = Registry::start("")?;
    let seen = Mutex::new(BTreeSet::new());
    let server = before(&registry, move |asked, _| {
        let path = asked.path.split('?').next().unwrap_or_default();
        // Of uploads, whichever it is: where one was refused, another is begun.
        let path = path.split_inclusive("uploads/").next().unwrap_or_default();
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = seen.insert(format!("{} {path}", asked.method));
        is_first.then(|| Reply::new(429, "").with("Retry-After", "0"))
    });
    let pushed = push(&fixture, &format!("{}/app:1", server.address()))?;
    check_image(&registry, "app", "1", pushed.manifest_digest)
}

#[test]
fn a_server_that_only_hangs_up_is_no_registry() -> TestResult {
    let fixture = Fixture::new()?;
    let server = HttpServer::start(|_| Some(Reply::new(200, "").claiming(9, Then::Close)));
    // It says yes to everything, and ends each answer early.
    assert!(push(&fixture, &format!("{}/app:1", server.address())).is_err());
    Ok(())
}

#[test]
fn chunks_are_as_long_as_the_registry_asks_for() -> TestResult {
    const LEAST: usize = 2 * CHUNK;
    let fixture = Fixture::new()?;
    let registry = Registry::start("")?;
    let server = before(&registry, |asked, ask| {
        let least = LEAST.to_string();
        (asked.method == "POST").then(|| ask().with("oci-chunk-min-length", least))
    });
    let pushed = push(&fixture, &format!("{}/app:1", server.address()))?;
    assert_eq!(pushed.chunk_bytes, LEAST);
    check_image(&registry, "app", "1", pushed.manifest_digest)?;
    let asked = server.asked();
    let chunks = asked.iter().filter(|asked| asked.method == "PATCH");
    let lengths: Vec<usize> = chunks
        .filter_map(|asked| asked.header("content-length")?.parse().ok())
        .collect();
    assert_eq!(lengths.iter().max(), Some(&LEAST));
    let whole = lengths.iter().filter(|length| **length == LEAST);
    assert_eq!(whole.count(), 300_000 / LEAST);
    Ok(())
}
