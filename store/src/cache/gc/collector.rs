//! The order of a collection.

use std::{
    collections::BTreeSet,
    sync::atomic::AtomicBool,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::{
    Amount, CollectError, CollectReport, CollectRequest,
    inventory::{Inventory, Reader, Uses, read_file},
    pins::read_pins,
    plan::{dead_files, leading_first, object_of, young_objects},
    repack::{repack, wasteful_packs},
    sweep::{Sweep, read_list, write_list},
    turn::{Turn, is_older},
};
use crate::{
    PathDigest, StorePath,
    cache::{
        format::{CacheInfo, CacheName, Condemned, DrawnId},
        source::Source,
    },
};

/// Collects one cache.
///
/// ```no_run
/// use std::{collections::BTreeSet, sync::atomic::AtomicBool, time::{Duration, SystemTime}};
/// use store::cache::{gc::{CollectError, CollectRequest, Collector}, source::Source};
///
/// fn forget_last_year(cache: &Source) -> Result<u64, CollectError> {
///     const DAY: Duration = Duration::from_secs(24 * 60 * 60);
///     let request = CollectRequest { keep: BTreeSet::new(), older_than: Some(365 * DAY), grace: DAY, dry_run: false };
///     let report = Collector::new(cache, SystemTime::now()).collect(&request, &AtomicBool::new(false))?;
///     Ok(report.removed.size_bytes)
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Collector<'a> {
    cache: &'a Source,
    now: SystemTime,
}

/// What is to stay, pins included.
struct Wanted<'a> {
    request: &'a CollectRequest,
    paths: BTreeSet<StorePath>,
    keep: BTreeSet<PathDigest>,
}

impl Wanted<'_> {
    /// For how long what was pushed or claimed stays.
    fn young(&self) -> Duration {
        let asked = self.request.older_than.unwrap_or_default();
        asked.max(self.request.grace)
    }
}

impl<'a> Collector<'a> {
    /// Takes a cache and the time.
    #[must_use]
    pub const fn new(cache: &'a Source, now: SystemTime) -> Self {
        Self { cache, now }
    }

    /// Removes what was condemned a grace period ago, and condemns what nothing needs now. Blocks.
    ///
    /// With a grace period of nothing both happens at once, to the same files: then nobody should push.
    pub fn collect(
        &self,
        request: &CollectRequest,
        cancel: &AtomicBool,
    ) -> Result<CollectReport, CollectError> {
        let reader = &Reader {
            cache: self.cache,
            cancel,
        };
        self.check_cache(reader)?;
        let turn = match request.dry_run {
            true => None,
            false => Some(Turn::take(self.cache, self.now)?),
        };
        let mut paths = read_pins(self.cache)?.paths;
        paths.extend(request.keep.iter().cloned());
        if paths.is_empty() && request.older_than.is_none() {
            return Err(CollectError::NothingStays {
                cache: self.cache.url().to_string(),
            });
        }
        let wanted = Wanted {
            request,
            keep: paths.iter().map(|path| *path.digest()).collect(),
            paths,
        };
        let mut report = CollectReport::default();
        let mut gone = BTreeSet::new();
        if let Some(list) = read_list(reader)? {
            if list.sweep_begun.is_none() && !self.is_due(&list, request.grace) {
                self.report_waiting(reader, &wanted, &list, &mut report)?;
                return Ok(report);
            }
            report.removed = self.sweep(reader, &wanted, turn.as_ref(), &list)?;
            gone = list.names().clone();
        }
        let list = self.mark(reader, &wanted, turn.as_ref(), &gone, &mut report)?;
        if let Some(list) = list
            && request.grace.is_zero()
            && turn.is_some()
        {
            let removed = self.sweep(reader, &wanted, turn.as_ref(), &list)?;
            report.removed.merge(removed);
            report.condemned = Amount::default();
            report.due_in = None;
        }
        Ok(report)
    }

    /// Fails unless there is a cache of this version that can be collected.
    fn check_cache(&self, reader: &Reader<'_>) -> Result<(), CollectError> {
        let cache = || self.cache.url().to_string();
        let reason = match self.cache.url().scheme() {
            "file" | "s3" => None,
            "oci" => Some("a registry does not tell when its files were written"),
            _ => Some("a web server does not list its files"),
        };
        if let Some(reason) = reason {
            let cache = cache();
            return Err(CollectError::Unsupported { cache, reason });
        }
        let name = CacheName::Info;
        let Some(bytes) = read_file(self.cache, &name)? else {
            return Err(CollectError::Absent { cache: cache() });
        };
        CacheInfo::decode(&bytes).map_err(|source| CollectError::Format {
            file: reader.address(&name),
            source,
        })?;
        Ok(())
    }

    fn is_due(&self, list: &Condemned, grace: Duration) -> bool {
        self.due_in(list, grace).is_zero()
    }

    fn due_in(&self, list: &Condemned, grace: Duration) -> Duration {
        let due = UNIX_EPOCH + Duration::from_secs(list.marked_at) + grace;
        due.duration_since(self.now).unwrap_or_default()
    }

