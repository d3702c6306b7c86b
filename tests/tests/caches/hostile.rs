//! Servers that lie, refuse or die, seen through the binary: another source helps, or one error says what is wrong, and the store is unharmed.

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use store::{
    MemoryNode, Realisation, ResolvedDigest,
    cache::{
        backend::BackendOptions,
        push::{PushRequest, Pusher},
        source::{Policy, Source},
    },
    testing::{TempStore, add_tree, memory_tree},
    trust::SecretKey,
};
use tests::{
    Finished, TestEnv,
    http_server::{Asked, HttpServer, Reply, Then, part_reply},
};

use crate::{TestResult, noise, open};

/// Nothing of it can be built, so whoever has it took it from a cache.
const PROJECT: &str = "app = derivation(name = \"app\", builder = [\"/nothing\"])\n";

/// How a server answers instead of with what it has.
type Fault = fn(&Asked, &[u8]) -> Option<Reply>;

/// A cache with what the project's one derivation was built to, and whose key says so.
struct Published {
    cache: tempfile::TempDir,
    key: String,
}

impl Published {
    fn new() -> TestResult<Self> {
        let asked = TestEnv::new();
        asked.write("project/pith.star", PROJECT);
        let cache = tempfile::tempdir()?;
        let address = cache.path().to_str().ok_or("a path of text")?;
        let store = TempStore::new();
        let tree = memory_tree(&[
            ("bin/app", MemoryNode::program("#!/bin/sh\n")),
            ("share/data", MemoryNode::file(noise(1, 700_000))),
        ]);
        let info = add_tree(&store, "app", tree, &[])?;
        let key = SecretKey::from_seed("builder".parse()?, &[1; 32]);
        let source = || -> TestResult<Source> {
            let backend = open(address, &BackendOptions::default())?;
            Ok(Source::new(backend, Policy::default()))
        };
        let push = |source: &Source| {
            let request = PushRequest {
                targets: vec![info.path.clone()],
                ..PushRequest::default()
            };
            let pusher = Pusher::new(&store, source).sign_with(&key);
            pusher.push(&request, &|_| {}, &AtomicBool::new(false))
        };
        push(&source()?)?;
        let why = ["cache", "why-missed", "app", "--cache", address, "--json"];
        let said = asked.pith(&why).expect_success().json();
        let resolved: ResolvedDigest = said["derivations"][0]["resolved"]
            .as_str()
            .ok_or("it is known what is asked for")?
            .parse()?;
        store.add_realisations(&[Realisation {
            resolved,
            output: "out".to_owned(),
            object: info.id,
            path: info.path.clone(),
            sandbox: "full".to_owned(),
            built_at: 1,
            duration_ms: 1,
        }])?;
        push(&source()?)?;
        Ok(Self {
            key: key.public().to_string(),
            cache,
        })
    }

    fn address(&self) -> TestResult<&str> {
        Ok(self.cache.path().to_str().ok_or("a path of text")?)
    }

    /// Serves the cache, except where the fault says something else.
    fn serve(
        &self,
        fault: impl Fn(&Asked, &[u8]) -> Option<Reply> + Send + Sync + 'static,
    ) -> HttpServer {
        let root: PathBuf = self.cache.path().into();
        HttpServer::start(move |asked| {
            match fs::read(root.join(asked.path.trim_start_matches('/'))) {
                Ok(file) => Some(fault(asked, &file).unwrap_or_else(|| part_reply(asked, &file))),
                Err(_) => Some(fault(asked, b"").unwrap_or_else(|| Reply::new(404, ""))),
            }
        })
    }

    /// Builds on a machine that has nothing and trusts the key, with some caches.
    fn build(&self, caches: &[&str], options: &[&str]) -> (TestEnv, Finished) {
        let env = TestEnv::new();
        env.write("project/pith.star", PROJECT);
        let trust = format!("[trust]\nkeys = ['{}']\n", self.key);
        env.write("home/.config/pith/config.toml", &trust);
        let mut command = vec!["build", "app"];
        command.extend(options);
        command.extend(caches.iter().flat_map(|cache| ["--cache", *cache]));
        let finished = env.pith(&command);
        (env, finished)
    }

