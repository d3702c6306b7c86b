//! An image as a registry of this machine, while something runs.

use std::{
    collections::BTreeSet,
    error::Error,
    io::{Read as _, Write as _},
    net::TcpStream,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use pack::{
    Compression, Format, Image, PackOptions,
    existing::{ExistingImage, ImageReference},
    oci::Digest,
    registry::open_repository,
    serve::{Loopback, LoopbackError},
    validate_image,
};
use store::{net::Credentials, registry::RegistryOptions};

use crate::fixture::{Fixture, TestResult, unchecked};

/// Reads all of the image as a client does, and returns its digest and the lowest layers that are those of a base.
pub(crate) fn pull(loopback: &Loopback) -> Result<(Digest, Vec<Digest>), Box<dyn Error>> {
    let reference: ImageReference = format!("{}/library/hello:latest", loopback.address).parse()?;
    let options = RegistryOptions {
        credentials: Some(Credentials::Basic {
            user: "anybody".to_owned(),
            password: loopback.token.clone(),
        }),
        ..RegistryOptions::default()
    };
    let repository = open_repository(&reference.to_string().parse()?, &options)?;
    let image = ExistingImage::fetch(&reference, &repository)?;
    let found = validate_image(&image, &BTreeSet::new())?;
    if !found.mismatches.is_empty() {
        return Err(format!("{:?}", found.mismatches).into());
    }
    Ok((image.digest()?, found.base_layers))
}

/// Asks as no client of registries does. Returns the status and the body.
fn ask(
    loopback: &Loopback,
    request: &str,
    token: Option<&str>,
    header: &str,
) -> Result<(u16, Vec<u8>), Box<dyn Error>> {
    let mut stream = TcpStream::connect(loopback.address)?;
    let login = token.map(|token| STANDARD.encode(format!("x:{token}")));
    let login = login.map_or_else(String::new, |login| {
        format!("Authorization: Basic {login}\r\n")
    });
    let head = format!("{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{login}{header}\r\n");
    stream.write_all(head.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let mut parts = answer.splitn(2, |byte| *byte == b' ');
    let after = parts.nth(1).ok_or("no status")?;
    let status = std::str::from_utf8(&after[..3])?.parse()?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    Ok((status, answer[end.ok_or("no body")? + 4..].to_vec()))
}

fn image<'a>(fixture: &'a Fixture, compression: Compression) -> Result<Image<'a>, Box<dyn Error>> {
    let options = PackOptions {
        compression,
        ..unchecked()
    };
    let roots = [fixture.hello.path.clone()];
    Ok(Image::new(
        &fixture.store,
        &roots,
        &fixture.spec(),
        &options,
        &|_| (),
    )?)
}

#[test]
fn who_has_the_token_pulls_the_image_that_an_archive_would_be() -> TestResult {
    for compression in Compression::ALL {
        let fixture = Fixture::new()?;
        let image = image(&fixture, compression)?;
        // Nothing was ever made, and then everything is remembered.
        for round in ["first", "second"] {
            let (pulled, said) = image.serve_while(|loopback| {
                assert_eq!(loopback.sent_layers(), 0, "nobody has asked");
                let pulled = pull(loopback);
                assert_eq!(loopback.sent_layers(), image.layers().len());
                (pulled, loopback.manifest)
            })?;
            let (digest, base) = pulled?;
            assert_eq!((digest, base), (said, vec![]), "{compression}");
            let written = image.write(Format::Archive, &fixture.place(round))?;
            assert_eq!(written.manifest_digest, Some(digest), "{compression}");
        }
    }
    Ok(())
}

#[test]
fn nobody_else_gets_anything() -> TestResult {
    let fixture = Fixture::new()?;
    let image = image(&fixture, Compression::None)?;
    let layer = image.report().layers[0].digest;
    assert_eq!(layer, None);
    image.manifest_digest()?;
    let layer = image.report().layers[0].digest.ok_or("it was made")?;
    image.serve_while(|loopback| -> TestResult {
        let other = loopback.token.replace(|c: char| c.is_ascii_digit(), "f");
        for token in [None, Some(""), Some(other.as_str())] {
            for path in [
                "/v2/".to_owned(),
                "/v2/library/hello/manifests/latest".to_owned(),
                format!("/v2/library/hello/manifests/{}", loopback.manifest),
                format!("/v2/library/hello/blobs/{}", loopback.config),
                format!("/v2/library/hello/blobs/{layer}"),
                "/metrics".to_owned(),
            ] {
                let (status, body) = ask(loopback, &format!("GET {path}"), token, "")?;
                assert_eq!(status, 401, "{path}");
                assert!(body.len() < 200, "{path}");
            }
        }
        Ok(())
    })?
}

#[test]
fn only_this_image_is_there_and_parts_of_it_are_those_of_the_whole() -> TestResult {
    let fixture = Fixture::new()?;
    let image = image(&fixture, Compression::None)?;
    image.manifest_digest()?;
    let large = image.report().layers[0].digest.ok_or("it was made")?;
    image.serve_while(|loopback| -> TestResult {
        let ask = |request: &str, header: &str| {
            ask(loopback, request, Some(loopback.token.as_str()), header)
        };
        for (expected, request) in [
            (200, "GET /v2/".to_owned()),
            (200, "HEAD /v2/library/hello/manifests/latest".to_owned()),
            (404, "GET /v2/library/hello/manifests/1".to_owned()),
            (404, "GET /v2/library/other/manifests/latest".to_owned()),
            (404, format!("GET /v2/library/other/blobs/{large}")),
            (
                404,
                format!("GET /v2/library/hello/blobs/{}", loopback.manifest),
            ),
            (
                200,
                format!("GET /v2/library/hello/referrers/{}", loopback.manifest),
            ),
            (405, "POST /v2/library/hello/blobs/uploads/".to_owned()),
            (405, format!("DELETE /v2/library/hello/blobs/{large}")),
        ] {
            assert_eq!(ask(&request, "")?.0, expected, "{request}");
        }
        let blob = format!("GET /v2/library/hello/blobs/{large}");
        let (_, whole) = ask(&blob, "")?;
        assert_eq!(Digest::of(&whole), large);
        for (first, last) in [(0, 0), (5, 9), (4_194_300, 4_194_310)] {
            let range = format!("Range: bytes={first}-{last}\r\n");
            let (status, part) = ask(&blob, &range)?;
            assert_eq!(status, 206);
            assert!(part == whole[first..=last], "{first}-{last}");
        }
        Ok(())
    })?
}

#[test]
fn a_layer_that_cannot_be_made_any_more_is_the_error() -> TestResult {
    let fixture = Fixture::new()?;
    let image = image(&fixture, Compression::None)?;
    image.manifest_digest()?;
    fixture.damage_hello()?;
    let pulled = image.serve_while(|loopback| pull(loopback).is_ok());
    match pulled {
        Err(LoopbackError::Layer(error)) => {
            assert!(error.to_string().contains("is damaged"), "{error}");
        }
        other => return Err(format!("{other:?}").into()),
    }
    Ok(())
}
