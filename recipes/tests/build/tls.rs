//! A server whose certificate nobody but its own root vouches for.
//!
//! `tls/` holds a root, valid from 2020 to 2120, and a certificate by it for `127.0.0.1` with its key.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use recipes::build::StepError;
use recipes::model::ContentDigest;
use recipes::source::{AttemptError, FetchError};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::fixture::{Fixture, TestResult, fetch};

const ROOT: &[u8] = include_bytes!("tls/root.pem");
const CERTIFICATE: &[u8] = include_bytes!("tls/server.pem");
const KEY: &[u8] = include_bytes!("tls/server.key");
const CONTENT: &[u8] = b"over TLS";

/// Serves the content to everybody who accepts the certificate; returns the address.
fn serve() -> Result<String, Box<dyn std::error::Error>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(CERTIFICATE)?],
            PrivateKeyDer::from_pem_slice(KEY)?,
        )?;
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("https://{}/file", listener.local_addr()?);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (Ok(stream), Ok(connection)) =
                (stream, rustls::ServerConnection::new(Arc::clone(&config)))
            else {
                return;
            };
            let mut stream = rustls::StreamOwned::new(connection, stream);
            // A client that does not trust the certificate leaves here.
            let Ok(1..) = stream.read(&mut [0; 4096]) else {
                continue;
            };
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
                CONTENT.len()
            );
            drop(stream.write_all(&[head.as_bytes(), CONTENT].concat()));
            drop(stream.flush());
        }
    });
    Ok(url)
}

fn digest() -> ContentDigest {
    ContentDigest::Blake3(*blake3::hash(CONTENT).as_bytes())
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_refused_although_the_digest_would_fit() -> TestResult {
    let fixture = Fixture::new();
    let failure = fixture.failure(&fetch("file", &[serve()?], digest()));
    let StepError::Fetch(error) = &failure.error else {
        panic!("{failure:?}")
    };
    let FetchError::Unavailable { attempts, .. } = &**error else {
        panic!("{error:?}")
    };
    assert!(
        matches!(attempts[0].reason, AttemptError::Certificate { .. }),
        "{attempts:?}"
    );
    Ok(())
}

#[test]
fn a_root_that_the_user_adds_is_trusted() -> TestResult {
    let mut fixture = Fixture::new();
    fixture.options.fetch.extra_roots = ROOT.to_vec();
    let path = fixture.build(&fetch("file", &[serve()?], digest()))?;
    assert_eq!(fixture.read(&path, "").as_bytes(), CONTENT);
    Ok(())
}
