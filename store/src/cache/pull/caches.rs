//! The caches of one command: which of them can be used, in which order they are asked, and what they answered.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    time::Duration,
};

use super::{Answer, CacheAnswer, CacheError, Damage, misses::Misses};
use crate::{
    LocalStore, StorePath,
    cache::{
        backend::ErrorClass,
        format::{CacheInfo, CacheName, FormatError, MAX_JSON},
        source::{Source, SourceError},
    },
};

/// How long the others are waited for once a cache has answered for the first time: longer than a fast one needs to be faster.
const RACE: Duration = Duration::from_millis(100);
/// Answers that are kept for whoever explains.
const MAX_ANSWERS: usize = 10_000;

/// All caches of one command.
#[derive(Debug)]
pub(super) struct Caches<'a> {
    sources: &'a [Arc<Source>],
    misses: Misses,
    checked: Arc<Mutex<BTreeMap<usize, Result<(), CacheError>>>>,
    begun: Mutex<bool>,
    answers: Mutex<Vec<CacheAnswer>>,
}

impl<'a> Caches<'a> {
    pub(super) fn new(store: &LocalStore, sources: &'a [Arc<Source>], now: u64) -> Self {
        Self {
            sources,
            misses: Misses::new(store.root(), now, !store.is_read_only()),
            checked: Arc::default(),
            begun: Mutex::new(false),
            answers: Mutex::default(),
        }
    }

    /// Returns the caches that can be used, the fastest first. The first time, all of them are asked what they are.
    pub(super) fn usable(&self) -> Vec<&'a Arc<Source>> {
        self.race();
        let checked = lock(&self.checked);
        let mut usable: Vec<(Duration, usize)> = Vec::new();
        for (index, source) in self.sources.iter().enumerate() {
            // One that has not answered yet is asked last; then it is not waited for any more.
            match checked.get(&index) {
                Some(Ok(())) => {
                    usable.push((source.latency().unwrap_or(Duration::MAX), index));
                }
                None => usable.push((Duration::MAX, index)),
                Some(Err(_)) => {}
            }
        }
        usable.sort();
        usable
            .into_iter()
            .filter_map(|(_, index)| self.sources.get(index))
            .collect()
    }

    /// Asks all caches at once what they are; returns when it is known which is the fastest.
    fn race(&self) {
        let mut begun = lock(&self.begun);
        if *begun {
            return;
        }
        *begun = true;
        let (sender, receiver) = mpsc::channel();
        for (index, source) in self.sources.iter().enumerate() {
            let (sender, checked, source) = (
                sender.clone(),
                Arc::clone(&self.checked),
                Arc::clone(source),
            );
            std::thread::spawn(move || {
                let found = check(&source);
                let is_usable = found.is_ok();
                lock(&checked).insert(index, found);
                // Nobody waits for it any more if others were fast.
                let _unheard = sender.send(is_usable);
            });
        }
        drop(sender);
        while let Ok(is_usable) = receiver.recv() {
            if is_usable {
                break;
            }
        }
        while receiver.recv_timeout(RACE).is_ok() {}
        let checked = lock(&self.checked);
        for (index, found) in checked.iter() {
            if let (Err(error), Some(source)) = (found, self.sources.get(*index)) {
                self.tell(source, "itself", Answer::Failed(error.clone()));
            }
        }
    }

    /// Asks one cache for a file, unless it is known not to have it; remembers that, and what came of it.
    pub(super) fn ask<T>(
        &self,
        source: &Source,
        name: &CacheName,
        subject: &str,
        read: impl FnOnce() -> Result<T, CacheError>,
    ) -> Result<T, CacheError> {
        let result = match self.remembered(source, name) {
            Some(error) => Err(error),
            None => read(),
        };
        self.note(source, name, subject, &result);
        result
    }

    /// Says that a cache is known not to have a file.
    fn remembered(&self, source: &Source, name: &CacheName) -> Option<CacheError> {
        let seconds = self.misses.find(&source.url().to_string(), name)?;
        Some(CacheError::Remembered {
            file: name.to_string(),
            seconds,
        })
    }

    /// Notes what came of a question.
    fn note<T>(
        &self,
        source: &Source,
        name: &CacheName,
        subject: &str,
        result: &Result<T, CacheError>,
    ) {
        if let Err(CacheError::Absent { .. }) = result {
            self.misses.add(&source.url().to_string(), name);
        }
        let answer = match result {
            Ok(_) => Answer::Usable,
            Err(error) => Answer::Failed(error.clone()),
        };
        self.tell(source, subject, answer);
    }

    /// Reads a file of several caches at once, until all have answered or what came suffices: a slow cache is not waited for when a fast one has told everything.
    /// What came, in the order of the caches.
    pub(super) fn read_until<T: Send + 'static>(
        &self,
        sources: &[&Arc<Source>],
        (name, subject): (&CacheName, &str),
        decode: impl Fn(&[u8]) -> Result<T, FormatError> + Copy + Send + 'static,
        suffices: impl Fn(&[Option<T>]) -> bool,
    ) -> Vec<Option<T>> {
        if let [source] = sources {
            return vec![self.read(source, name, subject, decode).ok()];
        }
        let mut found: Vec<Option<T>> = sources.iter().map(|_| None).collect();
        let (sender, receiver) = mpsc::channel();
        let mut asked = 0;
        for (index, source) in sources.iter().enumerate() {
            if let Some(error) = self.remembered(source, name) {
                self.note(source, name, subject, &Err::<T, _>(error));
                continue;
            }
            asked += 1;
            let (sender, name, source) = (sender.clone(), name.clone(), Arc::clone(source));
            std::thread::spawn(move || {
                // Nobody hears it who has got enough.
                let _unheard = sender.send((index, read_whole(&source, &name, decode)));
            });
        }
        drop(sender);
        while let Ok((index, result)) = receiver.recv() {
            asked -= 1;
            if let (Some(source), Some(place)) = (sources.get(index), found.get_mut(index)) {
                self.note(source, name, subject, &result);
                *place = result.ok();
            }
            if asked > 0 && suffices(&found) {
                break;
            }
        }
        found
    }

    /// Reads a whole file of one cache.
    pub(super) fn read<T>(
        &self,
        source: &Source,
        name: &CacheName,
        subject: &str,
        decode: impl FnOnce(&[u8]) -> Result<T, FormatError>,
    ) -> Result<T, CacheError> {
        self.ask(source, name, subject, || read_whole(source, name, decode))
    }

    /// Notes what a cache answered.
    pub(super) fn tell(&self, source: &Source, subject: &str, answer: Answer) {
        let mut answers = lock(&self.answers);
        if answers.len() < MAX_ANSWERS {
            answers.push(CacheAnswer {
                cache: source.url().to_string(),
                subject: subject.to_owned(),
                answer,
            });
        }
    }

    /// Returns what was answered so far.
    pub(super) fn answers(&self) -> Vec<CacheAnswer> {
        lock(&self.answers).clone()
    }

    /// Returns the failures about one of these subjects, and those about caches themselves, none twice.
    pub(super) fn failures(&self, subjects: &BTreeSet<String>) -> Vec<CacheAnswer> {
        let mut seen = BTreeSet::new();
        let answers = lock(&self.answers);
        let failures = answers.iter().filter(|answer| {
            matches!(answer.answer, Answer::Failed(_))
                && (answer.subject == "itself" || subjects.contains(&answer.subject))
                && seen.insert(answer.to_string())
        });
        failures.cloned().collect()
    }
}

