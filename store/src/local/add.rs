//! New objects into the store.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{OsStr, OsString},
    os::fd::{AsFd, BorrowedFd},
};

use super::{
    AddBatch, AddError, AddObject, AddSource, KnownComponents, Lease, LocalStore,
    commit::{Item, Publish},
    draft::{Draft, Evidence},
    ingest::Ingest,
    record::{stage_info, stage_realisation},
    rewrite::{Finals, Rewriter, final_contents, modulo_node, seal_directories},
    room::Room,
    seal::Targets,
    share::{NewContents, Sharing},
    staging::Staging,
};
use crate::{
    db::ObjectState,
    id::{ObjectId, StorePath},
    info::{PathInfo, Realisation},
    object::{ObjectSeal, seal},
    scan::Needles,
    sys::{FileError, files::at},
    tree::Contents,
};

impl LocalStore {
    /// Adds objects, all or none, and returns what they became, in the order of the batch.
    ///
    /// When it returns, the objects are valid and on disk: no crash loses them. An object that was valid already is not written again; only its
    /// realisation is recorded, and its component if one is given. Concurrent calls share one sync and one transaction. A process that dies
    /// in between leaves nothing but a staging directory, which the next who opens the store removes.
    ///
    /// Room is reserved before anything is written; a batch for which there is none is refused with the bytes that it needs.
    pub fn add(&self, batch: AddBatch<'_>) -> Result<Vec<PathInfo>, AddError> {
        self.check_writable()?;
        let mut room = self.measure(&batch)?;
        self.reserve(&mut room)
            .and_then(|()| self.add_in(&room, batch))
            .map_err(|error| self.explain(&room, error))
    }

    fn add_in(&self, room: &Room, mut batch: AddBatch<'_>) -> Result<Vec<PathInfo>, AddError> {
        self.mark_unclean()?;
        let own_lease = if batch.lease.is_none() {
            Some(self.lease()?)
        } else {
            None
        };
        let staging = self.create_staging()?;

        let targets = Targets::of(&batch);
        let needles = targets.needles();
        let sharing =
            Sharing::new(self.pool(), staging.as_fd()).map_err(at("open", staging.path()))?;
        let mut drafts = Vec::with_capacity(batch.objects.len());
        for (index, object) in batch.objects.iter_mut().enumerate() {
            drafts.push(Some(
                self.ingest(object, &needles, &sharing, room, &staging, index)?,
            ));
        }

        let evidence: Vec<Evidence> = batch
            .objects
            .iter()
            .zip(drafts.iter().flatten())
            .map(|(object, draft)| targets.evidence(object, draft, &needles))
            .collect::<Result<_, _>>()?;
        let order = targets.order(&batch, &evidence)?;
        let mut sealing = Sealing {
            store: self,
            batch: &batch,
            targets: &targets,
            sharing: &sharing,
            staging: staging.as_fd(),
            sealed: BTreeMap::new(),
        };
        let mut sealed: BTreeMap<usize, Sealed> = BTreeMap::new();
        for index in &order {
            let Some(draft) = drafts[*index].take() else {
                continue;
            };
            sealed.insert(
                *index,
                sealing.seal_object(*index, draft, &evidence[*index])?,
            );
        }

        let written = sharing.into_new_contents();
        let lease = batch.lease.or(own_lease.as_ref());
        self.publish(&batch, lease, staging, &order, sealed, &written)
    }

    /// Records what valid objects were built from. Those that are not valid are recorded as well, and found once they are.
    ///
    /// Not synced: losing a realisation costs a build, not a byte.
    pub fn add_realisations(&self, realisations: &[Realisation]) -> Result<(), AddError> {
        self.check_writable()?;
        self.mark_unclean()?;
        let staging = self.create_staging()?;
        let mut publish = Publish::new(staging.as_fd()).map_err(at("open", staging.path()))?;
        for (number, realisation) in realisations.iter().enumerate() {
            publish.records.push(stage_realisation(
                &staging,
                number,
                realisation,
                staging.path(),
            )?);
        }
        publish.realisations = realisations.to_vec();
        self.commit(publish)
    }

    fn ingest(
        &self,
        object: &mut AddObject<'_>,
        needles: &Needles,
        sharing: &Sharing<'_>,
        room: &Room,
        staging: &Staging<'_>,
        index: usize,
    ) -> Result<Draft, AddError> {
        let target = target_name(index);
        let ingest = Ingest::new(
            &object.name,
            &target,
            needles,
            sharing,
            self.options().limits,
            room,
        );
        match &mut object.source {
            AddSource::Entry { parent, name } => {
                ingest.entry(*parent, name, staging.as_fd(), &target)
            }
            AddSource::Bytes { bytes, executable } => {
                ingest.bytes(bytes, *executable, staging.as_fd(), &target)
            }
            AddSource::Reader { reader, executable } => {
                ingest.stream(reader, *executable, staging.as_fd(), &target)
            }
            AddSource::Symlink { target: to } => ingest.memory(
                &crate::MemoryNode::Symlink { target: to.clone() },
                staging.as_fd(),
                &target,
            ),
            AddSource::Tree(node) => ingest.memory(node, staging.as_fd(), &target),
        }
    }

