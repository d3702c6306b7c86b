//! A bucket of moto, and servers that answer as no bucket should.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use store::cache::backend::{
    BackendError, BackendOptions, Before, Corruption, ErrorClass, Replaced, S3Settings,
};
use tests::http_server::{HttpServer, Reply, part_reply};

use bytes::Bytes;

use crate::{
    TestResult,
    conformance::{Cache, conforms},
    noise, object, open, pack,
    servers::Moto,
};

pub(crate) fn options() -> BackendOptions {
    let mut s3 = S3Settings::default();
    for (name, value) in [
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_REGION", "us-east-1"),
    ] {
        s3.add_variable(name, value);
    }
    BackendOptions {
        s3,
        ..BackendOptions::default()
    }
}

/// Makes a bucket, which is no task of a cache.
pub(crate) fn make_bucket(endpoint: &str) -> TestResult {
    let address = endpoint.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address)?;
    let request = format!(
        "PUT /bucket HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    match answer.starts_with("HTTP/1.1 200") {
        true => Ok(()),
        false => Err(answer.into()),
    }
}

#[test]
fn a_bucket_conforms() -> TestResult {
    let moto = Moto::start()?;
    make_bucket(&moto.endpoint)?;
    let url = format!("s3://bucket/a/prefix?endpoint={}", moto.endpoint);
    conforms(&Cache::both(open(&url, &options())?, true))?;
    // Another prefix is another cache.
    let other = format!("s3://bucket?endpoint={}", moto.endpoint);
    assert!(!open(&other, &options())?.exists(&pack(32))?);
    Ok(())
}

#[test]
fn who_is_overtaken_does_not_write() -> TestResult {
    let moto = Moto::start()?;
    make_bucket(&moto.endpoint)?;
    let url = format!("s3://bucket/prefix?endpoint={}", moto.endpoint);
    let (one, other) = (open(&url, &options())?, open(&url, &options())?);
    let file = object(1);
    let bytes = |text: &'static str| Bytes::from_static(text.as_bytes());
    // Both found that there is nothing.
    let first = one.replace(&file, bytes("one"), &Before::Absent)?;
    let second = other.replace(&file, bytes("other"), &Before::Absent)?;
    assert_eq!((first, second), (Replaced::Written, Replaced::Overtaken));
    // Both read what is there.
    let (there, before) = other.read_marked(&file, 10)?;
    assert_eq!(there, b"one");
    let first = one.replace(&file, bytes("one, two"), &before)?;
    let second = other.replace(&file, bytes("one, other"), &before)?;
    assert_eq!((first, second), (Replaced::Written, Replaced::Overtaken));
    let (there, before) = other.read_marked(&file, 10)?;
    assert_eq!(there, b"one, two");
    one.remove(&file)?;
    let removed = other.replace(&file, bytes("three"), &before)?;
    assert_eq!(removed, Replaced::Overtaken);
    assert!(!one.exists(&file)?);
    Ok(())
}

#[test]
fn a_server_without_conditions_is_written_without() -> TestResult {
    let server = HttpServer::start(|asked| {
        let is_conditional = asked.header("if-match").is_some();
        let code = if is_conditional { 501 } else { 200 };
        Some(Reply::new(code, "").with("ETag", "\"mark\""))
    });
    let before = Before::Marked("\"mark\"".to_owned());
    let written = bucket(&server)?.replace(&object(1), Bytes::from_static(b"x"), &before)?;
    assert_eq!(written, Replaced::Written);
    assert_eq!(server.asked().len(), 2);
    Ok(())
}

#[test]
fn a_stopped_bucket_is_unreachable() -> TestResult {
    let mut moto = Moto::start()?;
    let url = format!("s3://bucket?endpoint={}", moto.endpoint);
    let cache = open(&url, &options())?;
    assert!(!cache.exists(&object(1))?);
    moto.process.kill();
    for class in [
        cache
            .exists(&object(1))
            .map_err(|error| error.class())
            .map(drop),
        cache
            .read(&object(1), 1)
            .map_err(|error| error.class())
            .map(drop),
        cache
            .write(&object(1), Bytes::new())
            .map_err(|error| error.class()),
    ] {
        assert_eq!(class, Err(ErrorClass::Unreachable));
    }
    Ok(())
}