    /// With another cache the fault costs nothing but time; without one it is an error that says this, if it says anything.
    fn survives(&self, name: &str, fault: Fault, expected: Option<&str>) -> TestResult {
        let good = self.address()?;
        let server = self.serve(fault);
        let bad = server.url("");
        let (env, built) = self.build(&[&bad, good], &[]);
        assert_eq!(built.status, 0, "{name}: {}", built.stderr);
        env.pith(&["store", "verify", "--contents"])
            .expect_success();

        let (env, refused) = self.build(&[&bad], &["--cache-only"]);
        let Some(expected) = expected else {
            assert_eq!(refused.status, 0, "{name}: {}", refused.stderr);
            return Ok(());
        };
        assert_eq!(refused.status, 1, "{name}: {}", refused.stderr);
        let errors = refused.stderr.matches("error: ").count();
        assert_eq!(errors, 1, "{name}: {}", refused.stderr);
        assert!(
            refused.stderr.contains(expected),
            "{name}: {}",
            refused.stderr
        );
        env.pith(&["store", "verify", "--contents"])
            .expect_success();
        // What was wrong is not kept.
        let again = ["build", "app", "--cache-only", "--cache", good];
        env.pith(&again).expect_success();
        Ok(())
    }
}

/// Whether a file of this folder is asked for.
fn is_in(asked: &Asked, folder: &str) -> bool {
    asked.path.starts_with(&format!("/{folder}/"))
}

/// A zstd frame (RFC 8878) of 900 MiB of zeros: 29 kB, nearly all of it blocks that say one byte and how often.
fn bomb() -> Vec<u8> {
    const BLOCK: u32 = 128 << 10;
    const BLOCKS: u32 = 7200;
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0xa0];
    frame.extend_from_slice(&(BLOCK * BLOCKS).to_le_bytes());
    for number in 1..=BLOCKS {
        let header = (BLOCK << 3) | 0b10 | u32::from(number == BLOCKS);
        frame.extend_from_slice(&header.to_le_bytes()[..3]);
        frame.push(0);
    }
    frame
}

#[test]
fn what_a_server_refuses_comes_from_elsewhere() -> TestResult {
    let published = Published::new()?;
    let cases: [(&str, Fault, Option<&str>); 4] = [
        (
            "401",
            |_, _| Some(Reply::new(401, "").with("WWW-Authenticate", "Bearer")),
            Some("credentials"),
        ),
        (
            "403",
            |_, _| Some(Reply::new(403, "")),
            Some("does not allow it"),
        ),
        ("404", |_, _| Some(Reply::new(404, "")), Some("app")),
        ("418", |_, _| Some(Reply::new(418, "")), Some("418")),
    ];
    for (name, fault, expected) in cases {
        published.survives(name, fault, expected)?;
    }
    Ok(())
}

#[test]
fn what_a_server_fails_to_do_comes_from_elsewhere() -> TestResult {
    let published = Published::new()?;
    for status in [429, 500, 503] {
        let server = published.serve(move |_, _| Some(Reply::new(status, "")));
        let (env, built) = published.build(&[&server.url(""), published.address()?], &[]);
        assert_eq!(built.status, 0, "{status}: {}", built.stderr);
        env.pith(&["store", "verify", "--contents"])
            .expect_success();
    }
    // It works for a while, and then never again.
    for answers in [1, 2, 3, 4, 5] {
        let answered = AtomicUsize::new(0);
        let server = published.serve(move |_, file| {
            let is_dead = answered.fetch_add(1, Ordering::SeqCst) >= answers;
            is_dead
                .then(|| Reply::new(200, &file[..file.len() / 2]).claiming(file.len(), Then::Close))
        });
        let (env, built) = published.build(&[&server.url(""), published.address()?], &[]);
        assert_eq!(built.status, 0, "{answers} answers: {}", built.stderr);
        env.pith(&["store", "verify", "--contents"])
            .expect_success();
    }
    Ok(())
}

