//! The patches of a component: a folder with the order in which they are applied.

use std::collections::BTreeSet;

use pack::audit::sources::{Bundle, BundledFile, Content};
use pack::oci::Digest;
use recipes::model::{Builder, Derivation, LocalSource, OutputRef, Source, Text};

use super::fetched::AllFetched;
use crate::error::CommandError;

/// The variable by which a builder is told what to apply to the sources.
const PATCHES: &str = "patches";
/// The file with the names of the others, in order.
const SERIES: &str = "series";

/// Returns what a builder applies to the sources, in order.
pub(super) fn patches_of(derivation: &Derivation) -> Vec<&OutputRef> {
    match derivation.builder() {
        Builder::Program(program) => {
            let patches = program.env.get(PATCHES).into_iter();
            patches.flat_map(Text::outputs).collect()
        }
        _ => Vec::new(),
    }
}

/// The folders of patches of a bundle.
#[derive(Debug, Default)]
pub(super) struct PatchFolders {
    taken: BTreeSet<String>,
}

impl PatchFolders {
    /// Adds the patches of a component, some of which may be the project's `own`, to the bundle. Returns what the bundle says of them, in order.
    pub(super) fn add(
        &mut self,
        bundle: &mut Bundle,
        derivation: &Derivation,
        fetched: &AllFetched,
        own: &[LocalSource],
    ) -> Result<Vec<BundledFile>, CommandError> {
        let mut patches = Vec::new();
        for one in patches_of(derivation) {
            if let Some((content, file)) = read(one, fetched, own)? {
                patches.push((content, file));
            }
        }
        if patches.is_empty() {
            return Ok(Vec::new());
        }
        let folder = self.folder(derivation.name().as_str());
        let mut series = String::new();
        let mut files = Vec::with_capacity(patches.len());
        for (number, (content, mut file)) in patches.into_iter().enumerate() {
            let name = format!("{:04}-{}", number + 1, file.name);
            series.push_str(&name);
            series.push('\n');
            let place = format!("{folder}/{name}");
            bundle.add(place.clone(), content);
            file.file = Some(place);
            files.push(file);
        }
        bundle.add(
            format!("{folder}/{SERIES}"),
            Content::Bytes(series.into_bytes()),
        );
        Ok(files)
    }

    /// A folder of its own: steps for several platforms may have one name.
    fn folder(&mut self, name: &str) -> String {
        let mut folder = format!("patches/{name}");
        let mut number = 1;
        while !self.taken.insert(folder.clone()) {
            number += 1;
            folder = format!("patches/{name}-{number}");
        }
        folder
    }
}

/// Reads a patch that was fetched or lies beside the recipe, in the project among its `own` files; of what a build made there is no file, only the step that makes it.
fn read(
    one: &OutputRef,
    fetched: &AllFetched,
    own: &[LocalSource],
) -> Result<Option<(Content, BundledFile)>, CommandError> {
    if let Some(found) = fetched.find(one) {
        return Ok(Some((
            Content::File(found.real.clone()),
            found.file.clone(),
        )));
    }
    let bytes = match one.derivation().builder() {
        Builder::Source(Source::Embedded(source)) => {
            source.as_single_file().map(|file| file.bytes.to_vec())
        }
        Builder::Source(Source::Local(source)) => {
            // The step is described without the place where the project lies.
            let real = own.iter().find(|one| one.path == source.path);
            let real = real
                .map(LocalSource::real_path)
                .filter(|path| path.is_file());
            let bytes = real.map(std::fs::read).transpose();
            bytes.map_err(CommandError::failed)?
        }
        _ => None,
    };
    Ok(bytes.map(|bytes| {
        let sha256 = Digest::of(&bytes).to_hex();
        let file = BundledFile {
            name: one.store_name().to_string(),
            digest: format!("sha256:{sha256}"),
            sha256: Some(sha256),
            file: None,
            urls: Vec::new(),
        };
        (Content::Bytes(bytes), file)
    }))
}