/// Reads a file and takes it apart; what cannot be is never asked for again.
pub(super) fn read_whole<T>(
    source: &Source,
    name: &CacheName,
    decode: impl FnOnce(&[u8]) -> Result<T, FormatError>,
) -> Result<T, CacheError> {
    let bytes = source
        .read(name, name.max_bytes())
        .map_err(|error| CacheError::of(name, error))?;
    decode(&bytes).map_err(|error| {
        source.quarantine(name);
        CacheError::damaged(name, error)
    })
}

/// Says that a record is of another object than its name, which is never asked for again.
pub(super) fn refuse_other(source: &Source, name: &CacheName, path: &StorePath) -> CacheError {
    source.quarantine(name);
    CacheError::damaged(name, Damage::Other { path: path.clone() })
}

/// Finds out whether a cache is one that can be used here.
fn check(source: &Source) -> Result<(), CacheError> {
    let name = CacheName::Info;
    let bytes = source
        .read(&name, MAX_JSON as u64)
        .map_err(|error| CacheError::of(&name, error))?;
    match CacheInfo::decode(&bytes) {
        Ok(_) => Ok(()),
        Err(error @ (FormatError::Version { .. } | FormatError::StoreDir { .. })) => {
            Err(CacheError::Incompatible {
                source: Arc::new(error),
            })
        }
        Err(error) => Err(CacheError::damaged(&name, error)),
    }
}

impl CacheError {
    /// Says in which way a cache failed to give a file.
    pub(super) fn of(name: &CacheName, error: SourceError) -> Self {
        let file = name.to_string();
        let class = match &error {
            SourceError::Backend(error) => error.class(),
            SourceError::GivenUp { .. } => ErrorClass::Busy,
            SourceError::Quarantined { .. } => ErrorClass::Corrupt,
        };
        match (class, error) {
            (ErrorClass::Absent, _) => Self::Absent { file },
            (ErrorClass::Denied, SourceError::Backend(source)) => Self::Denied { file, source },
            (ErrorClass::Corrupt, error) => Self::Corrupt {
                file,
                source: Arc::new(error.into()),
            },
            (_, error) => Self::Busy {
                file,
                source: Arc::new(error),
            },
        }
    }

    /// Says what a failed read of a part of a file means.
    pub(super) fn of_read(name: &CacheName, error: io::Error) -> Self {
        match error.downcast::<SourceError>() {
            Ok(error) => Self::of(name, error),
            // Readers of sources have no other errors but that a part is shorter than was asked for.
            Err(_) => Self::damaged(
                name,
                FormatError::Malformed {
                    what: "file",
                    rule: "it is as long as it says",
                },
            ),
        }
    }

    /// Says that what a cache gave is damaged.
    pub(super) fn damaged(name: &CacheName, damage: impl Into<Damage>) -> Self {
        Self::Corrupt {
            file: name.to_string(),
            source: Arc::new(damage.into()),
        }
    }
}

pub(super) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
