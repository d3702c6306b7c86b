//! From what a recipe declares, or the lack of it, to the packer's specification.

use std::collections::{BTreeMap, BTreeSet};

use pack::layer::LayerRule;
use pack::oci::HealthCheck;
use pack::{FileSpec, ImageName, ImageSpec};
use recipes::model::{ImageDeclaration, Piece, Platform, Protocol, Text};
use store::StorePath;

use crate::error::CommandError;
use crate::platform::image_platform;
use crate::selection::Selection;

/// The specification of an image of selections that became `paths`: what is declared, where one declared image was selected.
pub(crate) fn spec_of(
    selections: &[Selection],
    name: &str,
    platform: Platform,
    paths: &[StorePath],
) -> Result<ImageSpec, CommandError> {
    match selections {
        [Selection::Image(image)] => declared_spec(image, name, platform, paths),
        _ => default_spec(name, platform),
    }
}

/// The specification of an image that nobody declared: `name`, with every default.
fn default_spec(name: &str, platform: Platform) -> Result<ImageSpec, CommandError> {
    Ok(ImageSpec {
        platform: image_platform(platform),
        ..ImageSpec::new(name.parse::<ImageName>()?)
    })
}

/// The specification of a declared image, whose packages became `paths`, in the declaration's order.
fn declared_spec(
    image: &ImageDeclaration,
    name: &str,
    platform: Platform,
    paths: &[StorePath],
) -> Result<ImageSpec, CommandError> {
    let text = |text: &Text| realised(image, paths, text);
    let texts = |list: &[Text]| list.iter().map(text).collect::<Vec<_>>();
    let map = |map: &BTreeMap<String, Text>| -> BTreeMap<String, String> {
        map.iter()
            .map(|(key, value)| (key.clone(), text(value)))
            .collect()
    };
    let mut ports = BTreeSet::new();
    for port in &image.ports {
        let protocol = match port.protocol {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        };
        ports.insert(format!("{}/{protocol}", port.number).parse()?);
    }
    let files = [(&image.files, false), (&image.executables, true)].into_iter();
    let files = files.flat_map(|(files, executable)| {
        map(files).into_iter().map(move |(path, text)| {
            let contents = text.into_bytes();
            (
                path,
                FileSpec {
                    contents,
                    executable,
                },
            )
        })
    });
    let mut spec = ImageSpec {
        entrypoint: image.entrypoint.as_deref().map(texts),
        cmd: texts(&image.cmd),
        env: map(&image.env),
        working_directory: image.workdir.as_ref().map(text),
        ports,
        volumes: image.volumes.iter().cloned().collect(),
        labels: image.labels.clone(),
        annotations: image.annotations.clone(),
        health_check: image.health_check.as_ref().map(|check| HealthCheck {
            test: [vec!["CMD".to_owned()], texts(&check.command)].concat(),
            interval: check.interval.map(nanoseconds),
            timeout: check.timeout.map(nanoseconds),
            start_period: check.start_period.map(nanoseconds),
            retries: check.retries,
        }),
        stop_signal: image.stop_signal.clone(),
        links: image.links.as_ref().map(map),
        files: files.collect(),
        layer_rules: (image.layers.iter())
            .map(|(name, patterns)| LayerRule {
                name: name.clone(),
                patterns: patterns.clone(),
            })
            .collect(),
        ..default_spec(name, platform)?
    };
    if let Some(user) = &image.user {
        let user = user.parse();
        spec.user =
            Some(user.map_err(|error: pack::rootfs::RootFsError| CommandError::failed(error))?);
    }
    Ok(spec)
}

fn nanoseconds(seconds: u32) -> u64 {
    u64::from(seconds) * 1_000_000_000
}

/// `text` with the store paths that its packages became in place of their placeholders.
fn realised(image: &ImageDeclaration, paths: &[StorePath], text: &Text) -> String {
    let path_of = |piece: &Piece| match piece {
        Piece::Literal(literal) => literal.clone(),
        Piece::Output(output) => image
            .packages
            .iter()
            .position(|package| package == output)
            .and_then(|index| paths.get(index))
            .map_or_else(|| output.placeholder(), StorePath::to_logical),
    };
    text.pieces().iter().map(path_of).collect()
}