#[test]
fn what_a_server_makes_up_is_refused() -> TestResult {
    let published = Published::new()?;
    let cases: [(&str, Fault, Option<&str>); 6] = [
        (
            "another range",
            |asked, file| {
                let (start, end) = asked.range()?;
                let end = end.min(file.len());
                is_in(asked, "p").then(|| {
                    let range = format!("bytes {}-{}/{}", start + 1, end, file.len() + 1);
                    Reply::new(206, &file[start..end]).with("Content-Range", range)
                })
            },
            Some("app"),
        ),
        (
            "bytes of another range",
            |asked, file| {
                let (start, end) = asked.range()?;
                let end = end.min(file.len());
                is_in(asked, "p").then(|| {
                    let range = format!("bytes {start}-{}/{}", end - 1, file.len());
                    let bytes: Vec<u8> = file[start..end].iter().rev().copied().collect();
                    Reply::new(206, bytes).with("Content-Range", range)
                })
            },
            Some("app"),
        ),
        (
            // The records are asked for one by one instead.
            "a bundle that is a bomb",
            |asked, _| {
                is_in(asked, "c").then(|| {
                    let mut bytes = b"PTHCLO01\x01\0\0\0".to_vec();
                    let bomb = bomb();
                    bytes.extend_from_slice(&u32::try_from(bomb.len()).unwrap_or(0).to_le_bytes());
                    bytes.extend_from_slice(&(28 + bomb.len() as u64 + 1).to_le_bytes());
                    bytes.extend_from_slice(&1u32.to_le_bytes());
                    bytes.extend_from_slice(&bomb);
                    bytes.push(0);
                    part_reply(asked, &bytes)
                })
            },
            None,
        ),
        (
            "packs that are bombs",
            |asked, file| {
                is_in(asked, "p").then(|| {
                    let mut bytes = b"PTHPAK01".to_vec();
                    bytes.extend(bomb());
                    bytes.resize(file.len(), 0);
                    part_reply(asked, &bytes)
                })
            },
            Some("app"),
        ),
        (
            "realisations without end",
            |asked, _| is_in(asked, "r").then(|| Reply::new(200, vec![b'{'; 2 << 20]).chunked()),
            Some("app"),
        ),
        (
            "realisations of nobody",
            |asked, file| {
                is_in(asked, "r").then(|| {
                    let text = String::from_utf8_lossy(file).replace("builder:", "other:");
                    Reply::new(200, text)
                })
            },
            Some("app"),
        ),
    ];
    for (name, fault, expected) in cases {
        published.survives(name, fault, expected)?;
    }
    Ok(())
}

#[test]
fn credentials_do_not_follow_to_another_host() -> TestResult {
    let published = Published::new()?;
    let seen: Arc<Mutex<Vec<bool>>> = Arc::default();
    let told = Arc::clone(&seen);
    let other = published.serve(move |asked, _| {
        let mut seen = told.lock().unwrap_or_else(PoisonError::into_inner);
        seen.push(asked.header("authorization").is_some());
        None
    });
    // The same machine by another name.
    let target = other.url("").replace("127.0.0.1", "localhost");
    let first = published.serve(move |asked, _| {
        Some(Reply::new(302, "").with("Location", format!("{target}{}", asked.path)))
    });
    let address = first.url("").replace("http://", "http://user:secret@");
    let (env, finished) = published.build(&[&address, published.address()?], &[]);
    assert_eq!(finished.status, 0, "{}", finished.stderr);
    assert!(!finished.stderr.contains("secret"), "{}", finished.stderr);
    env.pith(&["store", "verify", "--contents"])
        .expect_success();
    let asked = first.asked();
    assert!(!asked.is_empty());
    assert!(
        asked
            .iter()
            .all(|asked| asked.header("authorization").is_some())
    );
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(
        seen.iter().all(|has_credentials| !has_credentials),
        "{seen:?}"
    );
    Ok(())
}
