//! Packages of Debian as objects: each unpacked by itself, and sets of them.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Instant;

use store::{AddSource, Component, ContainedComponent, KnownComponents, LocalStore, StorePath};

use super::component::component;
use super::error::StepError;
use super::files::at;
use super::perform::{Job, globs};
use super::register::{Circumstances, Made, Rules, register_as};
use crate::composition::{Composition, MemberObject, Shape};
use crate::debian::{built_using, with_source_version};
use crate::facts::find_license;
use crate::model::{Deb, DebSet, ResolvedDerivation};
use crate::plan::Outputs;
use crate::source::deb::{DebFile, Selection, unpack, unpack_control};

/// What the name of a license begins with that SPDX has not.
const UNKNOWN: &str = "LicenseRef-";

impl Job<'_> {
    /// Unpacks one package: its files below `root`, what it says about itself below `control`.
    pub(super) fn unpack_member(
        &self,
        deb: &Deb,
        resolved: &ResolvedDerivation,
    ) -> Result<Outputs, StepError> {
        let started = Instant::now();
        self.tell_build(1);
        self.hold(&self.debs)?;
        let selection = Selection {
            drop: globs(&deb.drop)?,
            keep: globs(&deb.keep)?,
            ..Selection::default()
        };
        let files = self.debs.iter().map(|path| DebFile {
            name: path.name().to_string(),
            path: self.store().real_path(path),
        });
        let files: Vec<DebFile> = files.collect();
        self.in_private_directory(|directory| {
            let out = directory.add("out", 0o755)?;
            let (root, control) = (out.join("root"), out.join("control"));
            let open = |path: &Path| {
                fs::create_dir(path)
                    .and_then(|()| File::open(path))
                    .map_err(at(path))
            };
            unpack(&files, &selection, open(&root)?.as_fd(), self.stop)?;
            let control = open(&control)?;
            for file in &files {
                unpack_control(file, control.as_fd())?;
            }
            let mut facts = component(self.derivation);
            let control = fs::read_to_string(out.join("control/control")).unwrap_or_default();
            add_source_version(&mut facts, &control);
            facts.contains = built_in(&control);
            add_license(&mut facts, &root);
            let circumstances = Circumstances {
                known: KnownComponents::Keep,
                ..self.circumstances(Some(resolved), started)
            };
            let rules = Rules::default();
            let outputs =
                self.register_out(facts.clone(), rules, &circumstances, directory.fd())?;
            self.record_package_facts(&outputs, &facts)?;
            Ok(outputs)
        })
    }

    /// Puts packages together, as an object that names them or as one tree.
    pub(super) fn compose(
        &self,
        set: &DebSet,
        resolved: &ResolvedDerivation,
    ) -> Result<Outputs, StepError> {
        let started = Instant::now();
        self.tell_build(1);
        self.hold(&self.debs)?;
        let member = |path: &StorePath| MemberObject {
            name: path.name().to_string(),
            logical: path.to_logical(),
            real: self.store().real_path(path),
        };
        let members: Vec<MemberObject> = self.debs.iter().map(member).collect();
        let composition = Composition {
            members: &members,
            requested: &set.requested,
            release: &set.release,
            shape: if set.tree { Shape::Tree } else { Shape::Set },
        };
        // A tree has copies and needs nobody; a set is found to refer to its members by scanning.
        let rules = Rules {
            candidates: if set.tree {
                Vec::new()
            } else {
                resolved.inputs.clone()
            },
            ..Rules::default()
        };
        self.in_private_directory(|directory| {
            let out = directory.add("out", 0o755)?;
            composition.write(&out)?;
            let facts = component(self.derivation);
            let circumstances = self.circumstances(Some(resolved), started);
            self.register_out(facts, rules, &circumstances, directory.fd())
        })
    }

    fn register_out(
        &self,
        facts: Component,
        rules: Rules,
        circumstances: &Circumstances,
        parent: std::os::fd::BorrowedFd<'_>,
    ) -> Result<Outputs, StepError> {
        let name = OsStr::new("out");
        let made = vec![Made {
            source: AddSource::Entry { parent, name },
            scratch: None,
        }];
        register_as(
            self.store(),
            self.derivation,
            facts,
            made,
            rules,
            circumstances,
            self.lease,
        )
    }
}

/// Has the package URL say which version of its source package it was built from, where that is another one than its own.
fn add_source_version(facts: &mut Component, control: &str) {
    if let Some(purl) = facts.purl.as_deref()
        && let Some(purl) = with_source_version(purl, control)
    {
        facts.purl = Some(purl);
    }
}

/// The source packages of which something is in a package, such as those of static libraries.
fn built_in(control: &str) -> Vec<ContainedComponent> {
    let sources = built_using(control).into_iter();
    let contained = sources.map(|source| ContainedComponent {
        purl: source.purl(),
        name: source.name,
        version: Some(source.version),
        ..ContainedComponent::default()
    });
    contained.collect()
}

/// Reads again what packages say of their license, of which a version of this program before this one could read nothing or not all. That it was done, the version
/// of their facts says: whoever changes what is read raises it.
pub(super) fn renew_licenses<'a>(
    store: &LocalStore,
    packages: impl Iterator<Item = (&'a StorePath, &'a Component)>,
) -> Result<(), StepError> {
    let mut renewed: Vec<(StorePath, Component)> = Vec::new();
    for (path, component) in packages {
        let license = component.license.as_deref();
        if license.is_some_and(|license| !license.contains(UNKNOWN)) {
            continue;
        }
        let mut found = component.clone();
        add_license(&mut found, &store.real_path(path).join("root"));
        if found != *component {
            renewed.push((path.clone(), found));
        }
    }
    if !renewed.is_empty() {
        store.set_components(&renewed)?;
    }
    Ok(())
}

/// Takes the license from the package's copyright file, where a machine can read that.
fn add_license(facts: &mut Component, root: &Path) {
    let place = format!("usr/share/doc/{}/copyright", facts.name);
    let text = fs::read_to_string(root.join(&place)).unwrap_or_default();
    if let Some(license) = find_license(&text) {
        facts.license = Some(license);
        facts.license_evidence = Some(place);
    }
}
