//! HTTP servers that take files.

use store::cache::backend::{BackendError, BackendOptions, Credentials, ErrorClass, Need};
use tests::http_server::{FileTree, HttpServer, Reply};

use bytes::Bytes;

use crate::{
    TestResult,
    conformance::{Cache, conforms},
    object, open,
};

fn with_token(token: &str) -> BackendOptions {
    BackendOptions {
        credentials: Some(Credentials::Bearer(token.to_owned().into())),
        ..BackendOptions::default()
    }
}

#[test]
fn a_server_that_takes_files_conforms() -> TestResult {
    let tree = FileTree::start(Some("right"));
    let backend = open(&tree.url("/some/where"), &with_token("right"))?;
    conforms(&Cache::both(backend, false))
}

#[test]
fn who_has_no_token_or_a_wrong_one_is_denied_and_told_what_is_missing() -> TestResult {
    let tree = FileTree::start(Some("right"));
    let bytes = Bytes::from_static(b"x");
    let need = |options: &BackendOptions| -> TestResult<Need> {
        match open(&tree.url("/"), options)?.write(&object(1), bytes.clone()) {
            Err(BackendError::Denied { need, .. }) => Ok(need),
            other => Err(format!("{other:?}").into()),
        }
    };
    let scheme = Some("Bearer".to_owned());
    assert_eq!(
        need(&BackendOptions::default())?,
        Need::Credentials { scheme }
    );
    assert_eq!(need(&with_token("wrong"))?, Need::Permission);
    Ok(())
}

#[test]
fn a_user_and_a_password_of_the_address_are_sent() -> TestResult {
    let server = HttpServer::start(|_| Some(Reply::new(200, "x")));
    let url = server.url("/").replace("://", "://us%65r:pass@");
    open(&url, &BackendOptions::default())?.read(&object(1), 1)?;
    let asked = server.asked();
    // base64 of `user:pass`
    assert_eq!(asked[0].header("authorization"), Some("Basic dXNlcjpwYXNz"));
    Ok(())
}

#[test]
fn credentials_stay_with_their_server() -> TestResult {
    let other = HttpServer::start(|_| Some(Reply::new(200, "there")));
    let target = other.url("/x");
    let server = HttpServer::start(move |asked| {
        Some(match asked.path.as_str() {
            "/here" => Reply::new(200, "here"),
            path if path.ends_with('1') => Reply::new(307, "").with("Location", "/here"),
            _ => Reply::new(302, "").with("Location", target.clone()),
        })
    });
    let cache = open(&server.url(""), &with_token("secret"))?;
    let (near, far) = (crate::name("n/n1"), crate::name("n/n2"));
    assert_eq!(cache.read(&near, 10)?, b"here");
    assert_eq!(cache.read(&far, 10)?, b"there");
    let secrets = |server: &HttpServer| -> Vec<bool> {
        let asked = server.asked();
        asked
            .iter()
            .map(|asked| asked.header("authorization").is_some())
            .collect()
    };
    assert_eq!(secrets(&server), [true, true, true]);
    assert_eq!(secrets(&other), [false]);
    Ok(())
}

#[test]
fn a_token_is_not_sent_where_others_can_read_it() -> TestResult {
    let error = open("http://cache.example/", &with_token("secret"));
    assert_eq!(
        error.map_err(|error| error.to_string()).map(drop),
        Err("the credentials for `http://cache.example` are not sent over an unencrypted connection".to_owned())
    );
    Ok(())
}

#[test]
fn what_is_written_is_not_sent_on_to_other_places() -> TestResult {
    let server = HttpServer::start(|_| Some(Reply::new(303, "").with("Location", "/other")));
    let written = open(&server.url(""), &BackendOptions::default())?
        .write(&object(1), Bytes::from_static(b"x"));
    assert!(
        matches!(written, Err(BackendError::Refused { code: 303, .. })),
        "{written:?}"
    );
    assert_eq!(server.asked().len(), 1);
    Ok(())
}

#[test]
fn servers_that_say_no_are_understood() -> TestResult {
    for (status, class, is_transient) in [
        (401, ErrorClass::Denied, false),
        (403, ErrorClass::Denied, false),
        (404, ErrorClass::Absent, false),
        (410, ErrorClass::Absent, false),
        (429, ErrorClass::Busy, true),
        (503, ErrorClass::Busy, true),
        (500, ErrorClass::Failing, true),
        (502, ErrorClass::Failing, true),
        (400, ErrorClass::Refused, false),
        (204, ErrorClass::Refused, false),
    ] {
        let server =
            HttpServer::start(move |_| Some(Reply::new(status, "why").with("Retry-After", "3")));
        let cache = open(&server.url(""), &BackendOptions::default())?;
        let error = cache.read(&object(1), 10).expect_err("no success");
        assert_eq!(
            (error.class(), error.is_transient()),
            (class, is_transient),
            "{status}"
        );
        if class == ErrorClass::Busy {
            let waits = matches!(
                error,
                BackendError::Busy { retry_after: Some(wait), .. } if wait.as_secs() == 3
            );
            assert!(waits, "{error:?}");
        }
        // The connection survives.
        assert!(cache.open_range(&object(1), 0..1).is_err());
    }
    Ok(())
}

#[test]
fn names_are_escaped_on_the_way() -> TestResult {
    let server = HttpServer::start(|_| Some(Reply::new(404, "")));
    let cache = open(&server.url("/a%20b"), &BackendOptions::default())?;
    assert!(!cache.exists(&crate::name("n/g++?=_"))?);
    assert_eq!(server.asked()[0].path, "/a%20b/n/g%2B%2B%3F=_");
    Ok(())
}