    fn report_waiting(
        &self,
        reader: &Reader<'_>,
        wanted: &Wanted<'_>,
        list: &Condemned,
        report: &mut CollectReport,
    ) -> Result<(), CollectError> {
        let inventory = Inventory {
            files: reader.list_files()?,
            ..Inventory::default()
        };
        self.report_list(wanted, &inventory, list, report);
        Ok(())
    }

    /// Counts what is condemned, and what is not.
    fn report_list(
        &self,
        wanted: &Wanted<'_>,
        inventory: &Inventory,
        list: &Condemned,
        report: &mut CollectReport,
    ) {
        for (name, file) in &inventory.files {
            if list.names().contains(name) {
                report.condemned.add(name, file.size_bytes);
            } else if matches!(name, CacheName::Object(_)) {
                report.kept_objects += 1;
            }
        }
        if report.condemned.files > 0 {
            report.due_in = Some(self.due_in(list, wanted.request.grace));
        }
        report.absent = wanted
            .paths
            .iter()
            .filter(|path| {
                !inventory
                    .files
                    .contains_key(&CacheName::Object(*path.digest()))
            })
            .cloned()
            .collect();
    }

    fn sweep(
        &self,
        reader: &Reader<'_>,
        wanted: &Wanted<'_>,
        turn: Option<&Turn<'_>>,
        list: &Condemned,
    ) -> Result<Amount, CollectError> {
        let sweep = Sweep {
            reader,
            keep: &wanted.keep,
        };
        match turn {
            Some(turn) => {
                turn.renew()?;
                sweep.run(list, self.now)
            }
            None => sweep.preview(list),
        }
    }

    /// Condemns what nothing needs. `gone` is what would have been removed before, had it been no dry run.
    fn mark(
        &self,
        reader: &Reader<'_>,
        wanted: &Wanted<'_>,
        turn: Option<&Turn<'_>>,
        gone: &BTreeSet<CacheName>,
        report: &mut CollectReport,
    ) -> Result<Option<Condemned>, CollectError> {
        let mut inventory = reader.load_inventory()?;
        if turn.is_none() {
            inventory.files.retain(|name, _| !gone.contains(name));
        }
        let young = wanted.young();
        let is_young = |modified: SystemTime| !is_older(modified, young, self.now);
        let claims = reader.load_claims(&inventory, |file| is_young(file.modified))?;
        let roots = young_objects(&inventory, young, self.now)
            .into_iter()
            .chain(claims.iter().filter_map(object_of))
            .chain(wanted.keep.iter().copied());
        let live = inventory.closure(reader, roots)?;
        let mut uses = reader.load_uses(&inventory, &live)?;
        self.repack(reader, wanted, turn, &inventory, &mut uses, &claims, report)?;
        let lists = reader.load_lists(&inventory)?;
        let is_old = |modified: &SystemTime| is_older(*modified, wanted.request.grace, self.now);
        let dead = dead_files(&inventory, &live, &uses, &lists, &claims, is_old);
        let since = self.now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let id = DrawnId::draw().map_err(CollectError::Draw)?;
        let list = Condemned::new(id, since.as_secs(), leading_first(dead));
        self.report_list(wanted, &inventory, &list, report);
        if let Some(turn) = turn {
            turn.renew()?;
            self.forget_claims(reader, &inventory, is_young)?;
            if !list.names().is_empty() {
                write_list(reader, &list)?;
            }
        }
        Ok((!list.names().is_empty()).then_some(list))
    }

    #[expect(clippy::too_many_arguments, reason = "one step of the only caller")]
    fn repack(
        &self,
        reader: &Reader<'_>,
        wanted: &Wanted<'_>,
        turn: Option<&Turn<'_>>,
        inventory: &Inventory,
        uses: &mut Uses,
        claims: &BTreeSet<CacheName>,
        report: &mut CollectReport,
    ) -> Result<(), CollectError> {
        let packs = wasteful_packs(inventory, uses, |name| {
            let file = inventory.files.get(name);
            !claims.contains(name)
                && file.is_some_and(|file| is_older(file.modified, wanted.request.grace, self.now))
        });
        if packs.is_empty() {
            return Ok(());
        }
        let packs = match turn {
            Some(turn) => {
                let repacked = repack(reader, turn, inventory, uses, &packs)?;
                report.repacked_bytes = repacked.written_bytes;
                repacked.packs
            }
            None => packs,
        };
        report.repacked = packs.len();
        uses.frames.retain(|pack, _| !packs.contains(pack));
        Ok(())
    }

    /// Removes claims that nobody relies on any more.
    fn forget_claims(
        &self,
        reader: &Reader<'_>,
        inventory: &Inventory,
        is_young: impl Fn(SystemTime) -> bool,
    ) -> Result<(), CollectError> {
        for (name, file) in &inventory.files {
            if matches!(name, CacheName::Claim(_)) && !is_young(file.modified) {
                reader.cache.remove(name)?;
            }
        }
        Ok(())
    }
}
