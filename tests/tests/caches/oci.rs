//! Debian's registry, and servers that answer as no registry should.

use bytes::Bytes;
use store::cache::backend::{
    BackendError, BackendOptions, Corruption, Credentials, ErrorClass, Need, Plaintext,
};
use tests::{
    http_server::{Asked, HttpServer, Reply, pass_on},
    other_servers::Registry,
};

use crate::{
    TestResult,
    conformance::{Cache, conforms},
    noise, object, open, pack,
};

pub(crate) fn options() -> BackendOptions {
    BackendOptions {
        plaintext: Plaintext::Allowed,
        ..BackendOptions::default()
    }
}

fn with_password(password: &str) -> BackendOptions {
    BackendOptions {
        credentials: Some(Credentials::Basic {
            user: "user".to_owned(),
            password: password.to_owned().into(),
        }),
        ..options()
    }
}

#[test]
fn a_repository_conforms() -> TestResult {
    let registry = Registry::start("")?;
    let url = format!("oci://{}/team/cache", registry.address);
    conforms(&Cache::both(open(&url, &options())?, false))
}

#[test]
fn a_repository_with_a_password_conforms() -> TestResult {
    let directory = tempfile::tempdir()?;
    let registry = Registry::start(&Registry::login(directory.path())?)?;
    let url = format!("oci://{}/cache", registry.address);
    conforms(&Cache::both(open(&url, &with_password("secret"))?, false))?;
    let need = |options: &BackendOptions| -> TestResult<Need> {
        let cache = open(&url, options)?;
        assert!(!cache.is_writable()?);
        match cache.read(&object(1), 10) {
            Err(BackendError::Denied { need, .. }) => Ok(need),
            other => Err(format!("{other:?}").into()),
        }
    };
    let scheme = Some("Basic".to_owned());
    let expected = Need::Credentials { scheme };
    assert_eq!(need(&options())?, expected);
    assert_eq!(need(&with_password("wrong"))?, expected);
    Ok(())
}

#[test]
fn a_stopped_registry_is_unreachable() -> TestResult {
    let mut registry = Registry::start("")?;
    let cache = open(&format!("oci://{}/cache", registry.address), &options())?;
    assert!(!cache.exists(&object(1))?);
    registry.process.kill();
    let class = cache.exists(&object(1)).map_err(|error| error.class());
    assert_eq!(class, Err(ErrorClass::Unreachable));
    Ok(())
}

#[test]
fn small_files_cost_one_request_and_packs_one_each_after_the_first() -> TestResult {
    let registry = Registry::start("")?;
    let address = registry.address.clone();
    // Between the two stands a server that only counts.
    let counter = HttpServer::start(move |asked| Some(pass_on(&address, asked)));
    let cache = open(&format!("oci://{}/cache", counter.address()), &options())?;
    let count = || counter.asked().len();
    cache.write(&object(1), Bytes::from(noise(1, 3000)))?;
    let before = count();
    cache.write(&object(2), Bytes::from(noise(2, 3000)))?;
    assert_eq!(count() - before, 1);
    let before = count();
    cache.read(&object(1), 3000)?;
    assert_eq!(count() - before, 1);
    cache.write(&pack(1), Bytes::from(noise(3, 1 << 20)))?;
    for expected in [2, 1, 1] {
        let before = count();
        let mut part = cache.open_range(&pack(1), 10..2000)?;
        std::io::copy(&mut part, &mut std::io::sink())?;
        assert_eq!(count() - before, expected);
    }
    Ok(())
}

#[test]
fn a_token_is_fetched_where_the_registry_says() -> TestResult {
    let server = HttpServer::start(|asked| {
        let scope = asked.path.split("scope=").nth(1).unwrap_or_default();
        Some(match asked.header("authorization") {
            _ if asked.path.starts_with("/token") => {
                assert_eq!(
                    asked.header("authorization"),
                    Some("Basic dXNlcjpzZWNyZXQ=")
                );
                let token = if scope.contains("push") {
                    "both"
                } else {
                    "pull"
                };
                Reply::new(200, format!("{{\"token\":\"{token}\"}}"))
            }
            Some("Bearer both") => Reply::new(if asked.method == "HEAD" { 200 } else { 201 }, ""),
            Some("Bearer pull") if asked.method == "HEAD" => Reply::new(404, ""),
            _ => {
                let realm = format!("http://{}/token", asked.header("host").unwrap_or_default());
                let challenge = format!("Bearer realm=\"{realm}\",service=\"s\"");
                Reply::new(401, "").with("WWW-Authenticate", challenge)
            }
        })
    });
    let url = format!("oci://{}/team/cache", server.address());
    let cache = open(&url, &with_password("secret"))?;
    assert!(!cache.exists(&object(1))?);
    cache.write(&object(1), Bytes::from_static(b"x"))?;
    assert!(cache.exists(&object(1))?);
    let asked: Vec<_> = server
        .asked()
        .iter()
        .map(|asked| {
            let path = asked.path.rsplit_once('/').map_or("", |(_, last)| last);
            format!(
                "{} {}",
                asked.method,
                path.split(['=', ':', '-']).next().unwrap_or_default()
            )
        })
        .collect();
    assert_eq!(
        asked,
        [
            "HEAD o",
            "GET token?service",
            "HEAD o",
            "HEAD sha256",
            "GET token?service",
            "HEAD sha256",
            "PUT o",
            "HEAD o",
        ]
    );
    let tokens = server.asked();
    assert!(
        tokens[1]
            .path
            .ends_with("?service=s&scope=repository%3Ateam%2Fcache%3Apull")
    );
    assert!(
        tokens[4].path.ends_with("%3Apull%2Cpush"),
        "{}",
        tokens[4].path
    );
    Ok(())
}

#[test]
fn manifests_of_other_files_are_corrupt() -> TestResult {
    let registry = Registry::start("")?;
    let url = format!("oci://{}/cache", registry.address);
    open(&url, &options())?.write(&object(1), Bytes::from_static(b"one"))?;
    let address = registry.address.clone();
    let digits = object(1).to_string()[5..].to_owned();
    // Whatever is asked for, it answers with the first record.
    let server = HttpServer::start(move |asked| {
        let path = format!("/v2/cache/manifests/o-{digits}");
        Some(pass_on(
            &address,
            &Asked {
                path,
                ..asked.clone()
            },
        ))
    });
    let cache = open(&format!("oci://{}/cache", server.address()), &options())?;
    assert_eq!(cache.read(&object(1), 10)?, b"one");
    let other = cache.read(&object(2), 10);
    assert!(
        matches!(
            other,
            Err(BackendError::Corrupt {
                problem: Corruption::Manifest {
                    reason: "is that of another file"
                },
                ..
            })
        ),
        "{other:?}"
    );
    Ok(())
}

#[test]
fn registries_are_spoken_to_over_https_unless_told_otherwise() -> TestResult {
    let server = HttpServer::start(|_| Some(Reply::new(404, "")));
    let cache = open(
        &format!("oci://{}/cache", server.address()),
        &BackendOptions::default(),
    )?;
    let class = cache.exists(&object(1)).map_err(|error| error.class());
    assert_eq!(class, Err(ErrorClass::Unreachable));
    Ok(())
}