    /// Writes the records, hands all over to the committer, and enters what is new into the pool.
    fn publish(
        &self,
        batch: &AddBatch<'_>,
        lease: Option<&Lease>,
        staging: Staging<'_>,
        order: &[usize],
        mut sealed: BTreeMap<usize, Sealed>,
        written: &NewContents,
    ) -> Result<Vec<PathInfo>, AddError> {
        // Leased first and asked for second: see `lease`.
        if let Some(lease) = lease {
            let digests: Vec<_> = sealed
                .values()
                .map(|sealed| *sealed.info.path.digest())
                .collect();
            lease.protect(&digests)?;
        }
        let mut publish = Publish::new(staging.as_fd()).map_err(at("open", staging.path()))?;
        let mut seen = BTreeSet::new();
        for (number, index) in order.iter().enumerate() {
            let Some(Sealed { info, contents }) = sealed.get_mut(index) else {
                continue;
            };
            if !seen.insert(info.path.clone()) {
                continue;
            }
            let known = match self.claim::<AddError>(info.path.digest())? {
                Some(ObjectState::Valid) => self.find_by_id(&info.id)?,
                _ => None,
            };
            if let Some(known) = &known {
                let is_kept = batch.known == KnownComponents::Keep && known.component.is_some();
                let component = info.component.take().filter(|_| !is_kept);
                let changed = component.is_some() && component != known.component;
                *info = PathInfo {
                    component: component.or_else(|| known.component.clone()),
                    ..known.clone()
                };
                if !changed {
                    continue;
                }
            }
            publish.records.push(stage_info(
                &staging,
                number,
                info,
                contents,
                staging.path(),
            )?);
            if known.is_some() {
                publish.known.push(info.clone());
            } else {
                publish.new.push(Item {
                    target: target_name(*index),
                    info: info.clone(),
                });
            }
        }
        stage_realisations(batch, &sealed, &staging, &mut publish)?;
        self.publish_staged(staging, publish, written)?;
        Ok(sealed.into_values().map(|sealed| sealed.info).collect())
    }
}

/// Writes the records of what the objects were built from.
fn stage_realisations(
    batch: &AddBatch<'_>,
    sealed: &BTreeMap<usize, Sealed>,
    staging: &Staging<'_>,
    publish: &mut Publish,
) -> Result<(), FileError> {
    for (number, new) in batch.realisations.iter().enumerate() {
        let Some(Sealed { info, .. }) = sealed.get(&new.object) else {
            continue;
        };
        let realisation = Realisation {
            resolved: new.resolved,
            output: new.output.clone(),
            object: info.id,
            path: info.path.clone(),
            sandbox: new.sandbox.clone(),
            built_at: new.built_at,
            duration_ms: new.duration_ms,
        };
        publish.records.push(stage_realisation(
            staging,
            number,
            &realisation,
            staging.path(),
        )?);
        publish.realisations.push(realisation);
    }
    Ok(())
}

fn target_name(index: usize) -> OsString {
    format!("object.{index}").into()
}

/// An object that lies in staging with its final bytes.
struct Sealed {
    info: PathInfo,
    contents: Contents,
}

/// Gives the objects of a batch their ids, one after another.
struct Sealing<'a, 'b> {
    store: &'a LocalStore,
    batch: &'a AddBatch<'b>,
    targets: &'a Targets,
    sharing: &'a Sharing<'a>,
    staging: BorrowedFd<'a>,
    sealed: BTreeMap<usize, (StorePath, ObjectId)>,
}

impl Sealing<'_, '_> {
    /// Seals an object whose references are sealed, and brings its bytes in staging to their final form.
    fn seal_object(
        &mut self,
        index: usize,
        mut draft: Draft,
        evidence: &Evidence,
    ) -> Result<Sealed, AddError> {
        let object = &self.batch.objects[index];
        let tree_error = |source| AddError::Tree {
            name: object.name.clone(),
            source,
        };
        let target = target_name(index);
        let rewriter = Rewriter {
            staging: self.staging,
            target: &target,
            sharing: self.sharing,
            own: self.targets.scratch_of(index),
        };
        rewriter.replace_others(&mut draft, &self.finals())?;
        let find = |path: &StorePath| Ok(self.store.path_info(path)?.map(|info| info.id));
        let references = self
            .targets
            .references(index, object, evidence, &self.sealed, &find)?;
        let modulo = modulo_node(&draft).map_err(tree_error)?;
        let ids: Vec<ObjectId> = references.iter().map(|reference| reference.id).collect();
        let id = seal(&ObjectSeal {
            name: &object.name,
            root: &modulo,
            references: &ids,
        });
        let path = StorePath::new(id.path_digest(), object.name.clone());
        let self_reference = modulo.has_self_reference();
        if self_reference {
            rewriter.replace_own(&mut draft, path.digest())?;
        }
        seal_directories(&draft, self.staging, OsStr::new(&target))?;
        let (root, contents) = final_contents(draft).map_err(tree_error)?;
        self.sealed.insert(index, (path.clone(), id));
        let totals = root.totals().map_err(tree_error)?;
        let info = PathInfo {
            path,
            id,
            root,
            references,
            self_reference,
            size_bytes: totals.size_bytes,
            nodes: totals.nodes,
            registered: (self.store.options().clock)(),
            component: object.component.clone(),
        };
        Ok(Sealed { info, contents })
    }

    /// The digits of the objects that have their ids.
    fn finals(&self) -> Finals {
        let scratches = self.targets.scratches.iter().enumerate();
        let finals = scratches.filter_map(|(scratch, (_, owner))| {
            self.sealed
                .get(owner)
                .map(|(path, _)| (scratch, *path.digest()))
        });
        finals.collect()
    }
}
