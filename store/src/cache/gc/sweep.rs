//! The second step: what was condemned a while ago goes.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;

use super::{
    Amount, CollectError,
    inventory::{Inventory, Lists, Reader},
    plan::{dead_files, object_of, referrers_first},
};
use crate::{
    PathDigest, ResolvedDigest,
    cache::{
        backend::Replaced,
        format::{CacheName, Condemned, DrawnId, RealisationSet},
    },
};

/// How long files are removed at most, well before pushes take the collector for dead.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// How often a list of realisations is read and written at most because others add to it meanwhile.
const TRIES: u32 = 8;

/// One sweep.
pub(super) struct Sweep<'a> {
    pub(super) reader: &'a Reader<'a>,
    /// Objects that stay whatever else is known.
    pub(super) keep: &'a BTreeSet<PathDigest>,
}

/// What goes, and what has to be known for that.
struct Doomed {
    inventory: Inventory,
    stays: BTreeSet<PathDigest>,
    dead: BTreeSet<CacheName>,
}

impl Sweep<'_> {
    /// Removes what is on a list, and then the list. When it fails, nobody removes any more, and what is left is still condemned.
    pub(super) fn run(&self, list: &Condemned, now: SystemTime) -> Result<Amount, CollectError> {
        let begun = Instant::now();
        let mut list = list.clone();
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        list.sweep_begun = Some(since.as_secs());
        write_list(self.reader, &list)?;
        // Only now: who claims from here on sees what was just written.
        let removed = self
            .find_doomed(&list)
            .and_then(|doomed| self.remove_all(&doomed, begun));
        match removed {
            Ok(removed) => {
                self.reader.cache.remove(&CacheName::Condemned)?;
                self.reader.cache.flush()?;
                Ok(removed)
            }
            Err(error) => {
                // Then pushes need not wait until this collector counts as dead. That it failed is said in any case.
                if let Ok(id) = DrawnId::draw() {
                    list.id = id;
                    list.sweep_begun = None;
                    let _written = write_list(self.reader, &list);
                }
                Err(error)
            }
        }
    }

    /// Returns what would go.
    pub(super) fn preview(&self, list: &Condemned) -> Result<Amount, CollectError> {
        let doomed = self.find_doomed(list)?;
        let mut amount = Amount::default();
        for name in &doomed.dead {
            amount.add(name, doomed.inventory.size(name));
        }
        Ok(amount)
    }

    fn find_doomed(&self, list: &Condemned) -> Result<Doomed, CollectError> {
        let reader = self.reader;
        let inventory = reader.load_inventory()?;
        let claims = reader.load_claims(&inventory, |_| true)?;
        let marked_at = UNIX_EPOCH + Duration::from_secs(list.marked_at);
        let is_condemned = |name: &CacheName| list.names().contains(name);
        let is_new = |name: &CacheName| {
            let file = inventory.files.get(name);
            file.is_some_and(|file| file.modified > marked_at)
        };
        let may_go =
            |name: &CacheName| is_condemned(name) && !claims.contains(name) && !is_new(name);
        let lists: Lists = reader.load_lists(&restricted(&inventory, |name| {
            !matches!(name, CacheName::PlanHint(_)) || is_condemned(name)
        }))?;
        let own = inventory.files.keys().filter(|name| match name {
            CacheName::Object(_) | CacheName::Closure(_) => !is_condemned(name) || is_new(name),
            _ => false,
        });
        let roots = own
            .chain(&claims)
            .filter_map(object_of)
            // What leads to an object and stays, keeps it.
            .chain(lists.objects_of(|name| !may_go(name)))
            .chain(self.keep.iter().copied());
        let stays = inventory.closure(reader, roots)?;
        let uses = reader.load_uses(&inventory, &stays)?;
        let condemned = restricted(&inventory, is_condemned);
        let dead = dead_files(&condemned, &stays, &uses, &lists, &claims, |modified| {
            *modified <= marked_at
        });
        Ok(Doomed {
            inventory,
            stays,
            dead,
        })
    }

    /// Removes files in the order that leaves no name that leads nowhere, each step durable before the next.
    fn remove_all(&self, doomed: &Doomed, begun: Instant) -> Result<Amount, CollectError> {
        let dead = |is_wanted: fn(&CacheName) -> bool| -> Vec<CacheName> {
            let wanted = doomed.dead.iter().filter(|name| is_wanted(name));
            wanted.cloned().collect()
        };
        let objects = dead(|name| matches!(name, CacheName::Object(_)));
        let objects: BTreeSet<PathDigest> = objects.iter().filter_map(object_of).collect();
        let mut steps = vec![dead(|name| {
            !matches!(
                name,
                CacheName::Object(_) | CacheName::Manifest(_) | CacheName::Pack(_)
            )
        })];
        let parts = referrers_first(&objects, &doomed.inventory.facts);
        steps.extend(
            parts
                .into_iter()
                .map(|part| part.into_iter().map(CacheName::Object).collect()),
        );
        steps.push(dead(|name| matches!(name, CacheName::Manifest(_))));
        steps.push(dead(|name| matches!(name, CacheName::Pack(_))));
        let mut removed = Amount::default();
        for step in steps.iter().filter(|step| !step.is_empty()) {
            let gone = self.reader.for_each(step, |name| {
                if begun.elapsed() > LONGEST {
                    return Err(CollectError::TooLong {
                        cache: self.reader.cache.url().to_string(),
                    });
                }
                if let CacheName::Realisations(resolved) = name {
                    return self.trim(resolved, doomed);
                }
                self.reader.cache.remove(name)?;
                Ok(true)
            })?;
            self.reader.cache.flush()?;
            for (name, is_gone) in step.iter().zip(gone) {
                if is_gone {
                    removed.add(name, doomed.inventory.size(name));
                }
            }
        }
        Ok(removed)
    }

    /// Takes the realisations out of a list whose objects go. Tells whether the whole list went.
    fn trim(&self, resolved: &ResolvedDigest, doomed: &Doomed) -> Result<bool, CollectError> {
        let name = CacheName::Realisations(*resolved);
        let cache = self.reader.cache;
        let file = || self.reader.address(&name);
        for _ in 0..TRIES {
            let (there, before) = self.reader.load_realisations(resolved)?;
            let kept = match &there {
                Some(there) => self.kept(resolved, there, doomed)?,
                None => RealisationSet::new(*resolved),
            };
            if kept.entries().is_empty() {
                cache.remove(&name)?;
                return Ok(true);
            }
            if there.is_some_and(|there| there == kept) {
                return Ok(false);
            }
            let bytes = kept.encode().map_err(|source| CollectError::Format {
                file: file(),
                source,
            })?;
            if cache.replace(&name, &Bytes::from(bytes), &before)? == Replaced::Written {
                return Ok(false);
            }
        }
        Err(CollectError::Contended { file: file() })
    }

    fn kept(
        &self,
        resolved: &ResolvedDigest,
        there: &RealisationSet,
        doomed: &Doomed,
    ) -> Result<RealisationSet, CollectError> {
        let mut kept = RealisationSet::new(*resolved);
        for entry in there.entries() {
            let object = *entry.realisation.path.digest();
            let record = CacheName::Object(object);
            let is_new = !doomed.inventory.files.contains_key(&record);
            if doomed.stays.contains(&object) || (is_new && self.reader.cache.exists(&record)?) {
                kept.insert(entry.clone())
                    .map_err(|source| CollectError::Format {
                        file: self.reader.address(&CacheName::Realisations(*resolved)),
                        source,
                    })?;
            }
        }
        Ok(kept)
    }
}

/// Returns some of the files alone.
fn restricted(inventory: &Inventory, is_wanted: impl Fn(&CacheName) -> bool) -> Inventory {
    let files = inventory.files.iter().filter(|(name, _)| is_wanted(name));
    Inventory {
        files: files
            .map(|(name, file)| (name.clone(), file.clone()))
            .collect(),
        facts: BTreeMap::new(),
    }
}

/// Reads the list of what goes. One that says nothing is none: by it nobody removes anything.
pub(super) fn read_list(reader: &Reader<'_>) -> Result<Option<Condemned>, CollectError> {
    let name = CacheName::Condemned;
    match super::inventory::read_file(reader.cache, &name)? {
        Some(bytes) => reader.understood(&name, Condemned::decode(&bytes)),
        None => Ok(None),
    }
}

/// Writes the list of what goes; durable when it returns.
pub(super) fn write_list(reader: &Reader<'_>, list: &Condemned) -> Result<(), CollectError> {
    let name = CacheName::Condemned;
    let bytes = list.encode().map_err(|source| CollectError::Format {
        file: reader.address(&name),
        source,
    })?;
    reader.cache.write(&name, &Bytes::from(bytes))?;
    reader.cache.flush()?;
    Ok(())
}