/// A server that answers everything alike.
fn bucket(server: &HttpServer) -> TestResult<Box<dyn store::cache::backend::Backend>> {
    open(
        &format!("s3://bucket?endpoint={}", server.url("")),
        &options(),
    )
}

#[test]
fn refusals_are_understood() -> TestResult {
    for (status, class) in [
        (401, ErrorClass::Denied),
        (403, ErrorClass::Denied),
        (404, ErrorClass::Absent),
        (503, ErrorClass::Busy),
        (500, ErrorClass::Failing),
        (301, ErrorClass::Refused),
        (412, ErrorClass::Refused),
    ] {
        let text = "<Error><Code>SlowDown</Code></Error>";
        let server = HttpServer::start(move |_| {
            Some(Reply::new(status, text).chunked().with("Retry-After", "2"))
        });
        let cache = bucket(&server)?;
        let error = cache.read(&object(1), 9).expect_err("no success");
        assert_eq!(error.class(), class, "{status}");
        if let BackendError::Busy { retry_after, .. } = error {
            assert_eq!(retry_after.map(|wait| wait.as_secs()), Some(2));
        }
        let written = cache.write(&object(1), Bytes::from_static(b"x"));
        assert_eq!(
            written.map_err(|error| error.class()),
            Err(class),
            "{status}"
        );
        // Nothing was tried twice below the one who decides about that.
        assert_eq!(server.asked().len(), 2, "{status}");
    }
    Ok(())
}

#[test]
fn parts_are_looked_at() -> TestResult {
    let file = || noise(1, 10_000);
    let read = |reply: fn(&tests::http_server::Asked, &[u8]) -> Reply| -> TestResult<_> {
        let server = HttpServer::start(move |asked| Some(reply(asked, &file())));
        let mut part = match bucket(&server)?.open_range(&pack(1), 100..200) {
            Ok(part) => part,
            Err(error) => return Ok(Err(error)),
        };
        let mut bytes = Vec::new();
        Ok(match std::io::copy(&mut part, &mut bytes) {
            Ok(_) => Ok(bytes),
            Err(error) => Err(BackendError::from_read(error, "the part")),
        })
    };
    assert_eq!(read(part_reply)??, file()[100..200]);
    // A server that knows no parts.
    assert_eq!(read(|_, file| Reply::new(200, file))??, file()[100..200]);
    let other =
        read(|_, file| Reply::new(206, &file[..100]).with("Content-Range", "bytes 0-99/10000"))?;
    let expected = Corruption::Range {
        expected: (100, 200),
        found: Some((0, 100)),
    };
    assert!(
        matches!(&other, Err(BackendError::Corrupt { problem, .. }) if *problem == expected),
        "{other:?}"
    );
    Ok(())
}

#[test]
fn a_listing_without_end_is_left() -> TestResult {
    let server = HttpServer::start(|_| Some(Reply::new(200, vec![b'<'; 64 << 20]).chunked()));
    let listed = bucket(&server)?.list(store::cache::backend::FileKind::Pack, &mut |_| ());
    assert_eq!(
        listed.map_err(|error| error.class()),
        Err(ErrorClass::Corrupt)
    );
    Ok(())
}

#[test]
fn who_has_no_credentials_asks_without() -> TestResult {
    let server = HttpServer::start(|_| Some(Reply::new(200, "x")));
    let url = format!("s3://bucket/p?endpoint={}&region=here", server.url(""));
    let cache = open(&url, &BackendOptions::default())?;
    assert_eq!(cache.read(&object(1), 1)?, b"x");
    assert!(!cache.is_writable()?);
    open(&url, &options())?.read(&object(1), 1)?;
    let asked = server.asked();
    assert_eq!(asked[0].path, format!("/bucket/p/{}", object(1)));
    assert_eq!(asked[0].header("authorization"), None);
    let signed = asked[1].header("authorization").unwrap_or_default();
    assert!(signed.contains("/here/s3/aws4_request"), "{signed}");
    Ok(())
}
